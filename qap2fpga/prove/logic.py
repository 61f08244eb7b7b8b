# SPDX-License-Identifier: Apache-2.0
"""The logic of a module, where some of its bits are constants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from qap2fpga.prove.algebra import Known
from qap2fpga.prove.cells import Bits, NotProven, Part
from qap2fpga.prove.reading import Module

KNOWN = Known()


class Logic:
    """A module whose bits have the `values`; `settled` are these and all bits that are constant then."""

    def __init__(self, module: Module, values: Mapping[int, int], known: Mapping[int, int] | None = None) -> None:
        self.module, self.settled = module, constants(module, values, known)

    def further(self, values: Mapping[int, int]) -> Logic:
        """Return the logic where some more bits have `values`."""
        return Logic(self.module, values, self.settled)

    def release(self, bits: Iterable[int]) -> set[int]:
        """Let `bits` be anything from now on; return them and all that were constant because of them.

        Bits of a loop may stay constants for no other reason than each other.
        """
        readers, released = self.module.readers, set[int]()
        losing = deque(bits)
        while losing:
            bit = losing.popleft()
            if self.settled.pop(bit, None) is None:
                continue
            released.add(bit)
            for part in readers.get(bit, ()):
                operands = [[_value(one, self.settled) for one in operand] for operand in part.operands]
                results = zip(part.driven, part.evaluate(KNOWN, operands), strict=True)
                losing.extend(one for one, value in results if value is None)
        return released

    def settle(self, bits: Iterable[int]) -> Bits:
        """Return `bits`, those that are constant as what they are."""
        return tuple(self.settled.get(bit, bit) for bit in bits)

    def part(self, bit: int) -> Part | None:
        """Return the logic that drives `bit`; None where a register, an input or nothing does."""
        driver = self.module.drivers.get(bit)
        return simplified(driver, self.settled) if isinstance(driver, Part) else None

    def in_order(self, bits: Iterable[int], of: Callable[[int], Part | None]) -> tuple[list[Part], set[int]]:
        """Return the parts below `bits`, each after those that it reads, and the bits below that have none.

        `of` says what drives a bit. Raises `NotProven` for a loop.
        """
        parts: list[Part] = []
        leaves: set[int] = set()
        done = {0, 1}
        # A part is seen twice: first its operands are asked for, then it is added. These are those in between.
        opened: dict[int, Part] = {}
        waiting = [(bit, False) for bit in reversed(list(bits))]
        while waiting:
            one, ready = waiting.pop()
            (bit,) = self.settle((one,))
            if bit in done:
                continue
            part = opened[bit] if ready else of(bit)
            if part is None:
                leaves.add(bit)
                done.add(bit)
            elif ready:
                parts.append(part)
                done.update(part.driven)
            elif bit in opened:
                raise NotProven(f"{self.module.name}: a loop at {part.name}")
            else:
                opened[bit] = part
                waiting.append((bit, True))
                waiting += [(one, False) for operand in part.operands for one in operand]
        return parts, leaves


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


def constants(module: Module, values: Mapping[int, int], known: Mapping[int, int] | None = None) -> dict[int, int]:
    """Return the bits that are constant, whatever inputs and registers hold, where some have the `values`.

    Only logic below a constant is looked at; a part that is never looked at is taken as unknown. `known` are bits of
    which this has been done already.
    """
    readers = module.readers
    settled = {**(known or {}), **values}
    waiting = deque(part for bit in (*(() if known else (0, 1)), *values) for part in readers.get(bit, ()))
    if not known:
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
