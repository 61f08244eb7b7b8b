# SPDX-License-Identifier: Apache-2.0
"""What the hls4ml backend leaves on disk: C++ for an HLS tool, not yet hardware."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Array:
    """One argument of the top function: `elements` integers of `bits`, C++ type `ap_int` or `ap_uint` of that width.

    HLS makes one wire of it, element 0 in the lowest bits (input), or one port an element (output).
    """

    name: str
    elements: int
    bits: int
    signed: bool


@dataclass(frozen=True)
class Trace:
    """An array of the top function that the C simulation shows: the result of the graph's node `node`.

    `name` is hls4ml's for the layer that writes it.
    """

    name: str
    node: str
    elements: int


@dataclass(frozen=True)
class HlsProject:
    """An hls4ml project. `top` is the function to synthesise; `sources` and `headers` are paths inside `folder`.

    Latency is not known before an HLS tool has scheduled the code, so there is none here; `interval_cycles` is
    what the code asks that tool for. `traces` are in the order of the computation.
    """

    folder: Path
    top: str
    sources: tuple[str, ...]
    part: str
    clock_ns: float
    strategy: str
    output_kind: str
    interval_cycles: int
    input: Array
    output: Array
    traces: tuple[Trace, ...]
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    backend = "hls4ml"
