# SPDX-License-Identifier: Apache-2.0
"""A channel's implementation (`requant/implementations.py`) as cells."""

from __future__ import annotations

from qap2fpga.backends.rtl.circuit import Circuit
from qap2fpga.backends.rtl.netlist import wiring
from qap2fpga.backends.rtl.netlist.cells import Compare, Level, Limit, Sum
from qap2fpga.backends.rtl.netlist.wiring import Concat, Slice, Wire, extended, literal, shifted, sliced
from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Step
from qap2fpga.requant.implementations import Constant, Implementation, Piecewise, Search, Table


def build(circuit: Circuit, implementation: Implementation, x: Wire) -> Wire:
    """The wire that holds `implementation` of `x`."""
    if isinstance(implementation, Constant):
        _, stage, ready = circuit.place([x], circuit.delays.lut)
        vector = literal(implementation.value, width(implementation.value, implementation.value))
        return circuit.wiring(vector, implementation.value, implementation.value, stage, ready)
    if isinstance(implementation, Table):
        return _table(circuit, implementation, x)
    if isinstance(implementation, Search):
        return _search(circuit, implementation, x)
    return _piecewise(circuit, implementation, x)


def level(circuit: Circuit, count: Wire, step: Step) -> Wire:
    """Return `base + step * count`."""
    low, high = step.base + step.step * count.low, step.base + step.step * count.high
    bits = width(low, high)
    (placed,), stage, ready = circuit.place([count], 2 * circuit.adder_delay(bits))
    out, base, value = circuit.new(low, high, stage, ready), literal(step.base, bits), extended(placed, bits)
    if step.step == 1:
        return circuit.put(Sum(out, base, value))
    return circuit.put(Level(out, base, wiring.Constant(step.step, bits, "d"), value))


def levels(inputs: int) -> int:
    """LUT levels of a function of so many bits."""
    return 1 if inputs <= 6 else 2 if inputs <= 12 else 3


def _table(circuit: Circuit, implementation: Table, x: Wire) -> Wire:
    low, high = min(implementation.results), max(implementation.results)
    size = 1 << x.bits
    # The table is addressed by x as it lies on the wire; x that cannot occur take the nearest entry.
    entries = []
    for pattern in range(size):
        value = pattern - size if x.signed and pattern >= size >> 1 else pattern
        entries.append(implementation.results[min(max(value - implementation.low, 0), len(implementation.results) - 1)])
    (placed,), stage, ready = circuit.place([x], levels(x.bits) * circuit.delays.lut)
    return circuit.table(entries, placed.net, low, high, stage, ready, f"table of {placed.net.name}")


def _search(circuit: Circuit, implementation: Search, x: Wire) -> Wire:
    bits: list[Wire] = []
    for bit in reversed(range(implementation.bits)):
        known = len(bits)
        constants = [implementation.thresholds[(prefix << bit + 1) + (1 << bit) - 1] for prefix in range(1 << known)]
        constants = [min(constant, x.high + 1) for constant in constants]
        bits.append(_compare(circuit, x, constants, bits))
    if not implementation.base and len(bits) == 1:
        return bits[0]
    stage, ready = bits[-1].stage, bits[-1].ready
    number = Concat(tuple(circuit.at(wire, stage).net for wire in bits))
    low, high = implementation.base, implementation.base + (1 << implementation.bits) - 1
    if not implementation.base:
        return circuit.wiring(number, low, high, stage, ready)
    return circuit.put(
        Sum(circuit.new(low, high, stage, ready), literal(implementation.base, width(low, high)), number)
    )


def _compare(circuit: Circuit, x: Wire, constants: list[int], above: list[Wire]) -> Wire:
    """`x >= constants[the bits above]`."""
    bits = width(min(x.low, *constants), max(x.high, *constants))
    if len(constants) == 1:
        if constants[0] <= x.high:
            return circuit.at_least(x, constants[0], levels(x.bits))
        _, stage, ready = circuit.place([x], levels(x.bits) * circuit.delays.lut)
        return circuit.wiring(wiring.Constant(0, 1, "b"), 0, 1, stage, ready)
    operands, stage, ready = circuit.place([x, *above], circuit.adder_delay(bits) + circuit.delays.lut)
    value, prefix = operands[0], operands[1:]
    index = circuit.bits(Concat(tuple(wire.net for wire in prefix)), stage, ready)
    constant = circuit.table(constants, index.net, 0, (1 << bits) - 1, stage, ready)
    return circuit.put(Compare(circuit.new(0, 1, stage, ready), shifted(value, 0, bits), constant.net, x.signed))


def _piecewise(circuit: Circuit, implementation: Piecewise, x: Wire) -> Wire:
    total = implementation.shift + implementation.out_bits
    drop = implementation.dropped
    first = _terms(circuit, implementation, x, total)
    bits = total - drop
    if any(implementation.offsets):
        delay = circuit.adder_delay(bits) + (circuit.delays.lut if implementation.bits == 6 else 0)
        (a, value), stage, ready = circuit.place([first, x], delay)
        top = (1 << bits) - 1
        offset: wiring.Vector = literal(implementation.offsets[0] >> drop, bits)
        if implementation.bits:
            index = circuit.bits(sliced(value, implementation.bit, implementation.bits), stage, 0.0)
            offset = circuit.table([one >> drop for one in implementation.offsets], index.net, 0, top, stage, 0.0).net
        whole = circuit.sum_of_two(sliced(a, drop, bits), offset, False, 0, top, stage, ready)
        inner = circuit.bits(Slice(whole.net, implementation.shift - drop, implementation.out_bits), stage, ready)
    else:
        (value,), stage, ready = circuit.place([first], 0.0)
        inner = circuit.bits(sliced(value, implementation.shift, implementation.out_bits), stage, ready)
    return _limited(circuit, implementation, x, inner)


def _terms(circuit: Circuit, implementation: Piecewise, x: Wire, total: int) -> Wire:
    """The sum of the terms, in `total` bits at most."""
    sign, shift = implementation.terms[0]
    assert sign > 0
    result = _scaled(circuit, x, shift)
    for sign, shift in implementation.terms[1:]:
        other = _scaled(circuit, x, shift)
        result = _cut(circuit, circuit.add(result, other, 0, 1, sign), total)
    return result


def _scaled(circuit: Circuit, x: Wire, shift: int) -> Wire:
    if not shift:
        return x
    if shift > 0:
        low, high = x.low << shift, x.high << shift
        vector = shifted(x, shift, width(low, high))
    else:
        low, high = x.low >> -shift, x.high >> -shift
        vector = sliced(x, -shift, width(low, high))
    return circuit.wiring(vector, low, high, x.stage, x.ready)


def _cut(circuit: Circuit, wire: Wire, bits: int) -> Wire:
    """The lowest `bits` of `wire`, as an unsigned vector, if it has more."""
    return wire if wire.bits <= bits else circuit.bits(Slice(wire.net, 0, bits), wire.stage, wire.ready)


def _limited(circuit: Circuit, implementation: Piecewise, x: Wire, inner: Wire) -> Wire:
    """`inner` between the limits, the constant results outside, and the base on top."""
    limits = [
        None if limit is None else circuit.at_least(x, limit, levels(x.bits))
        for limit in (implementation.above, implementation.below)
    ]
    result = inner
    if any(limits):
        placed, stage, ready = circuit.place([inner, *filter(None, limits)], circuit.delays.lut)
        value, *nets = (wire.net for wire in placed)
        above, inside = (nets.pop(0) if limit else None for limit in limits)
        top = literal(implementation.top - implementation.base, implementation.out_bits)
        result = circuit.put(
            Limit(circuit.new(0, implementation.top - implementation.base, stage, ready), value, inside, above, top)
        )
    if not implementation.base:
        return Wire(result.net, 0, max(implementation.top, 0), result.stage, result.ready)
    total = width(implementation.base, implementation.top)
    (offset,), stage, ready = circuit.place([result], circuit.adder_delay(total))
    out = circuit.new(implementation.base, implementation.top, stage, ready)
    return circuit.put(Sum(out, literal(implementation.base, total), shifted(offset, 0, total)))
