# SPDX-License-Identifier: Apache-2.0
"""Bit widths from the command line, for checkpoints that do not say."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.system.errors import QapError

MAX_BITS = 16


@dataclass(frozen=True)
class Widths:
    """`weight` and `activation`: one number, or one per layer; empty when not given. `input`: the input quantizer's."""

    weight: tuple[int, ...] = ()
    activation: tuple[int, ...] = ()
    input: int | None = None

    def __post_init__(self) -> None:
        for bits in (*self.weight, *self.activation, *(() if self.input is None else (self.input,))):
            if not 1 <= bits <= MAX_BITS:
                raise QapError(f"a bit width of {bits}", f"bit widths are 1 to {MAX_BITS}")
