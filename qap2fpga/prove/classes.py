# SPDX-License-Identifier: Apache-2.0
"""The largest of values, and which of them it is: for all values.

The number that leaves the chip is that of the largest result, the first of equals; of a pool it is the largest that
leaves. They are compared by ABC with a tournament of the results in their order, in which the first of equals wins.
Every result is any integer within its range, which the layer's proof has shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qap2fpga.exact.integers import width
from qap2fpga.prove.algebra import Ands
from qap2fpga.prove.cells import Bits, NotProven, Refuted, at_least, evaluate
from qap2fpga.prove.equivalence import equal
from qap2fpga.prove.layers import Layer
from qap2fpga.prove.linear import Value
from qap2fpga.prove.pipeline import Pipeline

NAME, LARGEST = "class", "largest"
# An integer as bits of a graph, lowest first, in the order of unsigned numbers: two's complement, its sign inverted.
Word = list[int]


def prove(pipeline: Pipeline, values: Sequence[Value], number: Bits, place: Path, limit_s: float) -> int | None:
    """Return the stage of `number`, the class of `values`; None for a constant. Raises `NotProven`."""
    size = _size(values)

    def expected(graph: Ands, words: list[Word]) -> Word:
        index = _first_of_largest(graph, [_ordered(graph, *pair, size) for pair in zip(words, values, strict=True)])[1]
        if len(number) < len(index):
            raise NotProven(f"the class has {len(number)} bits, not {len(index)}")
        return index + [graph.zero] * (len(number) - len(index))

    try:
        return _compared(pipeline, values, number, expected, place, NAME, limit_s)
    except Refuted as error:
        raise NotProven("the class is not the number of the first of the largest results") from error


def largest(
    pipeline: Pipeline, layer: Layer, values: Sequence[Value], floors: Sequence[int], place: Path, limit_s: float
) -> tuple[Value, ...]:
    """Return the values on the lanes of `layer`: per channel the largest of `values`, channels fastest.

    One at least is not below the channel's floor: a window sees more than pads.
    """
    channels, size, bits = len(layer.lanes), _size(values), list[int]()
    for lane in layer.lanes:
        bits += [*lane.bits, *[lane.bits[-1] if lane.signed else 0] * (size - len(lane.bits))]

    def expected(graph: Ands, words: list[Word]) -> Word:
        ordered = [_ordered(graph, *pair, size) for pair in zip(words, values, strict=True)]
        result = []
        for channel, lane in enumerate(layer.lanes):
            best = _in_order(graph, _first_of_largest(graph, ordered[channel::channels])[0], signed=True)
            result += best + [best[-1] if lane.signed else graph.zero] * (len(lane.bits) - size)
        return result

    def possible(graph: Ands, words: list[Word]) -> list[Word]:
        ordered = [_ordered(graph, *pair, size) for pair in zip(words, values, strict=True)]
        for channel, floor in enumerate(floors):
            best, least = _first_of_largest(graph, ordered[channel::channels])[0], _constant(floor, size)
            enough = at_least(graph, best, _in_order(graph, least, signed=True))
            at = next((at for at in range(channel, len(values), channels) if values[at].high > floor), channel)
            words[at] = [graph.choose(enough, bit, own) for own, bit in zip(words[at], least, strict=False)]
        return words

    try:
        stage = _compared(pipeline, values, tuple(bits), expected, place, LARGEST, limit_s, possible)
    except NotProven as error:
        what = "a result is not the largest of its window" if isinstance(error, Refuted) else error
        raise NotProven(f"layer {layer.name}: {what}") from error
    groups = [values[channel::channels] for channel in range(channels)]
    ends = [(max(floor, *(one.low for one in group)), max(one.high for one in group))
            for floor, group in zip(floors, groups, strict=True)]  # fmt: skip
    return tuple(Value(lane.bits, lane.signed, *end, stage) for lane, end in zip(layer.lanes, ends, strict=True))


def _size(values: Sequence[Value]) -> int:
    return max(width(min(value.low, -1), value.high) for value in values)


def _compared(
    pipeline: Pipeline, values: Sequence[Value], outputs: Bits, expected: Callable[[Ands, list[Word]], Word],
    place: Path, name: str, limit_s: float, possible: Callable[[Ands, list[Word]], list[Word]] = lambda _, words: words,
) -> int | None:  # fmt: skip
    """Return the stage of `outputs`, which are what is `expected` of any integers within the ranges of `values`.

    `possible` makes of integers some that come together; of these it makes themselves.
    """
    moving = pipeline.moving.settled
    # Constants belong to the stage of the others, if they have come by then.
    stages = {value.stage for value in values if value.stage is not None}
    stage = max(stages, default=0)
    if len(stages) > 1:
        raise NotProven(f"{name}: values come from stages {sorted(stages)}")
    if any(value.late > stage for value in values):
        raise NotProven(f"{name}: one of the values becomes constant after stage {stage}")
    leaves = {bit: stage for value in values for bit in value.bits if moving.get(bit, bit) not in (0, 1)}
    cone = pipeline.cone(outputs, leaves)
    graph = Ands(len(leaves))
    bits = {0: 0, 1: 1, **moving, **{bit: graph.input(at) for at, bit in enumerate(leaves)}}
    words = possible(graph, [_within(graph, value, [bits[bit] for bit in value.bits]) for value in values])
    for value, word in zip(values, words, strict=True):
        bits.update({bit: own for bit, own in zip(value.bits, word, strict=True) if bits[bit] > 1})
    evaluate(graph, cone.parts, bits)
    wanted, actual = expected(graph, words), [bits[bit] for bit in cone.outputs]
    equal(graph, {pair for pair in zip(wanted, actual, strict=True) if pair[0] != pair[1]}, place, name, limit_s)
    return cone.stage(cone.outputs)


def _within(graph: Ands, value: Value, free: Word) -> Word:
    """Return the bits of any integer of the value's range: `free` where they are one, else its smallest."""
    size = len(free)
    every = range(-(1 << size - 1), 1 << size - 1) if value.signed else range(1 << size)
    if value.low not in every or value.high not in every:
        raise NotProven(f"{value.low} to {value.high} do not lie in {size} bits")
    order, low, high = (_in_order(graph, word, value.signed) for word in
                        (free, _constant(value.low, size), _constant(value.high, size)))  # fmt: skip
    inside = graph.both(at_least(graph, order, low), at_least(graph, high, order))
    return [graph.choose(inside, least, own) for own, least in zip(free, _constant(value.low, size), strict=True)]


def _constant(number: int, size: int) -> Word:
    return [number >> place & 1 for place in range(size)]


def _in_order(graph: Ands, word: Word, signed: bool) -> Word:
    return [*word[:-1], graph.invert(word[-1])] if signed else word


def _ordered(graph: Ands, word: Word, value: Value, size: int) -> Word:
    """Return the integer on `word` in `size` bits, which hold it."""
    fill = word[-1] if value.signed else graph.zero
    return _in_order(graph, [*word, *[fill] * size][:size], signed=True)


def _first_of_largest(graph: Ands, words: Sequence[Word]) -> tuple[Word, Word]:
    """Return the largest and its number, lowest bit first: of two in their order the first stays unless it is less."""
    size = width(0, len(words) - 1)
    work = [(word, _constant(number, size)) for number, word in enumerate(words)]
    while len(work) > 1:
        rounds = []
        for (first, its), (second, other) in zip(work[::2], work[1::2], strict=False):
            stays = at_least(graph, first, second)
            rounds.append(tuple([graph.choose(stays, b, a) for a, b in zip(*pair, strict=True)]
                                for pair in ((first, second), (its, other))))  # fmt: skip
        work = [*((best, index) for best, index in rounds), *work[len(work) // 2 * 2 :]]
    return work[0]
