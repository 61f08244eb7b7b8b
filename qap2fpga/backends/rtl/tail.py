# SPDX-License-Identifier: Apache-2.0
"""What stands behind the last layer: the value of its levels, and the choice of the class."""

from __future__ import annotations

from qap2fpga.backends.rtl.circuit import Circuit, Delays, Wire, extended
from qap2fpga.backends.rtl.layer import Module, finish
from qap2fpga.network import IntegerNetwork, Step, width
from qap2fpga.request import IN_SCALE


def build(
    network: IntegerNetwork, kind: str, lanes: list[tuple[int, int]], clock_ns: float, delays: Delays
) -> Module | None:
    """The module for outputs of `kind` behind lanes of (low, high); None if they leave the chip as they are."""
    activation = network.layers[-1].activation
    levels = isinstance(activation, Step) and (activation.base, activation.step) != (0, 1) and kind in IN_SCALE
    if kind != "class" and not levels:
        return None
    circuit = Circuit(clock_ns, delays)
    wires, at = [], 0
    for index, (low, high) in enumerate(lanes):
        wire = Wire(f"i{index}", low, high)
        circuit.lines.append(f"  wire [{wire.bits - 1}:0] i{index} = x[{at + wire.bits - 1}:{at}];  // {low}..{high}")
        at += wire.bits
        wires.append(wire)
    if levels:
        assert isinstance(activation, Step)
        return finish("levels", circuit, [_level(circuit, wire, activation) for wire in wires], at)
    # The class is the number of the largest; levels rise with their counts, so counts compare as well.
    return finish("choose_class", circuit, [_class(circuit, wires)], at)


def _level(circuit: Circuit, count: Wire, step: Step) -> Wire:
    """`base + step * count`."""
    low, high = step.base + step.step * count.low, step.base + step.step * count.high
    bits = width(low, high)
    (placed,), stage, ready = circuit.place([count], 2 * circuit.adder_delay(bits))
    factor = f"{bits}'d{step.step} * {extended(placed, bits)[0]}" if step.step != 1 else extended(placed, bits)[0]
    return circuit.define(f"{bits}'h{step.base & ((1 << bits) - 1):x} + {factor}", low, high, stage, ready)


def _class(circuit: Circuit, values: list[Wire]) -> Wire:
    """The index of the largest value, the first of equals, by a tree of comparators."""
    last = len(values) - 1
    bits = width(min(min(wire.low for wire in values), -1), max(wire.high for wire in values))
    index_bits = width(0, last)
    entries = [(wire, f"{index_bits}'d{index}", None) for index, wire in enumerate(values)]
    work: list[tuple[Wire, Wire]] = [(wire, circuit.define(text, 0, last, 0, 0.0)) for wire, text, _ in entries]
    while len(work) > 1:
        paired = []
        for (left, first), (right, second) in zip(work[::2], work[1::2], strict=False):
            (a, b), stage, ready = circuit.place([left, right], circuit.adder_delay(bits))
            text = f"$signed({extended(a, bits)[0]}) >= $signed({extended(b, bits)[0]})"
            wins = circuit.define(text, 0, 1, stage, ready)
            low, high = max(left.low, right.low), max(left.high, right.high)
            size = width(low, high)
            (c, a, b), stage, ready = circuit.place([wins, left, right], circuit.delays.lut)
            best = circuit.define(
                f"{c.name} ? {extended(a, size)[0]} : {extended(b, size)[0]}", low, high, stage, ready
            )
            index = circuit.logic([wins, first, second], "{0} ? {1} : {2}", 0, last)
            paired.append((best, index))
        if len(work) % 2:
            paired.append(work[-1])
        work = paired
    return work[0][1]
