# SPDX-License-Identifier: Apache-2.0
"""Choices of which one at most may be taken: which one is, if there are more, is left open.

A case with the attribute `parallel_case` says so of itself, and Yosys believes it. Verilog takes the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Part
from qap2fpga.prove.reading import Module

# What some nets have to be.
Condition = Mapping[int, int]
# Pairs of conditions on other nets that are compared.
MOST_PAIRS = 1 << 20
# Comparisons of comparisons that are looked into.
MOST_DEPTH = 8
# What is a net of no module, and stands for a condition that never holds.
IMPOSSIBLE = -(1 << 62)


def require_exclusive(module: Module) -> None:
    """Raise `NotProven` where several choices of one multiplexer may be taken at a time, as far as can be seen."""
    for name, bits in module.choices:
        every = [_conditions(module, bit) for bit in bits]
        if not _exclusive(every):
            raise NotProven(f"{name}: several of its cases may be met at a time, and it is parallel_case or unique")


def _exclusive(every: list[list[Condition]]) -> bool:
    """Return whether conditions of different choices contradict each other."""
    conditions = [(number, one) for number, each in enumerate(every) for one in each]
    if len({frozenset(one) for _, one in conditions}) <= 1:
        # All are on the same nets: those with the same values are of one choice.
        pairs = {(number, frozenset(one.items())) for number, one in conditions}
        return len({values for _, values in pairs}) == len(pairs)
    if len(conditions) ** 2 > 2 * MOST_PAIRS:
        return False
    return all(
        number == other or any(second.get(net, value) != value for net, value in first.items())
        for (number, first), (other, second) in itertools.combinations(conditions, 2)
    )


def _conditions(module: Module, bit: int, depth: int = 0) -> list[Condition]:
    """Return conditions of which one holds where `bit` is 1."""
    bit = module.wire(bit)
    if bit in (0, 1):
        return [{}] if bit else []
    driver = module.drivers.get(bit)
    if not isinstance(driver, Part) or depth > MOST_DEPTH:
        return [{bit: 1}]
    read = tuple(module.wire(one) for operand in driver.operands for one in operand)
    if driver.kind == "any":
        return [one for its in read for one in _conditions(module, its, depth + 1)]
    result: Condition | None = {bit: 1}
    if driver.kind == "equal":
        result = _equal(read[: len(read) // 2], read[len(read) // 2 :])
    elif driver.kind == "not":
        below = module.drivers.get(read[0])
        if isinstance(below, Part) and below.kind == "any":
            read = tuple(module.wire(one) for operand in below.operands for one in operand)
        result = _equal(read, (0,) * len(read))
    if result is None:
        return [{bit: 1}]
    # Of a comparison with 1 it is looked what that says.
    (net, value), *more = result.items() or [(bit, 0)]
    if value and not more and net != bit:
        return _conditions(module, net, depth + 1)
    return [] if IMPOSSIBLE in result else [result]


def _equal(left: Bits, right: Bits) -> Condition | None:
    """Return what nets are where bits are equal to constants, `IMPOSSIBLE` among them if never; None: to others."""
    result: dict[int, int] = {}
    for pair in zip(left, right, strict=True):
        value, net = sorted(pair, key=lambda one: one not in (0, 1))
        if value not in (0, 1) or UNDRIVEN in pair:
            return None
        if (net if net in (0, 1) else result.setdefault(net, value)) != value:
            return {IMPOSSIBLE: 0}
    return result
