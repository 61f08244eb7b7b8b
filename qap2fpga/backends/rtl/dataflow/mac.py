# SPDX-License-Identifier: Apache-2.0
"""A layer that takes the integers of a frame, or of each window, one after the other: a multiplier per output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qap2fpga.backends.rtl.circuit import Circuit, Delays
from qap2fpga.backends.rtl.dataflow.parts import CLOCKED, Flow, Part, common, cut, instance
from qap2fpga.backends.rtl.dataflow.timing import Slots, Timing
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.backends.rtl.netlist.evaluate import run
from qap2fpga.backends.rtl.requant import levels
from qap2fpga.exact import integers as exact
from qap2fpga.exact.integers import width

# Cycles from the queue to the first element, and from a weight to the sum.
LOAD, ADD = 1, 2


def weights_module(name: str, weights: np.ndarray, clock_ns: float, delays: Delays) -> Module:
    """Return the module that gives the row of `weights` (places, outputs) of each place; none beyond the last."""
    circuit = Circuit(clock_ns, delays)
    places = len(weights)
    (place,) = circuit.inputs([(0, places - 1)])
    low, high = min(int(weights.min()), -1), int(weights.max())
    rows = np.concatenate([weights, np.zeros(((1 << place.bits) - places, weights.shape[1]), np.int64)])
    (placed,), stage, ready = circuit.place([place], levels(place.bits) * delays.lut)
    lanes = [circuit.table(column.tolist(), placed.net, low, high, stage, ready) for column in rows.T]
    return Module(name, circuit.netlist(lanes))


@dataclass(frozen=True, eq=False)
class Mac(Part):
    """The sums of products of `whole` frames, or of each position; `rom` gives the weights of each of the integers."""

    out: Flow
    operand: Flow
    rom: Module
    whole: bool
    files = ("qap_mac.sv", "qap_serial.sv", "qap_skip.sv")

    @property
    def modules(self) -> tuple[Module, ...]:
        """The weights."""
        return (self.rom,)

    @property
    def instance(self) -> str:
        """The name of its module in the design."""
        return f"u_{self.rom.name}"

    @property
    def queue(self) -> str:
        """The name, in the design, of what gives its integers one after the other."""
        return f"q_{self.rom.name}"

    @property
    def weights(self) -> str:
        """The name of the weights in the design."""
        return f"r_{self.rom.name}"

    @cached_property
    def slots(self) -> Slots:
        """When positions leave the queue."""
        return Slots(self.operand.timing, len(self.operand.lanes))

    @property
    def element_bits(self) -> int:
        """Bits of the integers that come one after the other."""
        return width(*self.element)

    @property
    def places(self) -> int:
        """Integers of a sum."""
        return self.operand.shape.size if self.whole else self.operand.shape.channels

    @property
    def element(self) -> tuple[int, int]:
        """(low, high) of the integers that come one after the other."""
        return common(self.operand.lanes)

    @property
    def sum_bits(self) -> int:
        """Bits of every sum, signed; on the way to it they may wrap."""
        return max(width(min(low, -1), high) for low, high in self.out.lanes)

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the sums of products with the weights in the rom."""
        (values,) = operands
        weights = run([self.rom.netlist], np.arange(self.places)[:, None])
        sums = exact.matmul(values.reshape(-1, self.places), weights, f"the sums of {self.instance}")
        return sums.reshape(len(values), self.out.shape.height, self.out.shape.width, -1)

    def drain(self, flush: int) -> int:
        """Return the cycles after `flush` positions without a frame until the sums of these have left."""
        came = self.out.timing.cycles[self.out.timing.needs < flush]
        if self.whole or not len(came):
            return 0
        return max(0, int(came.max()) + 1 - flush * self.out.timing.pace)

    def verilog(self) -> list[str]:
        """Return the instances of the queue, the weights and the sums, and the lanes of the result."""
        name, (low, high) = self.out.name, self.element
        x_bits, place = self.element_bits, width(0, self.places - 1)
        weight = self.rom.netlist.outputs[0].bits
        outputs, lanes = len(self.out.lanes), len(self.operand.lanes)
        queue = {
            "LANES": lanes, "BITS": x_bits, "POSITIONS": self.places // lanes, "DEPTH": self.slots.depth,
            "WHOLE": int(self.whole), "PLACE": place,
        }  # fmt: skip
        sums = {
            "OUTPUTS": outputs, "X_BITS": x_bits, "X_SIGNED": int(low < 0), "WEIGHT_BITS": weight,
            "SUM_BITS": self.sum_bits, "STAGES": self.rom.stages, "PLACE": place, "LAST": self.places - 1,
        }  # fmt: skip
        elements = self.operand.as_lanes(((low, high),) * lanes)
        return [
            f"  wire [{x_bits - 1}:0]  x{name};",
            f"  wire [{place - 1}:0]  p{name};",
            f"  wire  e{name}, g{name};",
            f"  wire [{outputs * weight - 1}:0]  w{name};",
            f"  wire [{outputs * self.sum_bits - 1}:0]  s{name};",
            instance("qap_serial", self.queue, queue, {
                **CLOCKED, "valid": f"v{self.operand.name}", "flush": f"f{self.operand.name}", "x": elements,
                "out_valid": f"e{name}", "of_frame": f"g{name}", "place": f"p{name}", "y": f"x{name}",
            }),
            f"  {self.rom.name} {self.weights} (.ap_clk(ap_clk), .move(move), .x(p{name}), .y(w{name}));",
            instance("qap_mac", self.instance, sums, {
                **CLOCKED, "valid": f"e{name}", "of_frame": f"g{name}", "place": f"p{name}", "x": f"x{name}",
                "weights": f"w{name}", "out_valid": f"v{name}", "out_flush": f"f{name}", "y": f"s{name}",
            }),
            f"  assign d{name} = {cut(f's{name}', self.sum_bits, self.out.lanes)};",
        ]  # fmt: skip


def timing(operand: Flow, rom: Module, *, whole: bool) -> Timing:
    """Return when the sums leave. Raises `AssertionError` where frames come too fast."""
    slots = Slots(operand.timing, len(operand.lanes))
    if not slots.keeps_up:
        raise AssertionError(f"frames of {operand.shape} come faster than one integer per cycle")
    sums = slots.leave.later(LOAD + slots.lanes - 1 + rom.stages + ADD)
    return replace(sums, cycles=sums.cycles[-1:], needs=sums.needs.max(keepdims=True)) if whole else sums
