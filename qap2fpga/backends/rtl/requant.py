# SPDX-License-Identifier: Apache-2.0
"""A channel's form (`lower/forms.py`) as Verilog."""

from __future__ import annotations

from qap2fpga.backends.rtl.circuit import Circuit, Wire, literal, shifted, sliced
from qap2fpga.lower.forms import Constant, Form, Piecewise, Search, Table
from qap2fpga.network import width


def build(circuit: Circuit, form: Form, x: Wire) -> Wire:
    """The wire that holds `form` of `x`."""
    if isinstance(form, Constant):
        return circuit.logic([x], literal(form.value, width(form.value, form.value)), form.value, form.value)
    if isinstance(form, Table):
        return _table(circuit, form, x)
    if isinstance(form, Search):
        return _search(circuit, form, x)
    return _piecewise(circuit, form, x)


def at_least(name: str, bits: int, signed: bool, constant: int) -> str:
    """A Verilog expression of single bits for `name >= constant`, which maps to few LUTs and no carry chain."""
    text = "1'b1"
    pattern = constant & ((1 << bits) - 1)
    for bit in range(bits):
        one = f"{name}[{bit}]"
        wanted = pattern >> bit & 1
        if signed and bit == bits - 1:
            one, wanted = f"~{one}", 1 - wanted
        if wanted:
            text = one if text == "1'b1" else f"({one} & {text})"
        elif text != "1'b1":
            text = f"({one} | {text})"
    return text


def levels(inputs: int) -> int:
    """LUT levels of a function of so many bits."""
    return 1 if inputs <= 6 else 2 if inputs <= 12 else 3


def _table(circuit: Circuit, form: Table, x: Wire) -> Wire:
    low, high = min(form.results), max(form.results)
    bits = width(low, high)
    size = 1 << x.bits
    # The table is addressed by x as it lies on the wire; x that can not occur take the nearest entry.
    entries = []
    for pattern in range(size):
        value = pattern - size if x.signed and pattern >= size >> 1 else pattern
        entries.append(form.results[min(max(value - form.low, 0), len(form.results) - 1)])
    (placed,), stage, ready = circuit.place([x], levels(x.bits) * circuit.delays.lut)
    text = circuit.lookup(entries, bits, placed.name)
    return circuit.define(text, low, high, stage, ready, f"table of {placed.name}")


def _search(circuit: Circuit, form: Search, x: Wire) -> Wire:
    found: list[Wire] = []
    for bit in reversed(range(form.bits)):
        known = len(found)
        constants = [form.thresholds[(prefix << bit + 1) + (1 << bit) - 1] for prefix in range(1 << known)]
        constants = [min(constant, x.high + 1) for constant in constants]
        found.append(_compare(circuit, x, constants, found))
    if not form.base and len(found) == 1:
        return found[0]
    stage = found[-1].stage
    names = [circuit.at(wire, stage).name for wire in found]
    low, high = form.base, form.base + (1 << form.bits) - 1
    text = f"{{{', '.join(names)}}}"
    if form.base:
        text = f"{literal(form.base, width(low, high))} + {text}"
    return circuit.define(text, low, high, stage, found[-1].ready)


def _compare(circuit: Circuit, x: Wire, constants: list[int], found: list[Wire]) -> Wire:
    """`x >= constants[bits found so far]`."""
    bits = width(min(x.low, *constants), max(x.high, *constants))
    if len(constants) == 1:
        text = at_least("{0}", x.bits, x.signed, constants[0]) if constants[0] <= x.high else "1'b0"
        return circuit.logic([x], text, 0, 1, levels(x.bits))
    operands, stage, ready = circuit.place([x, *found], circuit.adder_delay(bits) + circuit.delays.lut)
    value, prefix = operands[0], operands[1:]
    index = circuit.define_bits("{" + ", ".join(wire.name for wire in prefix) + "}", len(prefix), stage, ready)
    constant = circuit.define_bits(circuit.lookup(constants, bits, index), bits, stage, ready)
    if x.signed:
        return circuit.define(f"$signed({shifted(value, 0, bits)}) >= $signed({constant})", 0, 1, stage, ready)
    return circuit.define(f"{shifted(value, 0, bits)} >= {constant}", 0, 1, stage, ready)


def _piecewise(circuit: Circuit, form: Piecewise, x: Wire) -> Wire:
    total = form.shift + form.out_bits
    drop = form.dropped
    first = _terms(circuit, form, x, total)
    bits = total - drop
    if any(form.offsets):
        delay = circuit.adder_delay(bits) + (circuit.delays.lut if form.bits == 6 else 0)
        (a, value), stage, ready = circuit.place([first, x], delay)
        if form.bits:
            index = circuit.define_bits(sliced(value, form.bit, form.bits), form.bits, stage, 0.0)
            table = [offset >> drop for offset in form.offsets]
            offset = circuit.define_bits(circuit.lookup(table, bits, index), bits, stage, 0.0)
        else:
            offset = literal(form.offsets[0] >> drop, bits)
        circuit.adder_bits += bits
        text = f"{sliced(a, drop, bits)} + {offset}"
        name = circuit.define_bits(circuit.apart(text, bits), bits, stage, ready)
        result = circuit.define_bits(f"{name}[{bits - 1}:{form.shift - drop}]", form.out_bits, stage, ready)
    else:
        (value,), stage, ready = circuit.place([first], 0.0)
        result = circuit.define_bits(sliced(value, form.shift, form.out_bits), form.out_bits, stage, ready)
    inner = Wire(result, 0, (1 << form.out_bits) - 1, stage, ready)
    return _limited(circuit, form, x, inner)


def _terms(circuit: Circuit, form: Piecewise, x: Wire, total: int) -> Wire:
    """The sum of the terms, in `total` bits at most."""
    sign, shift = form.terms[0]
    assert sign > 0
    result = _scaled(circuit, x, shift)
    for sign, shift in form.terms[1:]:
        other = _scaled(circuit, x, shift)
        result = _cut(circuit, circuit.add(result, other, 0, 1, sign), total)
    return result


def _scaled(circuit: Circuit, x: Wire, shift: int) -> Wire:
    if not shift:
        return x
    if shift > 0:
        low, high = x.low << shift, x.high << shift
        text = shifted(x, shift, width(low, high))
    else:
        low, high = x.low >> -shift, x.high >> -shift
        text = sliced(x, -shift, width(low, high))
    return circuit.define(text, low, high, x.stage, x.ready)


def _cut(circuit: Circuit, wire: Wire, bits: int) -> Wire:
    """The lowest `bits` of `wire`, as an unsigned vector, if it has more."""
    if wire.bits <= bits:
        return wire
    return circuit.define(f"{wire.name}[{bits - 1}:0]", 0, (1 << bits) - 1, wire.stage, wire.ready)


def _limited(circuit: Circuit, form: Piecewise, x: Wire, inner: Wire) -> Wire:
    """`inner` between the limits, the constant results outside, and the base on top."""
    operands, texts = [inner], "{0}"
    bits = form.out_bits
    if form.above is not None:
        high = circuit.logic([x], at_least("{0}", x.bits, x.signed, form.above), 0, 1, levels(x.bits))
        operands.append(high)
        texts = f"({{{len(operands) - 1}}} ? {literal(form.top - form.base, bits)} : {texts})"
    if form.below is not None:
        inside = circuit.logic([x], at_least("{0}", x.bits, x.signed, form.below), 0, 1, levels(x.bits))
        operands.append(inside)
        texts = f"({{{len(operands) - 1}}} ? {texts} : {literal(0, bits)})"
    result = inner
    if len(operands) > 1:
        result = circuit.logic(operands, texts, 0, form.top - form.base)
    if not form.base:
        return Wire(result.name, 0, max(form.top, 0), result.stage, result.ready)
    total = width(form.base, form.top)
    (placed,), stage, ready = circuit.place([result], circuit.adder_delay(total))
    text = f"{literal(form.base, total)} + {shifted(placed, 0, total)}"
    return circuit.define(text, form.base, form.top, stage, ready)
