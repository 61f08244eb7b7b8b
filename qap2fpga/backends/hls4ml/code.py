# SPDX-License-Identifier: Apache-2.0
"""C++ of what follows a dense layer: one line a channel, every constant in it.

The lines call `flows/hls4ml/qap_requantize.h`. Each is the member `apply` of a struct, which hls4ml writes into the
project's `parameters.h` beside the other layers' configurations.
"""

from __future__ import annotations

import numpy as np

from qap2fpga.network import DenseLayer, Logits, Ranges, Step, width

HEAD = """struct {name} {{
    template <class data_T, class res_T> static void apply(data_T data[{inputs}], res_T res[{outputs}]) {{
        #pragma HLS INLINE
"""
TAIL = "    }\n};\n"


def requantize(name: str, layer: DenseLayer, ranges: Ranges) -> str:
    """The struct `name` whose `apply` computes the activation of `layer`, exact on all of `ranges`."""
    activation = layer.activation
    low, high = ranges.accumulators
    write = _step if isinstance(activation, Step) else _logits
    lines = [write(layer, channel, int(low[channel]), int(high[channel])) for channel in range(layer.outputs)]
    return HEAD.format(name=name, inputs=layer.outputs, outputs=layer.outputs) + "".join(lines) + TAIL


def first_largest(name: str, inputs: int) -> str:
    """The struct `name` whose `apply` gives the number of the largest of `inputs` values."""
    return (
        HEAD.format(name=name, inputs=inputs, outputs=1) + f"        qap::first_largest<{inputs}>(data, res);\n" + TAIL
    )


def _step(layer: DenseLayer, channel: int, low: int, high: int) -> str:
    """Thresholds out of the channel's reach are taken out: those below only count, those above never do."""
    activation = layer.activation
    assert isinstance(activation, Step)
    row = activation.thresholds[channel]
    passed = int((row <= low).sum())
    inside = [int(value) for value in row[(row > low) & (row <= high)]]
    comment = f"  // channel {layer.channel_name(channel)}\n"
    base = activation.base + activation.step * passed
    if not inside:
        return f"        res[{channel}] = {base};{comment}"
    bits = len(inside).bit_length()
    table = inside + [high + 1] * ((1 << bits) - 1 - len(inside))
    kind = integer_type(min(min(table), low), max(table))
    found = f"qap::search<{bits}>(data[{channel}], table{channel})"
    if base != 0 or activation.step != 1:
        found = f"{base} + {activation.step} * ap_int<{bits + 1}>({found})"
    values = ", ".join(literal(value) for value in table)
    return (
        f"        static const {kind} table{channel}[{len(table)}] = {{{values}}};\n"
        f"        res[{channel}] = {found};{comment}"
    )


def _logits(layer: DenseLayer, channel: int, low: int, high: int) -> str:
    activation = layer.activation
    assert isinstance(activation, Logits)
    multiplier, offset = int(activation.multiplier[channel]), int(activation.offset[channel])
    bits = affine_bits(multiplier, offset, low, high)
    constants = f"{literal(multiplier)}, {literal(offset)}"
    comment = f"  // channel {layer.channel_name(channel)}\n"
    return f"        res[{channel}] = qap::affine<{bits}, {activation.shift}>(data[{channel}], {constants});{comment}"


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
