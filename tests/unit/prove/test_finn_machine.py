# SPDX-License-Identifier: Apache-2.0
"""Words on bits of a graph against plain integers, and a counter that is what it is said to be."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.prove import reading
from qap2fpga.prove.algebra import Ands
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn.machine import Meaning, Values, Word, Words, check
from tests.support.circuits import Cell, content

PAIRS = list(itertools.product(range(8), range(8)))


def words() -> Words:
    return Words(Ands(0))


def value(word: Word, *, signed: bool = False) -> int:
    number = sum(bit << place for place, bit in enumerate(word))
    return number - (word[-1] << len(word)) if signed else number


def test_words_are_numbers() -> None:
    of = words()
    for first, second in PAIRS:
        a, b = of.constant(first, 3), of.constant(second, 3)
        assert value(of.plus(a, b)) == (first + second) % 8 and value(of.times(a, b)) == first * second % 8
        assert of.is_equal(a, b) == of.is_equal(a, second) == (first == second)
        assert of.is_larger(a, b) == (value(a, signed=True) > value(b, signed=True))
        assert of.is_below(a, second) == (first < second) and of.is_below(a, 9) == 1
        assert value(of.next_of(a, second + 1)) == (0 if first == second else (first + 1) % 8)
    assert value(of.wider(of.constant(5, 3), 5, signed=True), signed=True) == -3
    assert value(of.wider(of.constant(5, 3), 5, signed=False)) == 5
    assert [value(of.of(of.constant(at, 2), [[1, 0], [0, 1], [1, 1]])) for at in range(4)] == [1, 2, 3, 3]
    assert (of.every([1, 1]), of.every([1, 0]), of.some([0, 1]), of.some([])) == (1, 0, 1, 0)


# A counter from 0 to 2 that counts while `go`.
COUNTER: list[Cell] = [
    ("$add", {}, {"A": [20, 21], "B": ["1", "0"], "Y": [30, 31]}),
    ("$eq", {}, {"A": [20, 21], "B": ["0", "1"], "Y": [32]}),
    ("$mux", {}, {"S": [32], "A": [30, 31], "B": ["0", "0"], "Y": [33, 34]}),
    ("$mux", {}, {"S": [5], "A": [20, 21], "B": [33, 34], "Y": [35, 36]}),
    ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [2], "D": [35, 36], "Q": [20, 21]}),
]  # fmt: skip


def counter(begins: str = "00", name: str = "at") -> reading.Module:
    named: dict[str, Any] = {name: ([20, 21], begins)}
    return reading.modules(content({"ap_clk": [2], "go": [5]}, {"y": [20, 21]}, COUNTER, named))["m"]


def counts(of: Words, values: Values) -> Meaning:
    """A counter never is 3."""
    at, (goes,) = values["at"], values["go"]
    onward = of.choose(of.every([at[0] ^ 1, at[1]]), of.constant(0, 2), of.plus(at, of.constant(1, 2)))
    return Meaning({"y": at}, {"at": of.choose(goes, onward, at)}, of.is_below(at, 3))


def wraps(of: Words, values: Values) -> Meaning:
    """The same where it cannot be 3: what comes after 3 is another number."""
    meaning = counts(of, values)
    at, (goes,) = values["at"], values["go"]
    onward = of.of(at, [of.constant(number, 2) for number in (1, 2, 0, 2)])
    return Meaning(meaning.gives, {"at": of.choose(goes, onward, at)}, meaning.always)


def without_always(of: Words, values: Values) -> Meaning:
    meaning = wraps(of, values)
    return Meaning(meaning.gives, meaning.becomes)


def too_little(of: Words, values: Values) -> Meaning:
    meaning = counts(of, values)
    return Meaning(meaning.gives, meaning.becomes, of.is_below(values["at"], 2))


def without_port(of: Words, values: Values) -> Meaning:
    meaning = counts(of, values)
    return Meaning({}, meaning.becomes, meaning.always)


def test_a_counter_is_one_in_every_state_that_it_reaches(tmp_path: Path) -> None:
    for spec in (counts, wraps):
        assert check(counter(), {"at": 0}, spec, tmp_path, "m", 30) == 4
    assert check(counter(), {"at": 0}, without_port, tmp_path, "m", 30, besides=["y"]) == 2


def test_what_it_is_not_is_not_proven(tmp_path: Path) -> None:
    for spec in (without_always, too_little):
        with pytest.raises(NotProven, match="m: it does something else than its kind"):
            check(counter(), {"at": 0}, spec, tmp_path, "m", 30)
    with pytest.raises(NotProven, match="other ports or registers"):
        check(counter(), {"at": 0}, without_port, tmp_path, "m", 30)
    with pytest.raises(NotProven, match="register at does not begin as 0"):
        check(counter("10"), {"at": 0}, counts, tmp_path, "m", 30)
    with pytest.raises(NotProven, match="there is no register at"):
        check(counter(name="other"), {"at": 0}, counts, tmp_path, "m", 30)
    with pytest.raises(NotProven, match="something else"):
        check(counter(), {"at": None}, counts, tmp_path, "m", 30)
