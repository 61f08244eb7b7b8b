# SPDX-License-Identifier: Apache-2.0
"""The sum of every channel over a whole frame, a position after the other: what an average over the frame divides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.backends.rtl.dataflow.parts import CLOCKED, Flow, Part, common, cut, instance
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.exact import integers as exact
from qap2fpga.exact.integers import width


@dataclass(frozen=True, eq=False)
class Total(Part):
    """The sums over a frame."""

    out: Flow
    operand: Flow
    files = ("qap_total.sv",)

    @property
    def sums(self) -> tuple[int, int]:
        """(low, high) of all sums and of what is summed up."""
        return common((*self.out.lanes, *self.operand.lanes))

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the sums."""
        (values,) = operands
        rows = np.moveaxis(values, -1, 0).reshape(-1, self.operand.shape.positions)
        sums = exact.column_sums(rows.T, f"the sums of {self.instance}")
        return sums.reshape(values.shape[-1], len(values)).T[:, None, None, :]

    def verilog(self) -> list[str]:
        """Return the instance, and the lanes of the result."""
        name, lanes, bits = self.out.name, len(self.out.lanes), width(*self.sums)
        parameters = {"LANES": lanes, "BITS": bits, "POSITIONS": self.operand.shape.positions}
        return [
            f"  wire [{lanes * bits - 1}:0]  s{name};",
            instance("qap_total", self.instance, parameters, {
                **CLOCKED, "valid": f"v{self.operand.name}", "x": self.operand.as_lanes((self.sums,) * lanes),
                "out_valid": f"v{name}", "y": f"s{name}",
            }),
            f"  assign d{name} = {cut(f's{name}', bits, self.out.lanes)}, f{name} = 0;",
        ]  # fmt: skip


def timing(operand: Timing) -> Timing:
    """Return when the sums leave: a cycle after the last position."""
    return replace(operand, cycles=operand.cycles[-1:] + 1, needs=operand.needs.max(keepdims=True))
