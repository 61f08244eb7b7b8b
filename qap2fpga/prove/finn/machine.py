# SPDX-License-Identifier: Apache-2.0
"""A module is what it is said to be: in every cycle, for all inputs, in every state that it can reach.

What a module means is written down as a function of its inputs and of what its registers hold: what it gives, what the
registers become, and what always holds of them. The last one holds at the start, and stays so: by induction it always
does. Names of registers are hints: one that is not there, or is another one, proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from qap2fpga.prove import states
from qap2fpga.prove.algebra import Ands, Open
from qap2fpga.prove.cells import FUNCTIONS, NotProven, Refuted, at_least
from qap2fpga.prove.equivalence import equal
from qap2fpga.prove.reading import Module, Modules

CLOCK = "ap_clk"
# A number, or bits, lowest first: bits of a graph of ANDs.
Word = list[int]
Values = Mapping[str, Word]


class Words:
    """What meanings are made of: numbers on bits of a graph."""

    def __init__(self, graph: Ands) -> None:
        self.graph = graph

    def constant(self, number: int, size: int) -> Word:
        """Return a number, modulo 2**size."""
        return [number >> place & 1 for place in range(size)]

    def wider(self, word: Word, size: int, *, signed: bool) -> Word:
        """Return the number on `word` in `size` bits, modulo 2**size."""
        return [*word, *[word[-1] if signed else 0] * size][:size]

    def plus(self, first: Word, second: Word) -> Word:
        """Return a sum, modulo 2**n for numbers of n bits."""
        total: Word = FUNCTIONS["sum"](self.graph, [first, second])
        return total

    def times(self, first: Word, second: Word) -> Word:
        """Return a product, modulo 2**n for numbers of n bits."""
        total: Word = FUNCTIONS["product"](self.graph, [first, second])
        return total

    def signed_product(self, number: Word, weight: Word) -> Word:
        """Return the number times a signed `weight`, whose top bit counts negative, modulo 2**n for n bits."""
        total = self.constant(0, len(number))
        for place, bit in enumerate(weight):
            row = [0] * place + [self.graph.both(bit, one) for one in number[: len(number) - place]]
            top = place == len(weight) - 1
            total = FUNCTIONS["difference" if top else "sum"](self.graph, [total, row])
        return total

    def is_equal(self, word: Word, other: Word | int) -> int:
        """Return whether two numbers are equal."""
        if isinstance(other, int) and other >> len(word):
            return 0
        other = self.constant(other, len(word)) if isinstance(other, int) else other
        return int(FUNCTIONS["equal"](self.graph, [word, other])[0])

    def is_larger(self, word: Word, other: Word) -> int:
        """Return whether the signed number `word` is larger."""
        first, second = ([*one[:-1], one[-1] ^ 1] for one in (word, other))
        return at_least(self.graph, second, first) ^ 1

    def is_below(self, word: Word, limit: int) -> int:
        """Return whether an unsigned number is below `limit`."""
        size = max(len(word), limit.bit_length())
        return at_least(self.graph, self.wider(word, size, signed=False), self.constant(limit, size)) ^ 1

    def every(self, bits: Iterable[int]) -> int:
        """Return whether all bits are 1."""
        result = 1
        for bit in bits:
            result = self.graph.both(result, bit)
        return result

    def some(self, bits: Iterable[int]) -> int:
        """Return whether a bit is 1."""
        return self.every(bit ^ 1 for bit in bits) ^ 1

    def choose(self, condition: int, then: Word, otherwise: Word) -> Word:
        """Return `then` where `condition`, else `otherwise`."""
        return [self.graph.choose(condition, b, a) for a, b in zip(then, otherwise, strict=True)]

    def of(self, index: Word, words: Sequence[Word]) -> Word:
        """Return the one of `words` that `index` says; the last one beyond them."""
        self._require(len(index), len(words))
        filled = [*words, *[words[-1]] * ((1 << len(index)) - len(words))]
        return [FUNCTIONS["pick"](self.graph, [index, list(column)])[0] for column in zip(*filled, strict=True)]

    def next_of(self, count: Word, size: int) -> Word:
        """Return what comes after `count` from 0 to `size` - 1, over and over."""
        self._require(len(count), size)
        return self.choose(self.is_equal(count, size - 1), self.constant(0, len(count)),
                           self.plus(count, self.constant(1, len(count))))  # fmt: skip

    def _require(self, bits: int, count: int) -> None:
        """Raise `NotProven` where so many bits do not count so far."""
        if count > 1 << bits:
            raise NotProven(f"a register of {bits} bits does not count {count}")


@dataclass(frozen=True)
class Meaning:
    """What a module gives, by port, what its registers become, by name, and what always holds of them.

    A register that `matters` names becomes that where this bit is 1; else anything.
    """

    gives: Values
    becomes: Values
    always: int = 1
    matters: Mapping[str, int] = field(default_factory=dict)


Spec = Callable[[Words, Values], Meaning]


def check(
    module: Module, begins: Mapping[str, int | None], spec: Spec, place: Path, name: str, limit_s: float,
    besides: Sequence[str] = (),
) -> int:  # fmt: skip
    """Prove that `module` means `spec`, and return how many bits were compared.

    `begins` are the registers that `spec` speaks of, with the number at the start, None for any. Of the outputs
    `besides` it says nothing. Raises `NotProven`.
    """
    one = states.State(module, Modules(), CLOCK)
    held = {register: module.named.get(register, ()) for register in begins}
    nets = [*chain.from_iterable(one.sources.values()), *one.registers]
    if not all(bits and set(bits) <= one.registers.keys() for bits in held.values()):
        raise NotProven(f"{name}: there is no register {', '.join(held)}")
    if any(held[port] != one.sinks[port] for port in held.keys() & one.sinks.keys()):
        raise NotProven(f"{name}: an output is called as a register that it is not")
    variables = {0: -1, 1: -2} | {net: number for number, net in enumerate(nets)}
    graph = Ands(len(nets))
    words = Words(graph)
    values = {
        port: [graph.input(variables[bit]) for bit in bits] for port, bits in (one.sources | held).items()
    }  # fmt: skip
    first = _first(one, held, begins, values, name)
    try:
        meaning = spec(words, values)
        after, start = (spec(words, {**values, **state}) for state in (meaning.becomes, first))
    except (ValueError, IndexError, KeyError) as error:
        raise NotProven(f"{name}: it has ports or registers of other sizes than its kind") from error
    except NotProven as error:
        raise NotProven(f"{name}: {error}") from error
    nets_of = held | one.sinks
    expected = {**meaning.becomes, **meaning.gives}
    missing = nets_of.keys() - expected.keys() - set(besides)
    if missing or any(len(nets_of.get(key, ())) != len(word) for key, word in expected.items()):
        raise NotProven(f"{name}: it has other ports or registers than its kind")
    registers, sinks = ([bit for key in every for bit in nets_of[key]] for every in (meaning.becomes, meaning.gives))
    written = states.written(one, variables, tuple(registers), tuple(sinks), Open(graph))
    bits = [
        (graph.both(meaning.always, meaning.matters.get(key, 1)), bit) for key, word in expected.items() for bit in word
    ]
    wrong = [
        graph.both(where, graph.differ(end, bit))
        for ends, (where, bit) in zip(written, bits, strict=True) for end in set(ends)
    ]  # fmt: skip
    wrong += [graph.both(meaning.always, after.always ^ 1), start.always ^ 1]
    try:
        equal(graph, {(bit, 0) for bit in wrong if bit}, place, name, limit_s)
    except Refuted as error:
        raise NotProven(f"{name}: it does something else than its kind, in a state that may be reached") from error
    return len(bits)


def _first(
    one: states.State, held: Mapping[str, tuple[int, ...]], begins: Mapping[str, int | None], values: Values, name: str
) -> Values:
    """Return what the registers hold at the start. Raises `NotProven` where they begin with something else."""
    first: dict[str, Word] = {}
    for register, number in begins.items():
        bits = held[register]
        if number is None:
            first[register] = values[register]
            continue
        first[register] = [number >> place & 1 for place in range(len(bits))]
        if "".join(one.registers[bit].initial for bit in bits) != "".join(map(str, first[register])):
            raise NotProven(f"{name}: register {register} does not begin as {number}")
    return first
