# SPDX-License-Identifier: Apache-2.0
"""A module with control is the same in the netlist as in the Verilog, register by register.

Registers of one name are taken for equal, a shift register for those that it was made of. That they begin so is seen;
that they stay so, and that all outputs are equal then, is compared by ABC: for every state in which they are equal, and
all inputs. Instances of other modules are outside: what they give is an input, what they take an output. Where the
Verilog leaves a value open, at the start or in a memory's unused words, the netlist may hold any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from qap2fpga.prove.algebra import Ands
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Part, Refuted, Register, evaluate
from qap2fpga.prove.equivalence import Equality, equal
from qap2fpga.prove.handshake import fixed, nexts
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.reading import Module

# Nets inside of shift registers, which no other cell has.
INSIDE, MOST_DELAY = -(1 << 60), 64


@dataclass(frozen=True, eq=False)
class State:
    """A module between its ports and those of its instances, by name; `modules` are those of the instances."""

    module: Module
    modules: Mapping[str, Module]
    clock: str

    @cached_property
    def sources(self) -> dict[str, Bits]:
        """All that comes in but the clock."""
        own = {port: bits for port, bits in self.module.inputs.items() if port != self.clock}
        return own | dict(self._ports(outputs=True))

    @cached_property
    def sinks(self) -> dict[str, Bits]:
        """All that goes out."""
        return dict(self.module.outputs) | dict(self._ports(outputs=False))

    def _ports(self, *, outputs: bool) -> Iterator[tuple[str, Bits]]:
        clock = self.module.single(self.clock)
        for one in self.module.instances:
            clocked = self.clock in self.modules[one.module].inputs
            if one.ports.get(self.clock, () if clocked else (clock,)) != (clock,):
                raise NotProven(f"{self.module.name}: {one.name} has another clock, or none")
            for port, bits in one.ports.items():
                if port != self.clock and (port in self.modules[one.module].outputs) == outputs:
                    yield f"{one.name}.{port}", bits

    @cached_property
    def registers(self) -> dict[int, Register]:
        """The registers by what they drive; one that is several is a chain of them."""
        clock = self.module.single(self.clock)
        registers: dict[int, Register] = {}
        for one in self.module.registers:
            if one.clock != clock:
                raise NotProven(f"{self.module.name}: register {one.name} has another clock")
            data = one.data
            for number in range(one.delay):
                out = one.out if number == one.delay - 1 else INSIDE - MOST_DELAY * one.out - number
                registers[out] = replace(one, data=data, out=out, delay=1, initial=one.initial[number : number + 1])
                data = out
        return registers


def compare(gold: State, gate: State, place: Path, name: str, limit_s: float) -> Equality:
    """Prove that the module `gate` of the netlist is `gold`. Raises `NotProven`; ABC has `limit_s`."""
    sizes = [[{port: len(bits) for port, bits in ports.items()} for ports in (one.sources, one.sinks)]
             for one in (gold, gate)]  # fmt: skip
    if sizes[0] != sizes[1]:
        raise NotProven(f"{name}: Verilog and netlist have other ports or instances")
    pairs = list(dict.fromkeys(_pairs(gold, gate)))
    for first, second in pairs:
        begins = str(second) if second in (0, 1) else gate.registers[second].initial
        if gold.registers[first].initial not in ("x", begins):
            raise NotProven(f"{name}: register {gold.registers[first].name} begins as {begins} in the netlist")
    ports = _together(gold.sources, gate.sources)
    sides, count = _variables([*pairs, *ports], (gold, gate), name)
    graph = Ands(count)
    sinks = list(zip(*_together(gold.sinks, gate.sinks), strict=True))
    registers = list(zip(*pairs, strict=True)) or [(), ()]
    written = [
        _written(*one, graph, gaps=one[0] is gold) for one in zip((gold, gate), sides, registers, sinks, strict=True)
    ]
    different = {pair for pair in zip(*written, strict=True) if pair[0] != pair[1]}
    try:
        equal(graph, different, place, name, limit_s)
    except Refuted as error:
        raise NotProven(f"{name}: in a state that may never be reached the netlist is another function") from error
    return Equality(len(written[0]), len(different))


def _together(first: Mapping[str, Bits], second: Mapping[str, Bits]) -> list[tuple[int, int]]:
    return [pair for port, bits in first.items() for pair in zip(bits, second[port], strict=True)]


def _pairs(gold: State, gate: State) -> Iterator[tuple[int, int]]:
    """Yield the registers of the Verilog with what is of the same name in the netlist, a register or a constant."""
    for name, bits in gold.module.named.items():
        for first, second in zip(bits, gate.module.named.get(name, ()), strict=False):
            if first not in gold.registers or not (second in (0, 1) or second in gate.registers):
                continue
            yield first, second
            # What a shift register is made of has no names.
            while second in gate.registers and (before := gate.registers[second].data) <= INSIDE:
                first, second = _before(gold, first), before
                if first not in gold.registers:
                    break
                yield first, second


def _before(gold: State, register: int) -> int:
    """Return what a register takes where it does not keep its value: a hint of what is before it."""
    part = gold.module.drivers.get(gold.registers[register].data)
    if isinstance(part, Part) and part.kind == "choose" and part.operands[1] == (register,):
        return part.operands[2][0]
    return gold.registers[register].data


def _variables(
    common: Iterable[tuple[int, int]], states: tuple[State, State], name: str
) -> tuple[tuple[dict[int, int], dict[int, int]], int]:
    """Return the variables of bits of both sides, those that are taken for equal as one, and how many there are.

    Constants are -1 and -2, and so are registers that keep the value that they begin with. Registers that have no
    counterpart are anything, of each side for itself.
    """
    constants = ({0: -1, 1: -2} | {bit: -1 - value for bit, value in fixed(one.module).items()} for one in states)
    sides, count = (next(constants), next(constants)), 0
    for pair in common:
        known = {side[bit] for side, bit in zip(sides, pair, strict=True) if bit in side}
        if len(known) > 1:
            raise NotProven(f"{name}: registers that are several in the Verilog are one in the netlist, or the reverse")
        variable = known.pop() if known else count
        count += variable == count
        for side, bit in zip(sides, pair, strict=True):
            if bit != UNDRIVEN:
                side[bit] = variable
    for side, state in zip(sides, states, strict=True):
        for out in state.registers:
            if out not in side:
                side[out] = count
                count += 1
    return sides, count


def _written(
    one: State, variables: Mapping[int, int], registers: Bits, sinks: Bits, graph: Ands, *, gaps: bool
) -> list[int]:
    """Return what registers become, and then the sinks, as bits of `graph`.

    `gaps`: nets may have no driver, and any value then, such as 0.
    """
    bits = {bit: graph.input(number) if number >= 0 else int(number == -2) for bit, number in variables.items()}
    if gaps:
        bits[UNDRIVEN] = 0
    wanted = [bit for out in registers if out > 1 or out < 0 for bit in nexts(one.registers[out])]
    logic = Logic(one.module, fixed(one.module))
    parts, leaves = logic.in_order([*wanted, *sinks], lambda bit: None if bit in bits else logic.part(bit))
    clock = one.module.single(one.clock)
    if gaps and clock not in leaves:
        bits |= dict.fromkeys(leaves - bits.keys(), 0)
    if not leaves <= bits.keys() or (not gaps and UNDRIVEN in (*wanted, *sinks)):
        raise NotProven(f"{one.module.name}: a net without a driver, or the clock as data")
    evaluate(graph, parts, bits)

    def of(bit: int) -> int:
        return bits[logic.settle((bit,))[0]]

    def becomes(out: int) -> int:
        if out in (0, 1):
            return out
        reset, enable, data = map(of, nexts(one.registers[out]))
        return graph.choose(reset, graph.choose(enable, bits[out], data), one.registers[out].value)

    return [*map(becomes, registers), *map(of, sinks)]
