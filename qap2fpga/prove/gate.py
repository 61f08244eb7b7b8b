# SPDX-License-Identifier: Apache-2.0
"""The handshake of a design that takes frames of several positions: where streams and what moves inside meet.

Inside all moves at once, or stands still. What is proven here, in every state of the registers that count what comes
in, and for every value of the other bits: a position is taken at the input exactly when all moves and one enters; a
position that is last inside is offered until it is taken, and taken once; nothing moves before. Together with what
`frames.py` shows of the moves: nothing is lost, doubled or reordered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qap2fpga.hw.design import Design
from qap2fpga.prove import handshake
from qap2fpga.prove.algebra import packed
from qap2fpga.prove.cells import NotProven, Register, evaluate
from qap2fpga.prove.handshake import SLICED, Ports, becomes, constant, nexts
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.reading import Module

CASES = np.arange(64) & 15


def net(module: Module, name: str) -> int:
    """Return the net that has this name."""
    bits = module.named.get(name, ())
    if len(bits) != 1:
        raise NotProven(f"{module.name}: no net '{name}' of one bit")
    return bits[0]


@dataclass(frozen=True, eq=False)
class Gate:
    """The control bits between the ports and the inside: `valid`, `flush` enter, `result` is last inside."""

    module: Module
    ports: Ports
    move: int
    valid: int
    flush: int
    result: int
    taken: int

    @cached_property
    def logic(self) -> Logic:
        """The module without a reset."""
        return Logic(self.module, {self.ports.reset: 1})

    @cached_property
    def register(self) -> Register:
        """The bit that says whether the last position was taken: after a reset, as at the start, it was not."""
        register = self.module.drivers.get(self.taken)
        reset = Logic(self.module, {self.ports.reset: 0})
        if not isinstance(register, Register) or (register.clock, register.delay) != (self.ports.clock, 1):
            raise NotProven(f"{self.module.name}: 'taken' is no register of the clock")
        resets, data = reset.settle((register.reset, register.data))
        if (register.value if resets == 1 else data) != 0 or register.initial != "0":
            raise NotProven(f"{self.module.name}: 'taken' does not begin as 0")
        return register

    def moves(self, registers: Mapping[int, int | None]) -> list[int]:
        """Return for which values of TVALID all may move in a state. Raises `NotProven` if a position might be lost."""
        of, register = self.ports, self.register
        free = (of.in_valid, of.out_ready, self.result, self.taken)
        wanted = (self.move, of.in_ready, of.out_valid, self.valid, *nexts(register))
        parts, leaves = self.logic.in_order(wanted, lambda bit: None if bit in free else self.logic.part(bit))
        known = {bit: constant(code) for bit, code in registers.items() if code in (0, 1)}
        if not leaves <= {*free, *known}:
            raise NotProven(f"{self.module.name}: the handshake depends on what is not known")
        bits = {0: SLICED.zero, 1: SLICED.one, **known, **dict(zip(free, packed(CASES, 4), strict=True))}
        evaluate(SLICED, parts, bits)
        bits.update((bit, bits[one]) for bit, one in zip(wanted, self.logic.settle(wanted), strict=True))
        offered, ready, result, taken = (bits[bit] for bit in free)
        move, enters, out = (bits[bit] for bit in (self.move, self.valid, of.out_valid))
        able = ~out | ready
        goes = [bool((move & able & (offered if value else ~offered)).any()) for value in (0, 1)]
        for wrong, what in (
            (move ^ (able & SLICED.choose(offered, constant(goes[0]), constant(goes[1]))), "a move does not wait"),
            ((bits[of.in_ready] & offered) ^ (move & enters), "what is taken does not enter"),
            (out ^ (result & ~taken), "TVALID is not a result that was not taken"),
            (becomes(register, bits, taken) ^ (~move & (taken | (result & ready))), "a result may be taken twice"),
        ):
            if wrong.any():
                raise NotProven(f"{self.module.name}: {what}")
        if not goes[1]:
            raise NotProven(f"{self.module.name}: a position that is offered is not waited for")
        return [value for value in (0, 1) if goes[value]]


def find(module: Module, design: Design) -> Gate:
    """Return the control bits of a design by their names, which are hints only."""
    ports = handshake.ports(module, design.input.name, design.output.name)
    return Gate(module, ports, net(module, "move"),
                *(net(module, f"frames.{name}") for name in ("valid", "flush", "result", "taken")))  # fmt: skip
