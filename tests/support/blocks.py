# SPDX-License-Identifier: Apache-2.0
"""Memories of netlists, clock edge by clock edge."""

from __future__ import annotations

from qap2fpga.prove.algebra import Known
from qap2fpga.prove.block_rams import Block
from qap2fpga.prove.cells import UNDRIVEN, evaluate

Bits = dict[int, int | None]


def after(block: Block, state: Bits, inputs: Bits) -> tuple[Bits, Bits]:
    """Return all bits, and what the registers are after a clock edge."""
    bits: Bits = {0: 0, 1: 1, UNDRIVEN: None, **state, **inputs}
    evaluate(Known(), block.parts, bits)
    return bits, {one.out: bits[one.data] if bits[one.enable] else state[one.out] for one in block.registers}


def number(bits: Bits, nets: tuple[int, ...]) -> int:
    """Return the number on nets, the lowest bit first."""
    return sum((bits[net] or 0) << place for place, net in enumerate(nets))


def nets(first: int, count: int) -> tuple[int, ...]:
    """Return so many nets."""
    return tuple(range(first, first + count))
