# SPDX-License-Identifier: Apache-2.0
"""Registers and logic between known bits, one move after the other.

A bit is 0, 1, the name of a bit that came in, or not known: None. Control does not depend on data, so that it stays
known; data are moved about and keep their names; what logic makes of them is an expression (`expressions.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from qap2fpga.prove.algebra import Known
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Part, Register
from qap2fpga.prove.expressions import Codes, Expressions
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.pipeline import Pipeline

KNOWN = Known()


class Machine:
    """All that `targets` depend on, up to the bits `leaves`. Raises `NotProven` if a register changes without a move.

    `after_reset` are the registers after a reset in any state, as far as they begin with the same value.
    """

    def __init__(
        self, pipeline: Pipeline, reset: Logic, targets: Bits, leaves: Collection[int], expressions: Expressions
    ) -> None:
        self.moving, self.expressions = pipeline.moving, expressions
        self.targets = self.moving.settle(targets)
        self.open: dict[int, int | None] = {UNDRIVEN: None}
        self.registers = tuple(_registers(pipeline, self.targets, set(leaves), self.open))
        nexts = [self.moving.settle((one.reset, one.enable, one.data)) for one in self.registers]
        wanted = [*self.targets, *(bit for next_bits in nexts for bit in next_bits)]
        parts, _ = self.moving.in_order(wanted, lambda bit: None if bit in leaves else self.moving.part(bit))
        self._nexts = [(*bits, one.out, one.value) for bits, one in zip(nexts, self.registers, strict=True)]
        self._parts = [(_choice(part), part.operands, part.driven, part) for part in parts]
        self.after_reset: Codes = tuple(_initial(one, reset) for one in self.registers)

    def step(self, state: Codes, known: Mapping[int, int | None]) -> tuple[Codes, Codes]:
        """Return the targets and the next state, where leaves are `known` and registers hold `state`."""
        bits: dict[int, int | None] = {0: 0, 1: 1, **self.open}
        bits.update((one.out, code) for one, code in zip(self.registers, state, strict=True))
        bits.update(known)
        for choice, operands, driven, part in self._parts:
            if choice and (select := bits[operands[0][0]]) in (0, 1):
                bits[driven[0]] = bits[operands[2 if select else 1][0]]
            else:
                codes = [[bits[bit] for bit in operand] for operand in operands]
                known_bits = part.evaluate(KNOWN, codes)
                bits.update(zip(driven, self.expressions.result(part, codes, known_bits), strict=True))
        following = tuple(
            KNOWN.choose(bits[reset], KNOWN.choose(bits[enable], bits[own], bits[data]), value)
            for reset, enable, data, own, value in self._nexts
        )
        return tuple(bits[bit] for bit in self.targets), following


def _choice(part: Part) -> bool:
    return part.kind == "choose" and len(part.driven) == 1


def _registers(
    pipeline: Pipeline, targets: Bits, leaves: set[int], undriven: dict[int, int | None]
) -> Iterator[Register]:
    """Yield the registers on which `targets` depend, each once, and add nets without a driver to `undriven`."""
    moving, module = pipeline.moving, pipeline.module
    inputs = {bit for port in module.inputs.values() for bit in port}
    seen, waiting = {0, 1, UNDRIVEN, *leaves}, list(targets)
    while waiting:
        (bit,) = moving.settle((waiting.pop(),))
        if bit in seen:
            continue
        seen.add(bit)
        driver = module.drivers.get(bit)
        if isinstance(driver, Register):
            pipeline.check_standing(driver)
            if driver.delay != 1:
                raise NotProven(f"{module.name}: register {driver.name} is several")
            yield driver
            waiting += [driver.reset, driver.enable, driver.data]
        elif (part := moving.part(bit)) is not None:
            waiting += [one for operand in part.operands for one in operand]
        elif bit not in inputs:
            undriven[bit] = None  # the words that a memory does not have
        else:
            raise NotProven(f"{module.name}: control or data depend on an input that is not known, net {bit}")


def _initial(register: Register, reset: Logic) -> int | None:
    """Return what a register is at the start and after a reset in any state; None where that is not known."""
    resets, enable, data = reset.settle((register.reset, register.enable, register.data))
    after = register.value if resets == 1 else data if (resets, enable) == (0, 1) and data in (0, 1) else None
    return after if str(after) == register.initial else None
