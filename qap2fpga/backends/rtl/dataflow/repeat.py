# SPDX-License-Identifier: Apache-2.0
"""Rows and columns several times: each row leaves once all of it has come, a position per cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np

from qap2fpga.backends.rtl.dataflow.parts import CLOCKED, Flow, Part, bits, instance
from qap2fpga.backends.rtl.dataflow.timing import Slots, Timing
from qap2fpga.ir.channelwise import Repeat
from qap2fpga.ir.tensors import Shape


def rows(source: Timing, shape: Shape, node: Repeat) -> Slots:
    """Return when whole rows have come, and when they leave."""
    last = np.arange(shape.height) * shape.width + shape.width - 1
    return Slots(source.at(last), node.rows * node.columns * shape.width)


def timing(source: Timing, shape: Shape, node: Repeat) -> Timing:
    """Return when each position of the result leaves."""
    slots = rows(source, shape, node)
    leave, each = slots.leave, np.arange(slots.lanes)
    cycles = leave.cycles[:, None] + 1 + each
    return replace(source, cycles=cycles.ravel(), needs=np.repeat(leave.needs, slots.lanes))


@dataclass(frozen=True, eq=False)
class Repeated(Part):
    """A tensor with the rows and columns of `node`."""

    out: Flow
    operand: Flow
    node: Repeat
    files = ("qap_repeat.sv",)

    @cached_property
    def slots(self) -> Slots:
        """When rows have come, and when they leave."""
        return rows(self.operand.timing, self.operand.shape, self.node)

    @cached_property
    def rows(self) -> int:
        """Rows that are held: as many that none is written before the one in its place has left."""
        shape, slots = self.operand.shape, self.slots
        gone = slots.leave.cycles + slots.lanes
        begins = self.operand.timing.at(np.arange(2 * shape.height) * shape.width).cycles
        gone = np.concatenate([gone, gone + slots.enter.period])
        return next(held for held in count(2) if (begins[held:] >= gone[: len(begins) - held]).all())

    def drain(self, flush: int) -> int:
        """Return the cycles after `flush` positions without a frame until all rows of these have left."""
        slots = self.slots
        begun = slots.enter.needs < flush
        if not begun.any():
            return 0
        ends = int(slots.leave.cycles[begun].max()) + 1 + slots.lanes
        return max(0, ends - flush * slots.enter.pace)

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the repeated values."""
        return self.node.evaluate(operands)

    def verilog(self) -> list[str]:
        """Return the instance."""
        parameters = {
            "WIDTH": self.operand.shape.width, "BITS": bits(self.out.lanes), "DOWN": self.node.rows,
            "ACROSS": self.node.columns, "ROWS": self.rows,
        }  # fmt: skip
        ports = {
            **CLOCKED, "valid": f"v{self.operand.name}", "flush": f"f{self.operand.name}",
            "x": f"d{self.operand.name}", "out_valid": f"v{self.out.name}", "out_flush": f"f{self.out.name}",
            "y": f"d{self.out.name}",
        }  # fmt: skip
        return [instance("qap_repeat", self.instance, parameters, ports)]
