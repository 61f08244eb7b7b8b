# SPDX-License-Identifier: Apache-2.0
"""A module with control is the same in the netlist as in the Verilog, register by register.

Registers of one name are taken for equal, a shift register for those that it was made of. That they begin so is seen;
that they stay so, and that all outputs are equal then, is compared by ABC: for every state in which they are equal, and
all inputs. Instances of other modules are outside: what they give is an input, what they take an output. So are DSPs,
of one name and with the same parameters: the same inputs since the start give the same outputs. Where the Verilog
leaves a value open ('x', at the start, in a memory's unused words), the netlist may hold any.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from qap2fpga.prove.algebra import Ands, Ends, Open
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Refuted, Register, evaluate
from qap2fpga.prove.equivalence import Equality, equal
from qap2fpga.prove.handshake import nexts
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.reading import Module

# Nets inside of shift registers, which no other cell has.
INSIDE, MOST_DELAY = -(1 << 60), 64
# A word of a memory.
WORD_OF = re.compile(r"(.*)\[(\d+)\]")


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
        return own | dict(self._ports(outputs=True)) | {one.name: one.output for one in self.module.boxes}

    @cached_property
    def sinks(self) -> dict[str, Bits]:
        """All that goes out."""
        boxes = {f"{one.name}.{port}": bits for one in self.module.boxes for port, bits in one.inputs.items()}
        return dict(self.module.outputs) | dict(self._ports(outputs=False)) | boxes

    @cached_property
    def boxes(self) -> dict[str, object]:
        """What the DSPs are, by name."""
        clock = self.module.single(self.clock)
        if any(self.module.wire(one.clock) != clock for one in self.module.boxes):
            raise NotProven(f"{self.module.name}: a DSP has another clock")
        return {one.name: (one.kind, one.parameters) for one in self.module.boxes}

    def _ports(self, *, outputs: bool) -> Iterator[tuple[str, Bits]]:
        clock = self.module.single(self.clock)
        for one in self.module.instances:
            clocked = self.clock in self.modules[one.module].inputs
            if one.ports.get(self.clock, () if clocked else (clock,)) != (clock,):
                raise NotProven(f"{self.module.name}: {one.name} has another clock, or none")
            for port, bits in one.ports.items():
                if port != self.clock and bits == (clock,):
                    yield f"{one.name}.{port} is the clock", ()
                elif port != self.clock and (port in self.modules[one.module].outputs) == outputs:
                    yield f"{one.name}.{port}", bits

    @cached_property
    def registers(self) -> dict[int, Register]:
        """The registers by what they drive; one that is several is a chain of them."""
        clock = self.module.single(self.clock)
        registers: dict[int, Register] = {}
        for one in self.module.registers:
            if self.module.wire(one.clock) != clock:
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
    if sizes[0] != sizes[1] or gold.boxes != gate.boxes:
        raise NotProven(f"{name}: Verilog and netlist have other ports, instances or DSPs")
    pairs = list(dict.fromkeys(_pairs(gold, gate)))
    ports = _together(gold.sources, gate.sources)
    sides, count = _variables([*pairs, *ports], (gold, gate), name)
    _require_same_start(gold, gate, pairs, name)
    graph = Ands(count)
    sinks = list(zip(*_together(gold.sinks, gate.sinks), strict=True))
    registers = list(zip(*pairs, strict=True)) or [(), ()]
    results = [written(*one, Open(graph)) for one in zip((gold, gate), sides, registers, sinks, strict=True)]
    held = [[pair for pair in _held(graph, *ends) if pair[0] != pair[1]] for ends in zip(*results, strict=True)]
    try:
        equal(graph, {pair for each in held for pair in each}, place, name, limit_s)
    except Refuted as error:
        raise NotProven(f"{name}: in a state that may never be reached the netlist is another function") from error
    return Equality(len(held), sum(map(bool, held)))


def _require_same_start(gold: State, gate: State, pairs: Sequence[tuple[int, int]], name: str) -> None:
    """Raise `NotProven` where a register begins with another value in the netlist, or its copies there with several."""
    starts: dict[int, set[str]] = {}
    for first, second in pairs:
        begins = str(second) if second in (0, 1) else gate.registers[second].initial
        starts.setdefault(first, set()).add(begins)
        if gold.registers[first].initial not in ("x", begins):
            raise NotProven(f"{name}: register {gold.registers[first].name} begins as {begins} in the netlist")
    several = Counter(first for first, _ in pairs)
    for first, begin in starts.items():
        # One that is several in the netlist is any value, but the same in all of them.
        if several[first] > 1 and (len(begin) > 1 or "x" in begin):
            raise NotProven(f"{name}: copies of register {gold.registers[first].name} begin as {sorted(begin)}")


def _held(graph: Ands, gold: Ends, gate: Ends) -> Iterator[tuple[int, int]]:
    """Yield what must be equal for the netlist's bit to be one that the Verilog's may be."""
    if gold[0] == gold[1] and gate[0] == gate[1]:
        yield gold[0], gate[0]
    else:
        yield graph.both(gold[0], graph.invert(gate[0])), 0
        yield graph.both(gate[1], graph.invert(gold[1])), 0


def _together(first: Mapping[str, Bits], second: Mapping[str, Bits]) -> list[tuple[int, int]]:
    return [pair for port, bits in first.items() for pair in zip(bits, second[port], strict=True)]


def _pairs(gold: State, gate: State) -> Iterator[tuple[int, int]]:
    """Yield the registers of the Verilog with what is of the same name in the netlist, a register or a constant.

    What has no register there and always becomes the same value is taken for that constant.
    """
    pairs: dict[tuple[int, int], None] = {}
    words = Counter(word[1] for word in map(WORD_OF.fullmatch, gold.module.named) if word)
    for name, bits in gold.module.named.items():
        for other in _copies(gate.module.named, name, len(bits), words):
            for first, second in zip(bits, other, strict=False):
                if first in gold.registers and (second in (0, 1) or second in gate.registers):
                    pairs[first, second] = None
    values = {first: second for first, second in pairs if second in (0, 1)}
    paired = {first for first, _ in pairs}
    logic = Logic(gold.module, values)
    logic, settled = _settling(gold, logic, [out for out in gold.registers if out not in paired])
    # What a shift register is made of has no names.
    inside: dict[tuple[int, int], None] = {}
    nameless = gate.registers.keys() - {second for _, second in pairs}
    for first, second in pairs:
        while second in gate.registers and (before := gate.registers[second].data) in nameless:
            first, second = _before(logic, gold.registers[first]), before
            if first not in gold.registers or (first, second) in inside:
                break
            inside[first, second] = None
    yield from (*pairs, *inside)
    known = {first for first, _ in inside}
    yield from ((first, second) for first, second in settled.items() if first not in known)


def _copies(named: Mapping[str, Bits], name: str, size: int, words: Mapping[str, int]) -> Iterator[Bits]:
    """Yield the netlist's wires called `name`; of a word of a memory those of each copy of it."""
    yield _of_name(named, name, size, words)
    if word := WORD_OF.fullmatch(name):
        copy = 1
        while f"{word[1]}#{copy}[0]" in named:
            yield _of_name(named, f"{word[1]}#{copy}[{word[2]}]", size, words)
            copy += 1


def _of_name(named: Mapping[str, Bits], name: str, size: int, words: Mapping[str, int]) -> Bits:
    """Return the netlist's wires called `name`, which are `size` in the Verilog, or what they are of a word.

    Yosys makes fewer, wider words of a memory's `words`: then the last one is missing. What is beyond the last one lies
    above the words from the first one on, and above the bits of cells that the words before it leave free.
    """
    word = WORD_OF.fullmatch(name)
    if word is None or f"{word[1]}[0]" not in named:
        return named.get(name, ())
    count = words[word[1].partition("#")[0]]
    if f"{word[1]}[{count - 1}]" in named:
        return named.get(name, ())
    depth = 1
    while f"{word[1]}[{depth}]" in named:
        depth *= 2
    piece, which = divmod(int(word[2]), depth)
    bits = named.get(f"{word[1]}[{which}]", ())
    apart = max(size, len(bits) // -(-count // depth)) if depth > 1 else size
    return bits[piece * apart :][:size]


def _settling(gold: State, logic: Logic, outs: Iterable[int]) -> tuple[Logic, dict[int, int]]:
    """Return those of the registers `outs` that are only ever one value: these are taken for constants.

    They become it or keep it, and begin with it or with any; or do so as long as all of them have what they begin with,
    as a place that counts over one word. Before them: the `logic` in which they have these.
    """
    every: dict[int, int] = {}
    waiting = list(outs)
    while True:
        results = ((gold.registers[out], _one_value(logic, gold.registers[out].data, out)) for out in waiting)
        settled = {one.out: value for one, value in results if value is not None and one.initial in ("x", str(value))}
        settled = settled or _unchanging(gold, logic, waiting)
        if not settled:
            return logic, every
        every |= settled
        logic = logic.further(settled)
        waiting = [out for out in waiting if out not in settled]


def _unchanging(gold: State, logic: Logic, outs: Iterable[int]) -> dict[int, int]:
    """Return those of the registers `outs` that keep what they begin with as long as all of them do."""
    begins = {out: int(gold.registers[out].initial) for out in outs if gold.registers[out].initial in ("0", "1")}
    while True:
        trial = logic.further(begins)
        kept = {out: value for out, value in begins.items() if _keeps(trial, gold.registers[out], value)}
        if len(kept) == len(begins):
            return kept
        begins = kept


def _keeps(logic: Logic, register: Register, value: int) -> bool:
    """Whether a register that has `value` keeps it."""
    reset, data = logic.settle([register.reset, register.data])
    return data in (value, register.out) and (reset == 0 or register.value == value)


def _one_value(logic: Logic, data: int, own: int) -> int | None:
    """Return the constant that a register takes wherever it does not keep its value; None if there is not one."""
    waiting, values = [data], set[int]()
    while waiting:
        (bit,) = logic.settle([waiting.pop()])
        part = logic.part(bit)
        if bit in (0, 1):
            values.add(bit)
        elif part is not None and part.kind in ("choose", "same"):
            waiting += [operand[part.driven.index(bit)] for operand in part.operands[-2:] if part.kind == "choose"]
            waiting += [part.operands[0][part.driven.index(bit)]] if part.kind == "same" else []
        elif bit not in (own, UNDRIVEN):
            return None
    return values.pop() if len(values) == 1 else None


def _before(logic: Logic, register: Register) -> int:
    """Return what a register takes where it does not keep its value, nor is reset: a hint of what is before it."""
    (bit,) = logic.settle([register.data])
    while (part := logic.part(bit)) is not None and part.kind in ("same", "choose", "sum"):
        place = part.driven.index(bit)
        operands = part.operands[part.kind == "choose" :]
        if part.kind == "sum":  # with a number that ends in zeros
            operands = tuple(one for one, other in (operands, operands[::-1])
                             if set(logic.settle(other[: place + 1])) == {0})  # fmt: skip
        taken = {operand[place] for operand in operands}
        taken -= {register.out, UNDRIVEN, 0, 1}
        if len(taken) != 1:
            break
        (bit,) = taken
    return bit


def _variables(
    common: Iterable[tuple[int, int]], states: tuple[State, State], name: str
) -> tuple[tuple[dict[int, int], dict[int, int]], int]:
    """Return the variables of bits of both sides, those that are taken for equal as one, and how many there are.

    Constants are -1 and -2. Registers that have no counterpart are anything, of each side for itself.
    """
    sides, count = ({0: -1, 1: -2}, {0: -1, 1: -2}), 0
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


def written(one: State, variables: Mapping[int, int], registers: Bits, sinks: Bits, algebra: Open) -> list[Ends]:
    """Return what registers become, and then the sinks, as bits of a graph.

    Nets that nothing drives are open.
    """
    ends = {bit: algebra.graph.input(number) if number >= 0 else int(number == -2) for bit, number in variables.items()}
    bits: dict[int, Ends] = {bit: (end, end) for bit, end in ends.items()} | {UNDRIVEN: algebra.any}
    wanted = [bit for out in registers if out > 1 or out < 0 for bit in nexts(one.registers[out])]
    logic = Logic(one.module, {})
    parts, leaves = logic.in_order([*wanted, *sinks], lambda bit: None if bit in bits else logic.part(bit))
    if one.module.single(one.clock) in leaves:
        raise NotProven(f"{one.module.name}: the clock as data")
    bits |= dict.fromkeys(leaves - bits.keys(), algebra.any)
    evaluate(algebra, parts, bits)

    def of(bit: int) -> Ends:
        return bits[logic.settle((bit,))[0]]

    def becomes(out: int) -> Ends:
        if out in (0, 1):
            return algebra.one if out else algebra.zero
        reset, enable, data = map(of, nexts(one.registers[out]))
        value = algebra.one if one.registers[out].value else algebra.zero
        return algebra.choose(reset, algebra.choose(enable, bits[out], data), value)

    return [*map(becomes, registers), *map(of, sinks)]
