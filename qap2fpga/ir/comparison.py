# SPDX-License-Identifier: Apache-2.0
"""The result of comparing an engine with the integer network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Simulation:
    """One comparison of an engine with the reference; `vectors` 0 and `mismatches` None where there was none."""

    engine: str
    version: str
    compared: str
    vectors: int
    mismatches: int | None
    rounding_ties: int | None = None
    latency_cycles: int | None = None
    interval_cycles: float | None = None
    note: str = ""
