# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost, doubled or reordered: the handshake of a pipeline, by induction over its state.

Registers that keep the value they begin with, whatever comes, are constants: each does so as long as all of them did.
One bit per stage says whether a vector is there. What is proven is what each of these bits becomes in every state of
all others and under every input: 0 at a reset; at a move the bit before, or the input's TVALID; else what it was. A
move is when the last stage is empty or its vector is taken, which is also TREADY, and the last bit is TVALID. So a
vector that was taken goes one stage further at each move with the data beside it, until it leaves, and stands still
until it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qap2fpga.prove.algebra import Sliced, packed
from qap2fpga.prove.cells import NotProven, Register, evaluate
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.reading import Module

SLICED = Sliced()
# All values of a bit, of those of all others.
Values = dict[int, np.ndarray]
# Control that depends on more bits than this is none that is known here.
MOST = 12


@dataclass(frozen=True)
class Ports:
    """The bits of a top module that are no data."""

    clock: int
    reset: int
    in_valid: int
    in_ready: int
    out_valid: int
    out_ready: int


def ports(module: Module, source: str, sink: str) -> Ports:
    """Return the control bits of a module with the streams `source` and `sink`."""
    names = {
        "ap_clk": module.inputs, "ap_rst_n": module.inputs, f"{source}_TVALID": module.inputs,
        f"{source}_TREADY": module.outputs, f"{sink}_TVALID": module.outputs, f"{sink}_TREADY": module.inputs,
    }  # fmt: skip
    missing = [name for name, every in names.items() if len(every.get(name, ())) != 1]
    if missing:
        raise NotProven(f"{module.name}: no port {', '.join(missing)} of one bit in its direction")
    return Ports(*(every[name][0] for name, every in names.items()))


def prove(module: Module, of: Ports, moves: Iterable[int]) -> int:
    """Return how many stages deep the chain of valid bits is; `moves` are the nets that enable data.

    Raises `NotProven` where the control is another.
    """
    control = Control(module, fixed(module))
    last = control.copy_of(of.out_valid)
    common = {last, of.out_ready}
    for net in (of.in_ready, *moves):
        control.check(net, common, lambda values: ~values[last] | values[of.out_ready], "a move")
    bit, stages = last, 0
    while True:
        which = f"{module.name}: valid bit {stages} from the end"
        register = module.drivers.get(bit)
        if not isinstance(register, Register) or register.clock != of.clock or register.delay != 1:
            raise NotProven(f"{which} is no register of the clock")
        if register.initial != "0":
            raise NotProven(f"{which} does not begin as 0")
        others = control.support(nexts(register)) - {of.reset, *common, bit}
        if len(others) != 1:
            raise NotProven(f"{which} follows {len(others)} bits, not one")
        (before,) = others
        values = control.values(nexts(register), {of.reset, bit, before, *common})
        moved = SLICED.choose(~values[last] | values[of.out_ready], values[bit], values[before])
        if (becomes(register, values, values[bit]) != SLICED.both(values[of.reset], moved)).any():
            raise NotProven(f"{which} becomes something else")
        stages += 1
        if before == of.in_valid:
            return stages
        # Valid bits that follow each other in a circle begin as 0 and stay it: they are fixed, and this ends.
        bit = before


@lru_cache(maxsize=4)
def fixed(module: Module) -> Mapping[int, int]:
    """Return the registers that keep the value they begin with, in every state in which all of them have theirs."""
    kept = _candidates(module)
    while True:
        control = Control(module, {bit: int(one.initial) for bit, one in kept.items()})
        stay = {bit: one for bit, one in kept.items() if control.keeps(one)}
        if len(stay) == len(kept):
            return {bit: int(one.initial) for bit, one in kept.items()}
        kept = stay


def _candidates(module: Module) -> dict[int, Register]:
    """Return registers that may keep the value they begin with, by their bit: all others certainly do not.

    Once a register is given up, those are looked at again which read what follows from it. So each part of a long
    pipeline is looked at when it is its turn, and not at every turn.
    """
    kept = {one.out: one for one in module.registers if one.initial in ("0", "1")}
    control = Control(module, {bit: int(one.initial) for bit, one in kept.items()})
    registers: dict[int, list[Register]] = {}
    for one in kept.values():
        for bit in nexts(one):
            registers.setdefault(bit, []).append(one)
    asked = list(kept.values())
    while asked:
        given_up = [one.out for one in asked if not control.keeps(one)]
        for bit in given_up:
            del kept[bit]
        reached = _reached(module, control.release(given_up))
        asked = list({one.out: one for bit in reached for one in registers.get(bit, ()) if one.out in kept}.values())
    return kept


def _reached(module: Module, bits: Iterable[int]) -> set[int]:
    """Return `bits` and all that logic makes of them."""
    reached, waiting = set[int](), list(bits)
    while waiting:
        bit = waiting.pop()
        if bit not in reached:
            reached.add(bit)
            waiting += [one for part in module.readers.get(bit, ()) for one in part.driven]
    return reached


def nexts(register: Register) -> tuple[int, int, int]:
    """Return the bits that say what a register becomes."""
    return register.reset, register.enable, register.data


def becomes(register: Register, values: Values, own: np.ndarray) -> np.ndarray:
    """Return what a register that is `own` becomes."""
    reset, enable, data = (values[bit] for bit in nexts(register))
    return SLICED.choose(reset, SLICED.choose(enable, own, data), constant(register.value))


def constant(value: int) -> np.ndarray:
    """Return a bit that is always `value`."""
    return SLICED.one if value else SLICED.zero


class Control(Logic):
    """The logic of a module between registers and inputs, of which some are `fixed`."""

    def support(self, bits: Iterable[int]) -> set[int]:
        """Return the registers and inputs on which `bits` depend."""
        return self.in_order(bits, self.part)[1]

    def copy_of(self, bit: int) -> int:
        """Return the register that `bit` is a copy of."""
        leaves = self.support([bit])
        if len(leaves) != 1:
            raise NotProven(f"{self.module.name}: an output of the handshake is not one register")
        (leaf,) = leaves
        self.check(bit, leaves, lambda values: values[leaf], "TVALID")
        return leaf

    def keeps(self, register: Register) -> bool:
        """Return whether a fixed register becomes what it is."""
        nets = self.support(nexts(register))
        if len(nets) > MOST:
            return False
        own = constant(int(register.initial))
        return not (becomes(register, self.values(nexts(register), nets), own) != own).any()

    def check(self, bit: int, nets: Collection[int], expected: Callable[[Values], np.ndarray], what: str) -> None:
        """Raise `NotProven` unless `bit` is the `expected` function of `nets`."""
        values = self.values([bit], nets)
        if (values[bit] != expected(values)).any():
            raise NotProven(f"{self.module.name}: {what} is another function of the state")

    def values(self, bits: Iterable[int], nets: Collection[int]) -> Values:
        """Return every combination of `nets`, and what `bits` are then. Raises `NotProven` if they need others."""
        bits = list(bits)
        parts, support = self.in_order(bits, self.part)
        if not support <= set(nets) or len(nets) > MOST:
            raise NotProven(f"{self.module.name}: control depends on other bits than those of the handshake")
        # At least a machine word of cases, so that no padding is compared.
        cases = np.arange(1 << max(len(nets), 6)) & (1 << len(nets)) - 1
        values = {0: SLICED.zero, 1: SLICED.one, **dict(zip(sorted(nets), packed(cases, len(nets)), strict=True))}
        evaluate(SLICED, parts, values)
        values.update({bit: values[one] for bit, one in zip(bits, self.settle(bits), strict=True)})
        return values
