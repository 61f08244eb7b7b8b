# SPDX-License-Identifier: Apache-2.0
"""What the user may choose for the FINN backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qap2fpga.backends.api import Options
from qap2fpga.system.errors import QapError

SPARSE = ("auto", "always", "never")


@dataclass(frozen=True)
class FinnOptions(Options):
    """`folding` is the content of a folding.json: node name -> {'SIMD': n, 'PE': n}; it wins over the search.

    `target_fps`: frames per second at the board's clock; the cheapest design that reaches it. Without it the
    fastest one whose estimate stays below `max_utilization` of every resource of the board.

    `sparse`: whether layers are multiplied without their zeros: `auto`: where that is cheaper; `always`, `never`.
    """

    target_fps: float | None = None
    max_utilization: float = 0.7
    folding: Mapping[str, Any] | None = None
    sparse: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.max_utilization <= 1:
            raise QapError(f"max_utilization is {self.max_utilization}", "give a part of the board, above 0, at most 1")
        if self.target_fps is not None and not self.target_fps > 0:
            raise QapError(f"target_fps is {self.target_fps}", "give frames per second, above 0")
        if self.sparse not in SPARSE:
            raise QapError(f"sparse is {self.sparse!r}", f"give {', '.join(SPARSE[:-1])} or {SPARSE[-1]}")
