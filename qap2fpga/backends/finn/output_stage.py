# SPDX-License-Identifier: Apache-2.0
"""The output stage after FINN's last node: the scaling to logits and the choice of the class, in hardware.

FINN leaves both to the host. Here they are two small streaming modules of our own (flows/finn).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.verilog import packed_number
from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Function, Logits
from qap2fpga.ir.graph import Graph


@dataclass(frozen=True)
class Module:
    """One module of the output stage: its output is `out_lanes` elements of `out_bits` per beat.

    `latency` is cycles from a beat (for a class: the last one) taken to the beat given, `multiplier_bits` what
    its size depends on.
    """

    kind: str
    parameters: str
    out_lanes: int
    out_bits: int
    out_signed: bool
    latency: int
    in_bits: int
    multiplier_bits: int = 0
    sum_bits: int = 0


@dataclass(frozen=True)
class OutputStage:
    """The modules after FINN's last node, in order; none if its output leaves the chip as it is."""

    modules: tuple[Module, ...]


def build(network: Graph, output_kind: str, pe: int, in_bits: int) -> OutputStage:
    """Return the output stage for `output_kind` after a node of `pe` lanes of `in_bits` bits.

    A network that ends in a quantizer has FINN's thresholds before it: `base + step * count` is then a product
    and a sum like any other.
    """
    last = network.layers[-1]
    signed = isinstance(last.activation, Logits)
    ends = _range(network)
    return OutputStage(modules(last.activation, ends, output_kind, last.outputs, pe, in_bits, signed=signed))


def modules(
    function: Function | None, ends: tuple[int, int], output_kind: str, channels: int, pe: int, in_bits: int, *,
    signed: bool,
) -> tuple[Module, ...]:  # fmt: skip
    """Return the modules after a node whose results are in `ends` once `function`, if any, has been applied.

    The node has `channels`, in `pe` lanes of `in_bits` bits; a step function's counts are what it gives.
    """
    if output_kind == "accumulators":
        return ()
    results: list[Module] = []
    if isinstance(function, Logits):
        results.append(_logits(function, pe, in_bits, signed, ends))
    elif function is not None and not function.counts:
        scale = Logits(np.full(channels, function.step), np.full(channels, function.base), 0, 0)
        results.append(_logits(scale, pe, in_bits, signed, ends))
    if output_kind == "class":
        if results:
            in_bits, signed = results[-1].out_bits, results[-1].out_signed
        results.append(_class(channels, pe, in_bits, signed))
    return tuple(results)


def _range(network: Graph) -> tuple[int, int]:
    low, high = network.ranges[-1].outputs
    return int(low.min()), int(high.max())


def _logits(logits: Logits, pe: int, in_bits: int, signed: bool, ends: tuple[int, int]) -> Module:
    multipliers = [int(value) for value in logits.multiplier]
    offsets = [int(value) for value in logits.offset]
    multiplier_bits = width(min(*multipliers, -1), max(multipliers))
    offset_bits = width(min(*offsets, -1), max(offsets))
    largest = 1 << (in_bits - signed)
    bound = max(largest * abs(m) + abs(o) for m, o in zip(multipliers, offsets, strict=True))
    sum_bits = bound.bit_length() + 1
    out_bits = width(min(ends[0], -1), ends[1])
    parameters = (
        f".PE({pe}), .FOLD({len(multipliers) // pe}), .IN_BITS({in_bits}), .IN_SIGNED({int(signed)}),\n"
        f"    .MULTIPLIER_BITS({multiplier_bits}), .OFFSET_BITS({offset_bits}),\n"
        f"    .SHIFT({logits.shift}), .SUM_BITS({max(sum_bits, out_bits)}), .OUT_BITS({out_bits}),\n"
        f"    .MULTIPLIERS({packed(multipliers, multiplier_bits)}),\n"
        f"    .OFFSETS({packed(offsets, offset_bits)})"
    )
    return Module("qap_logits", parameters, pe, out_bits, True, -(-multiplier_bits // 4) + 1, in_bits,
                  multiplier_bits, sum_bits)  # fmt: skip


def _class(classes: int, pe: int, in_bits: int, signed: bool) -> Module:
    bits = max(1, (classes - 1).bit_length())
    parameters = f".PE({pe}), .FOLD({classes // pe}), .IN_BITS({in_bits}), .IN_SIGNED({int(signed)}), .OUT_BITS({bits})"
    return Module("qap_class", parameters, 1, bits, False, 1, in_bits)


def packed(values: list[int], bits: int) -> str:
    """Return a Verilog literal of `values` in two's complement of `bits`, the first one lowest."""
    return f"{bits * len(values)}'h{packed_number(values, bits):x}"
