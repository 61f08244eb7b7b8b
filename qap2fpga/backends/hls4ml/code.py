# SPDX-License-Identifier: Apache-2.0
"""C++ of requantizers: a few lines per channel, every constant in them.

The lines call `flows/hls4ml/qap_requantize.h`. They are the member `apply` of a struct, which hls4ml writes into the
project's `parameters.h` beside the other layers' configurations. The implementation of a step function is the cheapest
that `lower.requantize` finds; with more levels than fit a table it is one multiplication (`wide`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Function, Logits, Step
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Range
from qap2fpga.requant import prices
from qap2fpga.requant.implementations import Constant, Implementation, Piecewise, Search, Table, Target
from qap2fpga.requant.meaning import prove_meaning
from qap2fpga.requant.requantize import MANY, cheapest
from qap2fpga.requant.straight import straight
from qap2fpga.system.errors import QapError

# From a name to the struct of that name.
Text = Callable[[str], str]

HEAD = """struct {name} {{
    template <class data_T, class res_T> static void apply(data_T data[{inputs}], res_T res[{outputs}]) {{
        #pragma HLS INLINE
"""
TAIL = "    }\n};\n"


def requantize(name: str, node: Node, function: Function, source: Range) -> str:
    """The struct `name` whose `apply` computes `function` of the result of `node`, exact on all of its range `source`.

    Raises `QapError` for a step function with too many levels for a table and no exact straight line.
    """
    kind = integer_type(-1 << source.signed_bits - 1, 0)
    text = HEAD.format(name=name, inputs=function.channels, outputs=function.channels)
    for channel, (low, high) in enumerate(source.ends):
        if isinstance(function, Step):
            lines = _step(function, channel, low, high, _name(node, channel))
        else:
            lines = _logits(function, channel, low, high)
        *before, result = [f"const {kind} x = data[{channel}];", *lines]
        body = [*before, f"res[{channel}] = {result};"]
        text += f"        {{ // channel {node.channel_name(channel)}\n"
        text += "".join(f"            {line}\n" for line in body) + "        }\n"
    return text + TAIL


def refusals(node: Node, step: Step, source: Range) -> Iterator[QapError]:
    """Give the reason for each channel of `step` of the result of `node` that `requantize` cannot write."""
    for channel, (low, high) in enumerate(source.ends):
        row = step.thresholds[channel]
        inside = row[(row > low) & (row <= high)].astype(np.int64)
        if len(inside) > MANY and _line(inside) is None:
            yield _no_line(len(inside), _name(node, channel))


def _name(node: Node, channel: int) -> str:
    return f"layer {node.name}, channel {node.channel_name(channel)}"


def _no_line(count: int, name: str) -> QapError:
    return QapError(
        f"{name}: its {count} thresholds do not lie on one line, and are too many for a table",
        f"use activations of at most {MANY.bit_length() - 1} bits",
    )


def first_largest(name: str, inputs: int) -> str:
    """The struct `name` whose `apply` gives the number of the largest of `inputs` values."""
    return (
        HEAD.format(name=name, inputs=inputs, outputs=1) + f"        qap::first_largest<{inputs}>(data, res);\n" + TAIL
    )


def _step(activation: Step, channel: int, low: int, high: int, name: str) -> list[str]:
    """Thresholds out of the channel's range are taken out: those below only count, those above never do."""
    row = activation.thresholds[channel]
    base = activation.base + activation.step * int((row <= low).sum())
    plain = activation.step == 1
    target = Target(row[(row > low) & (row <= high)].astype(np.int64), low, high, base if plain else 0)
    worth = (0, 1) if plain else (base, activation.step)
    prove_meaning(target, activation, channel, (low, high), name, base=worth[0], step=worth[1])
    implement = _wide if len(target.thresholds) > MANY else _cheapest
    *before, count = implement(target, name)
    if plain:
        return [*before, count]
    bits = len(target.thresholds).bit_length() + 1
    return [*before, f"{literal(base)} + {activation.step} * ap_int<{bits}>({count})"]


def _cheapest(target: Target, name: str) -> list[str]:
    return _implementation(cheapest(target, prices.load().luts, name))


def _implementation(implementation: Implementation) -> list[str]:
    """Lines of which the last is the expression of the result."""
    if isinstance(implementation, Constant):
        return [literal(implementation.value)]
    if isinstance(implementation, Table):
        entry = (
            f"x - {literal(implementation.low)}" if implementation.low >= 0 else f"x + {literal(-implementation.low)}"
        )
        bits = width(0, len(implementation.results) - 1)
        return [_table("results", implementation.results), f"results[ap_uint<{bits}>({entry})]"]
    if isinstance(implementation, Search):
        call = f"qap::search<{implementation.bits}>(x, thresholds)"
        return [
            _table("thresholds", implementation.thresholds),
            call if not implementation.base else f"{literal(implementation.base)} + {call}",
        ]
    return _piecewise(implementation)


def _piecewise(implementation: Piecewise) -> list[str]:
    """See `Piecewise`: the sum modulo `2**(shift + out_bits)`, then the limits."""
    bits = implementation.shift + implementation.out_bits
    terms = [f"{'+' if sign > 0 else '-'} qap::scaled<{bits}, {shift}>(x)" for sign, shift in implementation.terms]
    lines = []
    if any(implementation.offsets):
        # The sum is modulo, so are its offsets.
        offsets = [offset % (1 << bits) for offset in implementation.offsets]
        if implementation.bits:
            lines.append(_table("offsets", offsets))
            terms.append(f"+ offsets[qap::segment<{implementation.bits}, {implementation.bit}>(x)]")
        else:
            terms.append(f"+ ap_uint<{bits}>({literal(offsets[0])})")
    lines.append(f"const ap_uint<{bits}> sum = {' '.join(terms).removeprefix('+ ')};")
    result = f"ap_uint<{implementation.out_bits}>(sum >> {implementation.shift})"
    if implementation.base:
        result = f"{literal(implementation.base)} + {result}"
    lines.append(f"{integer_type(min(implementation.base, 0), implementation.top)} result = {result};")
    if implementation.below is not None:
        lines.append(f"if (x < {literal(implementation.below)}) result = {literal(implementation.base)};")
    if implementation.above is not None:
        lines.append(f"if (x >= {literal(implementation.above)}) result = {literal(implementation.top)};")
    return [*lines, "result"]


def _line(thresholds: np.ndarray) -> Piecewise | None:
    """The line of fewest bits that, limited to 0 and their number, counts the `thresholds` (n,) not above x."""
    return next(straight(Target(thresholds, int(thresholds[0]) - 1, int(thresholds[-1]))), None)


def _wide(target: Target, name: str) -> list[str]:
    line = _line(target.thresholds)
    if line is None:
        raise _no_line(len(target.thresholds), name)
    multiplier, (offset,) = sum(sign << place for sign, place in line.terms), line.offsets
    bits = affine_bits(multiplier, offset, target.low, target.high)
    constants = f"{constant(multiplier, bits)}, {constant(offset, bits)}"
    call = f"qap::clamp(qap::affine<{bits}, {line.shift}>(x, {constants}), {literal(line.top)})"
    return [call if not target.base else f"{literal(target.base)} + {call}"]


def _logits(activation: Logits, channel: int, low: int, high: int) -> list[str]:
    multiplier, offset = int(activation.multiplier[channel]), int(activation.offset[channel])
    bits = affine_bits(multiplier, offset, low, high)
    constants = f"{constant(multiplier, bits)}, {constant(offset, bits)}"
    return [f"qap::affine<{bits}, {activation.shift}>(x, {constants})"]


def affine_bits(multiplier: int, offset: int, low: int, high: int) -> int:
    """Bits of a signed type that holds `multiplier * x + offset`, its parts and its factors, for x in `low..high`."""
    products = [multiplier * end for end in (low, high)]
    values = [*products, *(value + offset for value in products), multiplier, offset, low, high]
    return width(min(*values, -1), max(values))


def integer_type(low: int, high: int) -> str:
    """The C++ type that holds `low..high`."""
    return f"ap_{'' if low < 0 else 'u'}int<{width(low, high)}>"


def literal(value: int) -> str:
    """`value` as a C++ constant, long where an int would not do on every compiler."""
    return str(value) if np.iinfo(np.int32).min < value <= np.iinfo(np.int32).max else f"{value}LL"


def constant(value: int, bits: int) -> str:
    """`value` as a C++ constant of type `ap_int<bits>`, also where no C++ literal is long enough."""
    if value.bit_length() < 63:
        return literal(value)
    return f"qap::constant<{bits}>({literal(value >> 62)}, {literal(value & ((1 << 62) - 1))})"


def _table(name: str, values: tuple[int, ...] | list[int]) -> str:
    text = ", ".join(literal(value) for value in values)
    declared = f"static const {integer_type(min(values), max(values))} {name}[{len(values)}] = {{{text}}};"
    # Constants in logic, not a memory that is read a cycle later.
    return f"{declared}\n            #pragma HLS ARRAY_PARTITION variable={name} complete"
