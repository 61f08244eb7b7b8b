# SPDX-License-Identifier: Apache-2.0
"""A pipeline as the function that it is.

All registers of data move with one enable, or stand still together. So as long as every way from the inputs to a bit
passes equally many registers, the bit is a function of the inputs that many moves before, and registers are wires in
it. Both are proven here for each register and each way: the first with the enable 0, the second with the enable 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from qap2fpga.prove.cells import Bits, NotProven, Part, Register
from qap2fpga.prove.logic import Logic, simplified
from qap2fpga.prove.reading import Module


@dataclass(frozen=True)
class Cone:
    """The logic between leaves and `outputs`, in the order of its evaluation.

    `stages` are the registers between leaves and a bit. A constant belongs to every stage, but the first ones:
    registers before it hold something else in the first moves of all; `late` are the constants that they are before.
    """

    parts: tuple[Part, ...]
    stages: Mapping[int, int]
    late: Mapping[int, int]
    outputs: Bits

    def stage(self, bits: Iterable[int]) -> int | None:
        """Return the stage of `bits`, None for constants. Raises `NotProven` for bits of several."""
        return stage_of(bits, self.stages, self.late, "bits that belong together")

    def settled(self, bits: Iterable[int]) -> int:
        """Return after how many moves all of `bits` that are constants are what they stay."""
        return max((self.late.get(bit, 0) for bit in bits), default=0)


def stage_of(bits: Iterable[int], stages: Mapping[int, int], late: Mapping[int, int], what: str) -> int | None:
    """Return the stage of `bits`, None for constants. Raises `NotProven` for bits of several, called `what`."""
    bits = set(bits)
    several = {stages[bit] for bit in bits if bit in stages}
    if len(several) > 1:
        raise NotProven(f"{what} come from stages {sorted(several)}")
    for stage in several:
        if any(late.get(bit, 0) > stage for bit in bits):
            raise NotProven(f"{what} come from stage {stage}, after which one of them becomes constant")
    return several.pop() if several else None


class Pipeline:
    """A module whose registers move while the net `move` is 1.

    `fixed` are bits that never change, as its control's proof has shown; those that are left `open` may be anything.
    """

    def __init__(
        self, module: Module, clock: int, move: int, fixed: Mapping[int, int] | None = None,
        open: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.module, self.clock, self.move, self.open = module, clock, move, open
        self.moving, self.standing = (Logic(module, {**(fixed or {}), move: value}) for value in (1, 0))
        self._moves: dict[int, Part] = {}

    @cached_property
    def named(self) -> tuple[Bits, ...]:
        """The vectors that have a name, as they are while everything moves."""
        return tuple(dict.fromkeys(map(self.moving.settle, self.module.named.values())))

    def named_with(self, bits: Iterable[int]) -> list[Bits]:
        """Return the vectors that have a name, and one of `bits` in them."""
        return [self.named[number] for number in sorted({one for bit in bits for one in self._names.get(bit, ())})]

    @cached_property
    def _names(self) -> dict[int, list[int]]:
        """Which of `named` have a bit."""
        names: dict[int, list[int]] = {}
        for number, bits in enumerate(self.named):
            for bit in set(bits) - {0, 1}:
                names.setdefault(bit, []).append(number)
        return names

    def cone(self, outputs: Bits, leaves: Mapping[int, int]) -> Cone:
        """Return what lies between `leaves`, bits with their stages, and `outputs`. Raises `NotProven`."""
        parts, _ = self.moving.in_order(outputs, lambda bit: None if bit in leaves else self._moving(bit))
        stages, late = dict(leaves), dict[int, int]()
        for part in parts:
            read = {bit for operand in part.operands for bit in operand}
            stage = stage_of(read, stages, late, f"{self.module.name}: the operands of {part.name}")
            for bit in part.driven:
                if stage is not None:
                    stages[bit] = stage + self._delay(bit)
                elif after := max((late.get(one, 0) for one in read), default=0) + self._delay(bit):
                    late[bit] = after
        return Cone(tuple(parts), stages, late, self.moving.settle(outputs))

    def require_held(self, outputs: Iterable[int]) -> None:
        """Raise `NotProven` where logic before `outputs` and after the last registers reads what says that all moves.

        Without a move registers keep their values, and so does what depends on these alone.
        """
        todo, seen = list(outputs), set[int]()
        while todo:
            bit = todo.pop()
            if bit in seen:
                continue
            seen.add(bit)
            if bit == self.move:
                raise NotProven(f"{self.module.name}: an output depends on whether anything moves")
            driver = self.module.drivers.get(bit)
            if isinstance(driver, Part):
                todo += [one for operand in driver.operands for one in operand]

    def _delay(self, bit: int) -> int:
        driver = self.module.drivers[bit]
        return driver.delay if isinstance(driver, Register) else 0

    def _moving(self, bit: int) -> Part | None:
        """Return what drives `bit` while everything moves, if anything does; a register is a wire."""
        if bit in self.open:
            return None
        if (known := self._moves.get(bit)) is None:
            known = self._moves[bit] = self._driver(bit)
        return known

    def _driver(self, bit: int) -> Part:
        driver = self.module.drivers.get(bit)
        if driver is None:
            raise NotProven(f"{self.module.name}: a net without a driver, or an input that is no data")
        if isinstance(driver, Part):
            return simplified(driver, self.moving.settled)
        self._check(driver)
        reset, data = self.moving.settle((driver.reset, driver.data))
        return simplified(Part(driver.name, "choose", ((reset,), (data,), (driver.value,)), (bit,)), {})

    def _check(self, register: Register) -> None:
        """Raise `NotProven` unless the register takes its data at every move, and keeps its value otherwise."""
        if self.moving.settle([register.enable]) != (1,):
            raise NotProven(f"{self.module.name}: register {register.name} is not enabled by every move")
        self.check_standing(register)

    def check_standing(self, register: Register) -> None:
        """Raise `NotProven` unless the register keeps its value without a move."""
        name = f"{self.module.name}: register {register.name}"
        enable, reset = self.standing.settle([register.enable, register.reset])
        if register.clock != self.clock:
            raise NotProven(f"{name} has another clock")
        if reset != 0:
            raise NotProven(f"{name} is reset without a move")
        keeps = register.delay == 1 and enable == 1 and self._source(register.data) == register.out
        if enable != 0 and not keeps:
            raise NotProven(f"{name} changes without a move")

    def _source(self, bit: int) -> int:
        """Return the bit that `bit` is a copy of while nothing moves."""
        while (part := self.standing.part(bit)) is not None:
            copies = part.kind == "same" or (part.kind == "table" and (len(part.operands[0]), part.entries) == (1, 2))
            if not copies:
                break
            bit = part.operands[0][part.driven.index(bit)]
        return bit
