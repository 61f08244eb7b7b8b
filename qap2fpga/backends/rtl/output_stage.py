# SPDX-License-Identifier: Apache-2.0
"""The output stage after the last layer: the value of its levels, and the choice of the class."""

from __future__ import annotations

from qap2fpga.backends.rtl.circuit import Circuit, Delays
from qap2fpga.backends.rtl.largest import tree
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.backends.rtl.netlist.cells import Choose, Compare
from qap2fpga.backends.rtl.netlist.wiring import Constant, Wire, extended
from qap2fpga.backends.rtl.requant import level
from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Function, Step
from qap2fpga.ir.outputs import IN_SCALE


def build(
    activation: Function | None, kind: str, lanes: list[tuple[int, int]], clock_ns: float, delays: Delays
) -> Module | None:
    """Return the module for outputs of `kind` after lanes of (low, high); None if they leave the chip as they are.

    The lanes are counts of thresholds if `activation`, the network's last function, is a step.
    """
    levels = isinstance(activation, Step) and not activation.counts and kind in IN_SCALE
    if kind != "class" and not levels:
        return None
    circuit = Circuit(clock_ns, delays)
    wires = circuit.inputs(lanes)
    if levels:
        assert isinstance(activation, Step)
        return Module("levels", circuit.netlist([level(circuit, wire, activation) for wire in wires]))
    # The class is the number of the largest; levels rise with their counts, so counts compare as well.
    return Module("choose_class", circuit.netlist([_class(circuit, wires)]))


def _class(circuit: Circuit, values: list[Wire]) -> Wire:
    """The index of the largest value, the first of equals, by a tree of comparators."""
    last = len(values) - 1
    bits = width(min(min(wire.low for wire in values), -1), max(wire.high for wire in values))
    numbers = [Constant(index, width(0, last), "d") for index in range(len(values))]
    work = [(wire, circuit.wiring(one, 0, last, 0, 0.0)) for wire, one in zip(values, numbers, strict=True)]
    return tree(work, lambda left, right: _larger(circuit, left, right, bits))[1]


def _larger(circuit: Circuit, left: tuple[Wire, Wire], right: tuple[Wire, Wire], bits: int) -> tuple[Wire, Wire]:
    """The larger of two (value, index), the left one of equals; they are compared in `bits` bits."""
    (a, b), stage, ready = circuit.place([left[0], right[0]], circuit.adder_delay(bits))
    wins = circuit.put(Compare(circuit.new(0, 1, stage, ready), extended(a, bits), extended(b, bits), signed=True))
    low, high = max(left[0].low, right[0].low), max(left[0].high, right[0].high)
    size = width(low, high)
    (c, a, b), stage, ready = circuit.place([wins, left[0], right[0]], circuit.delays.lut)
    best = circuit.put(Choose(circuit.new(low, high, stage, ready), c.net, extended(a, size), extended(b, size)))
    (c, a, b), stage, ready = circuit.place([wins, left[1], right[1]], circuit.delays.lut)
    low, high = min(left[1].low, right[1].low), max(left[1].high, right[1].high)
    return best, circuit.put(Choose(circuit.new(low, high, stage, ready), c.net, a.net, b.net))
