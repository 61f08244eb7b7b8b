# SPDX-License-Identifier: Apache-2.0
"""Hardware of a fixed latency as the function that it is: a frame comes in at every cycle, and no register waits.

Once every way from the inputs to the outputs is shown to pass as many registers as there are cycles of latency, the
registers are wires, and what is left is logic between two ports. Wires that are copies of others, and logic that is
there twice, are then one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Part, Register
from qap2fpga.prove.exclusive import require_exclusive
from qap2fpga.prove.logic import KNOWN
from qap2fpga.prove.pipeline import Cone, Pipeline
from qap2fpga.prove.reading import Module

# A net that no module has: nothing says that registers move, since they always do.
ALWAYS = -(1 << 61)
# Where the clock would be, of a module without one.
NO_CLOCK = -(1 << 61) - 1
# What stands for values that are left open.
FIRST_OPEN = 1 << 58
SYMMETRIC = ("and", "or", "xor", "sum", "product", "equal")
# Logic of one bit that may turn out to be a copy of another one, or a constant.
SIMPLE = ("same", "not", "and", "or", "xor", "choose", "any", "table", "pick", "equal", "at least")


class Flow(Pipeline):
    """A module whose registers take their data at every edge of `clock`, while bits have their `fixed` values."""

    def __init__(self, module: Module, clock: int, fixed: Mapping[int, int], open: Collection[int]) -> None:
        super().__init__(module, clock, ALWAYS, fixed, open)

    def _check(self, register: Register) -> None:
        """Raise `NotProven` unless the register takes its data at every edge."""
        name = f"register {register.name}"
        if register.clock != self.clock:
            raise NotProven(f"{name} has another clock")
        enable, reset = self.moving.settle((register.enable, register.reset))
        if (enable, reset) != (1, 0):
            raise NotProven(f"{name} has an enable or a reset that is no constant")


@dataclass(frozen=True)
class Logic:
    """The `parts` between two ports, each after those that it reads, without registers, copies and doubles.

    `outputs` are the bits of the output port; `named` are vectors that have a name: hints. Bits that are `open` have no
    value (`x`), and may be anything.
    """

    parts: tuple[Part, ...]
    outputs: Bits
    named: tuple[Bits, ...] = field(repr=False)
    open: frozenset[int] = frozenset()


def combinational(
    module: Module, clock: int, fixed: Mapping[int, int], inputs: Bits, outputs: Bits, latency: int,
    same: Mapping[int, int],
) -> Logic:  # fmt: skip
    """Return the function of `inputs` that `outputs` are `latency` cycles later.

    `same` are inputs that are copies of others, or constants. Raises `NotProven` for other latencies, and what is no
    such function.
    """
    if module.instances or module.boxes:
        name = [*(one.name for one in module.instances), *(one.name for one in module.boxes)][0]
        raise NotProven(f"{module.name}: {name} is kept apart, and is not looked into")
    require_exclusive(module)
    module, opened = _opened(module)
    flow = Flow(module, clock, fixed, opened)
    cone = flow.cone(outputs, dict.fromkeys(inputs, 0))
    for at, bit in enumerate(cone.outputs):
        if cone.stages.get(bit, latency) != latency:
            raise NotProven(f"bit {at} of the output comes {cone.stages[bit]} cycles after the input, not {latency}")
    if cone.settled(cone.outputs) > latency:
        raise NotProven(f"constants come {cone.settled(cone.outputs)} cycles after the start, not {latency}")
    wider = flow.cone((*outputs, *_beside(flow, cone)), dict.fromkeys(inputs, 0))
    return replace(simplified(wider.parts, cone.outputs, flow.named, same), open=opened)


def _opened(module: Module) -> tuple[Module, frozenset[int]]:
    """Return the module with a net of its own for each value that is left open where it is read, and these nets."""
    parts, opened = list[Part](), list[int]()

    def own(bit: int) -> int:
        if bit != UNDRIVEN:
            return bit
        opened.append(FIRST_OPEN + len(opened))
        return opened[-1]

    for part in module.parts:
        if any(UNDRIVEN in operand for operand in part.operands):
            part = replace(part, operands=tuple(tuple(map(own, operand)) for operand in part.operands))
        parts.append(part)
    return replace(module, parts=tuple(parts)), frozenset(opened)


def _known(part: Part) -> int | None:
    """Return what a part of one bit is, a constant or a copy of a bit; None: neither."""
    operands: list[list[int | None]] = [list(operand) for operand in part.operands]
    return part.evaluate(KNOWN, operands)[0]


def _beside(flow: Flow, cone: Cone) -> list[int]:
    """Return bits that no output needs, of named vectors of which others are needed: low bits that are cut off."""
    more: dict[int, None] = {}
    for bits in flow.named_with(cone.stages):
        lacking = [bit for bit in bits if bit not in cone.stages and bit not in (0, 1) and bit not in more]
        with suppress(NotProven):  # it is not of the inputs alone
            flow.cone(tuple(lacking), cone.stages)
            more.update(dict.fromkeys(lacking))
    return list(more)


def simplified(parts: Iterable[Part], outputs: Bits, named: Iterable[Bits], same: Mapping[int, int]) -> Logic:
    """Return the logic of `parts` without copies and doubles; `same` are bits that are others, or constants."""
    of, inverse = dict(same), dict[int, int]()
    kept: list[Part] = []
    seen: dict[tuple[str, tuple[Bits, ...], int], Bits] = {}
    for part in parts:
        operands = tuple(tuple(of.get(bit, bit) for bit in operand) for operand in part.operands)
        kind = part.kind
        if kind in ("sum", "difference") and len(part.driven) == 1:
            kind = "xor"
        if kind == "choose" and operands[1:] == ((0,), (1,)):
            kind, operands = "same", operands[:1]
        if kind == "choose" and operands[1:] == ((1,), (0,)):
            kind, operands = "not", operands[:1]
        its = Part(part.name, kind, operands, part.driven, part.entries)
        if kind in SIMPLE and len(part.driven) == 1:
            known = _known(its)
            if known is None and kind == "not":
                known = inverse.get(operands[0][0])
            if known is not None:
                of[part.driven[0]] = known
                continue
        key = kind, tuple(sorted(operands)) if kind in SYMMETRIC else operands, its.entries
        if key in seen:
            of.update(zip(part.driven, seen[key], strict=True))
            continue
        seen[key] = part.driven
        if kind == "not":
            inverse[part.driven[0]] = operands[0][0]
        kept.append(its)
    settled = (tuple(of.get(bit, bit) for bit in bits) for bits in named)
    return Logic(tuple(kept), tuple(of.get(bit, bit) for bit in outputs), tuple(dict.fromkeys(settled)))
