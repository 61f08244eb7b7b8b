# SPDX-License-Identifier: Apache-2.0
"""Bit widths from the command line, for checkpoints that do not say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Widths:
    """`weight` and `activation`: one number, or one a layer; empty when not given. `input`: the input quantizer's."""

    weight: tuple[int, ...] = ()
    activation: tuple[int, ...] = ()
    input: int | None = None
