# SPDX-License-Identifier: Apache-2.0
"""What Yosys is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qap2fpga.synth.jobs import Job
from qap2fpga.system.codec import Record


@dataclass(frozen=True, kw_only=True)
class Rewrite(Job):
    """Read `sources`, and write the module `top` with all below it as the module `name` to `result`."""

    sources: tuple[str, ...]
    name: str
    result: str


@dataclass(frozen=True, kw_only=True)
class Rewritten(Record):
    """The bits of every port."""

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
