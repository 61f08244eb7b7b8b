# SPDX-License-Identifier: Apache-2.0
"""A pipeline as the function that it is.

All registers of data move with one enable, or stand still together. So as long as every way from the inputs to a bit
passes equally many registers, the bit is a function of the inputs that many moves before, and registers are wires in
it. Both are proven here for each register and each way: the first with the enable 0, the second with the enable 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from qap2fpga.prove.algebra import Known
from qap2fpga.prove.cells import NotProven, Part, Register
from qap2fpga.prove.reading import Bits, Module

KNOWN = Known()


@dataclass(frozen=True)
class Cone:
    """The logic between leaves and `outputs`, in the order of its evaluation.

    `stages` are the registers between leaves and a bit; a constant has none of its own.
    """

    parts: tuple[Part, ...]
    stages: Mapping[int, int]
    outputs: Bits

    def stage(self, bits: Iterable[int]) -> int | None:
        """Return the stage of `bits`, None for constants. Raises `NotProven` for bits of several."""
        stages = {self.stages[bit] for bit in bits if bit in self.stages}
        if len(stages) > 1:
            raise NotProven(f"bits that belong together come from stages {sorted(stages)}")
        return stages.pop() if stages else None


class Pipeline:
    """A module whose registers move while the net `move` is 1; `leaves` are the bits at which its data come in."""

    def __init__(self, module: Module, clock: int, move: int) -> None:
        self.module, self.clock, self.move = module, clock, move
        self.moving, self.standing = (constants(module, {move: value}) for value in (1, 0))

    def cone(self, outputs: Bits, leaves: Mapping[int, int]) -> Cone:
        """Return what lies between `leaves`, bits with their stages, and `outputs`. Raises `NotProven`."""
        stages = dict(leaves)
        parts: list[Part] = []
        # A driver is seen twice: first its operands are asked for, then it is added. `open` are those in between.
        asked: set[int] = set()
        waiting = [(bit, False) for bit in reversed(outputs)]
        done: set[int] = set()
        while waiting:
            bit, ready = waiting.pop()
            bit = self.moving.get(bit, bit)
            if bit in (0, 1) or bit in stages or bit in done:
                continue
            driver = self.module.drivers.get(bit)
            if driver is None:
                raise NotProven(f"{self.module.name}: a net without a driver, or an input that is no data")
            part, delay = self._moving(driver, bit)
            if not ready:
                if bit in asked:
                    raise NotProven(f"{self.module.name}: a loop at {driver.name}")
                asked.add(bit)
                waiting.append((bit, True))
                waiting += [(one, False) for operand in part.operands for one in operand]
                continue
            of_operands = {stages[one] for operand in part.operands for one in operand if one in stages}
            if len(of_operands) > 1:
                raise NotProven(f"{self.module.name}: the operands of {part.name} come from stages {of_operands}")
            parts.append(part)
            for out in part.driven:
                done.add(out)
                if of_operands:
                    stages[out] = max(of_operands) + delay
        return Cone(tuple(parts), stages, tuple(self.moving.get(bit, bit) for bit in outputs))

    def _moving(self, driver: Part | Register, bit: int) -> tuple[Part, int]:
        """Return a driver as logic while everything moves, and how many registers it is."""
        if isinstance(driver, Part):
            return simplified(driver, self.moving), 0
        self._check(driver)
        data, reset = (self.moving.get(one, one) for one in (driver.data, driver.reset))
        if not reset:
            return Part(driver.name, "same", ((data,),), (bit,)), driver.delay
        return simplified(Part(driver.name, "choose", ((reset,), (data,), (driver.value,)), (bit,)), {}), driver.delay

    def _check(self, register: Register) -> None:
        """Raise `NotProven` unless the register takes its data at every move, and keeps its value otherwise."""
        if register.clock != self.clock:
            raise NotProven(f"{self.module.name}: register {register.name} has another clock")
        if self.moving.get(register.enable, register.enable) != 1:
            raise NotProven(f"{self.module.name}: register {register.name} is not enabled by every move")
        if self.standing.get(register.reset, register.reset) != 0:
            raise NotProven(f"{self.module.name}: register {register.name} is reset without a move")
        enable = self.standing.get(register.enable, register.enable)
        keeps = register.delay == 1 and enable == 1 and self._source(register.data) == register.out
        if enable != 0 and not keeps:
            raise NotProven(f"{self.module.name}: register {register.name} changes without a move")

    def _source(self, bit: int) -> int:
        """Return the bit that `bit` is a copy of while nothing moves."""
        while True:
            driver = self.module.drivers.get(bit)
            if not isinstance(driver, Part):
                return bit
            part = simplified(driver, self.standing)
            copies = part.kind == "same" or (part.kind == "table" and (len(part.operands[0]), part.entries) == (1, 2))
            if not copies:
                return bit
            bit = part.operands[0][part.driven.index(bit)]


def simplified(part: Part, values: Mapping[int, int]) -> Part:
    """Return the same function where bits have the `values`, without operands that do not matter then."""
    operands = tuple(tuple(values.get(bit, bit) for bit in operand) for operand in part.operands)
    if part.kind == "choose" and operands[0][0] in (0, 1):
        return replace(part, kind="same", operands=(operands[1 + operands[0][0]],))
    if part.kind == "choose" and operands[1] == operands[2]:
        return replace(part, kind="same", operands=(operands[1],))
    if part.kind == "table":
        return _reduced(replace(part, operands=operands))
    return replace(part, operands=operands)


def _reduced(table: Part) -> Part:
    """Return a table without inputs that are constant or do not matter: constants first, since others then may not."""
    (index,), entries = table.operands, table.entries
    for constant in (True, False):
        for place in reversed(range(len(index))):
            low, high = (_cofactor(entries, len(index), place, value) for value in (0, 1))
            if index[place] in (0, 1) if constant else low == high:
                entries = high if index[place] == 1 else low
                index = index[:place] + index[place + 1 :]
    return replace(table, operands=(index,), entries=entries)


def _cofactor(entries: int, size: int, place: int, value: int) -> int:
    """Return the entries of a table where the bit `place` of its index has `value`."""
    block = 1 << place
    result, ones = 0, (1 << block) - 1
    for number in range(1 << size - place - 1):
        result |= (entries >> block * (2 * number + value) & ones) << block * number
    return result


def constants(module: Module, values: Mapping[int, int]) -> dict[int, int]:
    """Return the bits that are constant, whatever inputs and registers hold, where some have the `values`.

    Only logic below a constant is looked at; a part that is never looked at is taken as unknown.
    """
    readers: dict[int, list[Part]] = {}
    for part in module.parts:
        for operand in part.operands:
            for bit in set(operand):
                readers.setdefault(bit, []).append(part)
    settled = dict(values)
    waiting = deque(part for bit in (0, 1, *values) for part in readers.get(bit, ()))
    waiting.extend(part for part in module.parts if part.kind == "table" and not part.operands[0])
    while waiting:
        part = waiting.popleft()
        if all(bit in settled for bit in part.driven):
            continue
        operands = [[_value(bit, settled) for bit in operand] for operand in part.operands]
        for bit, value in zip(part.driven, part.evaluate(KNOWN, operands), strict=True):
            if value is not None and bit not in settled:
                settled[bit] = value
                waiting.extend(readers.get(bit, ()))
    return settled


def _value(bit: int, settled: Mapping[int, int]) -> int | None:
    return bit if bit in (0, 1) else settled.get(bit)
