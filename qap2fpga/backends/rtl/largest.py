# SPDX-License-Identifier: Apache-2.0
"""The largest value of a window, per channel: a tree of comparators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from qap2fpga.backends.rtl.circuit import Circuit, Delays
from qap2fpga.backends.rtl.layer import Module, narrowed
from qap2fpga.backends.rtl.netlist.cells import Choose, Compare
from qap2fpga.backends.rtl.netlist.wiring import Wire, extended
from qap2fpga.exact.integers import width

Lanes = Sequence[tuple[int, int]]
Item = TypeVar("Item")


def build(name: str, lanes: Lanes, results_in: Lanes, clock_ns: float, delays: Delays) -> Module:
    """Return the module `name` of as many taps as `lanes` are more than `results_in`, the (low, high) of each."""
    circuit = Circuit(clock_ns, delays)
    wires = circuit.inputs(lanes)
    channels = len(results_in)
    results = [largest(circuit, wires[channel::channels]) for channel in range(channels)]
    return Module(name, circuit.netlist([narrowed(*pair) for pair in zip(results, results_in, strict=True)]))


def largest(circuit: Circuit, wires: Sequence[Wire]) -> Wire:
    """Return the largest of `wires`."""
    return tree(wires, lambda left, right: _larger(circuit, left, right))


def tree(items: Sequence[Item], join: Callable[[Item, Item], Item]) -> Item:
    """Return what is left when `join` has made one of two beside each other, and again one of two of these."""
    work = list(items)
    while len(work) > 1:
        paired = [join(*pair) for pair in zip(work[::2], work[1::2], strict=False)]
        work = [*paired, work[-1]] if len(work) % 2 else paired
    return work[0]


def _larger(circuit: Circuit, left: Wire, right: Wire) -> Wire:
    bits = width(min(left.low, right.low), max(left.high, right.high))
    signed = min(left.low, right.low) < 0
    (a, b), stage, ready = circuit.place([left, right], circuit.adder_delay(bits))
    wins = circuit.put(Compare(circuit.new(0, 1, stage, ready), extended(a, bits), extended(b, bits), signed=signed))
    low, high = max(left.low, right.low), max(left.high, right.high)
    size = width(low, high)
    (condition, a, b), stage, ready = circuit.place([wins, left, right], circuit.delays.lut)
    return circuit.put(
        Choose(circuit.new(low, high, stage, ready), condition.net, extended(a, size), extended(b, size))
    )
