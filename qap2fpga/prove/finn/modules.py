# SPDX-License-Identifier: Apache-2.0
"""What our own modules mean (`qap_` in flows/finn), one function each: streams with a handshake, beat by beat.

A beat passes in a cycle in which TVALID and TREADY are both high. Lanes of a beat lie side by side, the first one
lowest. `gives` and `becomes` are of one cycle; after a reset registers are what they are at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qap2fpga.prove.finn.machine import Meaning, Spec, Values, Word, Words

# Registers at the start; None: any.
Begins = Mapping[str, int | None]
Lane = Callable[[Words, Word], Word]
VALID, READY, DATA = ("in0_V_TVALID", "out0_V_TREADY", "in0_V_TDATA")


@dataclass(frozen=True)
class Kind:
    """What a module is: its registers as they begin, and what they and its ports mean."""

    begins: Begins
    spec: Spec


def wires(lanes: int, bits: int, lane: Lane) -> Kind:
    """Each beat passes at once, every lane of so many `bits` as `lane` makes it."""

    def spec(words: Words, values: Values) -> Meaning:
        return Meaning({
            "in0_V_TREADY": values[READY], "out0_V_TVALID": values[VALID],
            "out0_V_TDATA": beat_of([lane(words, one) for one in lanes_of(values[DATA], lanes, bits)]),
        }, {})  # fmt: skip

    return Kind({}, spec)


def weights(contents: Sequence[Word], size: int) -> Kind:
    """The words of a memory are given over and over, the first one first; each until it is taken.

    While one is there, `address` is that of the next one.
    """
    depth = len(contents)
    address, data, valid = (f"gen_cycle.{name}" for name in ("address", "data", "valid"))

    def single(words: Words, values: Values) -> Meaning:
        return Meaning({"out0_V_TVALID": [1], "out0_V_TDATA": contents[0]}, {})

    def spec(words: Words, values: Values) -> Meaning:
        (there,), (ready,), (runs,) = values[valid], values[READY], values["ap_rst_n"]
        at = values[address]
        load = words.some([there ^ 1, ready])
        following = words.choose(load, words.next_of(at, depth), at)
        before = words.choose(words.is_equal(at, 0), words.constant(depth - 1, size),
                              words.plus(at, words.constant(-1, size)))  # fmt: skip
        offered = words.is_equal(values[data], words.of(before, contents))
        return Meaning(
            {"out0_V_TVALID": [there], "out0_V_TDATA": values[data]},
            {address: words.choose(runs, following, words.constant(0, size)), valid: [runs],
             data: words.choose(load, words.of(at, contents), values[data])},
            words.every([words.is_below(at, depth), words.graph.choose(there, words.is_equal(at, 0), offered)]),
        )  # fmt: skip

    return Kind({}, single) if depth == 1 else Kind({address: 0, data: None, valid: 0}, spec)


def fork(ways: int) -> Kind:
    """Every reader gets each beat once: `done` are those that have the beat that is there."""

    def spec(words: Words, values: Values) -> Meaning:
        (valid,), (runs,), done = values[VALID], values["ap_rst_n"], values["done"]
        served = [words.some(pair) for pair in zip(done, values[READY], strict=True)]
        every = words.every(served)
        after = words.choose(every, [0] * ways, served)
        return Meaning(
            {"in0_V_TREADY": [every], "out0_V_TVALID": [words.every([valid, one ^ 1]) for one in done],
             "out0_V_TDATA": values[DATA] * ways},
            {"done": words.choose(runs, words.choose(valid, after, done), [0] * ways)},
        )  # fmt: skip

    return Kind({"done": 0}, spec)


def concat(beats: Sequence[int], width: int) -> Kind:
    """Of each source so many `beats` in its turn; `count` is that of the beat that comes next, from 1."""

    def spec(words: Words, values: Values) -> Meaning:
        turn, count, (ready,), (runs,) = values["turn"], values["count"], values[READY], values["ap_rst_n"]
        own = [words.is_equal(turn, at) for at in range(len(beats))]
        most = words.of(turn, [words.constant(number, len(count)) for number in beats])
        (there,) = words.of(turn, [[one] for one in values[VALID]])
        passes, last = words.every([there, ready]), words.is_equal(count, most)
        following = words.choose(last, words.next_of(turn, len(beats)), turn)
        one = words.constant(1, len(count))
        counted = words.choose(last, one, words.plus(count, one))
        return Meaning(
            {"in0_V_TREADY": [words.every([mine, ready]) for mine in own], "out0_V_TVALID": [there],
             "out0_V_TDATA": words.of(turn, lanes_of(values[DATA], len(beats), width))},
            {"turn": words.choose(runs, words.choose(passes, following, turn), words.constant(0, len(turn))),
             "count": words.choose(runs, words.choose(passes, counted, count), one)},
            words.every([words.is_below(turn, len(beats)), words.some(count),
                         words.is_larger([*count, 0], [*most, 0]) ^ 1]),
        )  # fmt: skip

    return Kind({"turn": 0, "count": 1}, spec)


def pool(lanes: int, taps: int, bits: int, *, signed: bool) -> Kind:
    """The largest of each `taps` beats, lane by lane: `most` is that of the first `tap` of them."""
    most = [f"gen_lane[{lane}].most" for lane in range(lanes)]

    def spec(words: Words, values: Values) -> Meaning:
        tap, (valid,), (runs,) = values["tap"], values["valid"], values["ap_rst_n"]
        move = words.some([valid ^ 1, *values[READY]])
        take, last = words.every([move, *values[VALID]]), words.is_equal(tap, taps - 1)
        becomes = {}
        for name, lane in zip(most, lanes_of(values[DATA], lanes, bits), strict=True):
            pair = (words.wider(one, bits + 1, signed=signed) for one in (lane, values[name]))
            larger = words.some([words.is_equal(tap, 0), words.is_larger(*pair)])
            becomes[name] = words.choose(words.every([take, larger]), lane, values[name])
        following = words.choose(take, words.next_of(tap, taps), tap)
        valid_next = words.graph.choose(move, valid, words.every([take, last]))
        return Meaning(
            {"in0_V_TREADY": [move], "out0_V_TVALID": [valid],
             "out0_V_TDATA": beat_of([values[name] for name in most])},
            {**becomes, "tap": words.choose(runs, following, words.constant(0, len(tap))),
             "valid": [words.every([runs, valid_next])]},
            words.is_below(tap, taps),
        )  # fmt: skip

    return Kind({**dict.fromkeys(most), "tap": 0, "valid": 0}, spec)


def total(factors: Sequence[int], lanes: int, bits: int, size: int, *, signed: bool) -> Kind:
    """A sum of a beat of each source, lane by lane, each times its factor, modulo 2**`size`, a cycle later."""
    sums = [f"gen_lane[{lane}].sum" for lane in range(lanes)]

    def spec(words: Words, values: Values) -> Meaning:
        (valid,), (runs,) = values["valid"], values["ap_rst_n"]
        move = words.some([valid ^ 1, *values[READY]])
        take = words.every([move, *values[VALID]])
        width = len(values[DATA]) // len(factors)
        beats = [lanes_of(one, lanes, bits) for one in lanes_of(values[DATA], len(factors), width)]
        becomes = {}
        for lane, name in enumerate(sums):
            result = words.constant(0, size)
            for factor, beat in zip(factors, beats, strict=True):
                value = words.wider(beat[lane], size, signed=signed)
                result = words.plus(result, words.times(value, words.constant(factor, size)))
            becomes[name] = words.choose(take, result, values[name])
        return Meaning(
            {"in0_V_TREADY": [take] * len(factors), "out0_V_TVALID": [valid],
             "out0_V_TDATA": beat_of([values[name] for name in sums])},
            {**becomes, "valid": [words.every([runs, words.graph.choose(move, valid, take)])]},
        )  # fmt: skip

    return Kind({**dict.fromkeys(sums), "valid": 0}, spec)


def largest(lanes: int, fold: int, bits: int, size: int, *, signed: bool) -> Kind:
    """The number of the first of the largest of `fold` beats: `most` and `most_index` are those of the beats so far."""
    names = ("fold", "base", "valid", "index", "most", "most_index")

    def spec(words: Words, values: Values) -> Meaning:
        at, base, (valid,), index, most, best = (values[name] for name in names)
        (runs,), (ready,) = values["ap_rst_n"], values[READY]
        last = words.is_equal(at, fold - 1)
        takes = words.some([last ^ 1, valid ^ 1, ready])
        move = words.every([takes, *values[VALID]])
        for lane, beat in enumerate(lanes_of(values[DATA], lanes, bits)):
            value = words.wider(beat, bits + 1, signed=signed)
            first = words.is_equal(at, 0) if lane == 0 else 0
            larger = words.some([first, words.is_larger(value, most)])
            most = words.choose(larger, value, most)
            best = words.choose(larger, words.plus(base, words.constant(lane, size)), best)
        ends = words.every([move, last])
        zero = words.constant(0, size)
        onward = words.choose(last, zero, words.plus(base, words.constant(lanes, size)))
        there = words.graph.choose(ends, words.every([valid, ready ^ 1]), 1)
        return Meaning(
            {"in0_V_TREADY": [takes], "out0_V_TVALID": [valid], "out0_V_TDATA": beat_of([index])},
            {"fold": words.choose(runs, words.choose(move, words.next_of(at, fold), at), words.constant(0, len(at))),
             "base": words.choose(runs, words.choose(move, onward, base), zero),
             "valid": [words.every([runs, there])],
             "index": words.choose(words.every([runs, ends]), best, index),
             "most": words.choose(move, most, values["most"]),
             "most_index": words.choose(move, best, values["most_index"])},
            words.every([words.is_below(at, fold),
                         words.is_equal(base, words.times(words.wider(at, size, signed=False),
                                                          words.constant(lanes, size)))]),
        )  # fmt: skip

    return Kind(dict.fromkeys(names, 0), spec)


def kernels(lanes: int, taps: int, bits: int, weight_bits: int, size: int, *, signed: bool) -> Kind:
    """Sums of `taps` beats, lane by lane, each times its weight, modulo 2**`size`, two cycles later.

    `product` is of the beat before, `first` or `last` of a sum if it is one: `multiplied`.
    """
    products, sums = ([f"gen_lane[{lane}].{name}" for lane in range(lanes)] for name in ("product", "sum"))

    def spec(words: Words, values: Values) -> Meaning:
        names = ("multiplied", "first", "last", "valid", "ap_rst_n", READY, VALID, "in1_V_TVALID")
        multiplied, first, last, valid, runs, ready, there, weighted = (values[name][0] for name in names)
        tap = values["tap"]
        move = words.some([valid ^ 1, ready])
        take = words.every([move, there, weighted])
        factors = lanes_of(values["in1_V_TDATA"], lanes, weight_bits)
        becomes = {}
        for lane, beat in enumerate(lanes_of(values[DATA], lanes, bits)):
            result = words.times(words.wider(beat, size, signed=signed), words.wider(factors[lane], size, signed=True))
            held, summed = values[products[lane]], values[sums[lane]]
            before = words.choose(first, words.constant(0, size), summed)
            becomes[products[lane]] = words.choose(move, result, held)
            becomes[sums[lane]] = words.choose(words.every([move, multiplied]), words.plus(before, held), summed)
        moved = {
            "tap": words.choose(take, words.next_of(tap, taps), tap), "multiplied": [take],
            "valid": [words.every([multiplied, last])],
        }  # fmt: skip
        kept = {name: words.choose(move, word, values[name]) for name, word in moved.items()}
        which = {"first": [words.is_equal(tap, 0)], "last": [words.is_equal(tap, taps - 1)]}
        now = words.every([runs, move])
        return Meaning(
            {"in0_V_TREADY": [words.every([move, weighted])], "in1_V_TREADY": [words.every([move, there])],
             "out0_V_TVALID": [valid], "out0_V_TDATA": beat_of([values[name] for name in sums])},
            {**becomes, **{name: words.choose(now, word, values[name]) for name, word in which.items()},
             **{name: words.choose(runs, word, words.constant(0, len(word))) for name, word in kept.items()}},
            words.is_below(tap, taps),
        )  # fmt: skip

    begins = {"tap": 0, "multiplied": 0, "first": 0, "last": 0, "valid": 0}
    return Kind({**dict.fromkeys([*products, *sums]), **begins}, spec)


def queue(fold: int) -> Kind:
    """A pipeline: `valid` says for each stage whether a beat is there, all move at once, and `fold` counts what enters.

    What its data are is another matter.
    """

    def spec(words: Words, values: Values) -> Meaning:
        valid, at, (runs,) = values["valid"], values["fold"], values["ap_rst_n"]
        move = words.some([valid[-1] ^ 1, *values[READY]])
        takes = words.every([move, *values[VALID]])
        onward = words.choose(move, [*values[VALID], *valid[:-1]], valid)
        counted = words.choose(takes, words.next_of(at, fold), at)
        return Meaning(
            {"in0_V_TREADY": [move], "out0_V_TVALID": valid[-1:]},
            {"valid": words.choose(runs, onward, words.constant(0, len(valid))),
             "fold": words.choose(runs, counted, words.constant(0, len(at)))},
            words.is_below(at, fold),
        )  # fmt: skip

    return Kind({"valid": 0, "fold": 0}, spec)


def lanes_of(beat: Word, lanes: int, bits: int) -> list[Word]:
    """Return the lanes of a beat, each of so many bits."""
    return [beat[lane * bits :][:bits] for lane in range(lanes)]


def beat_of(lanes: Sequence[Word]) -> Word:
    """Return lanes side by side, up to whole bytes."""
    beat = [bit for lane in lanes for bit in lane]
    return beat + [0] * (-len(beat) % 8)
