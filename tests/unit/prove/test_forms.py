# SPDX-License-Identifier: Apache-2.0
"""Linear forms of logic: what other tools' adders need, each over all inputs, and what is none."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from qap2fpga.prove.algebra import Known
from qap2fpga.prove.cells import Part, evaluate
from qap2fpga.prove.forms import Forms
from qap2fpga.prove.linear import ONE, Form, Value, unknown_of
from qap2fpga.prove.pipeline import Pipeline
from tests.support.circuits import CLOCK, MOVE, Bit, Cell, module

A, B = (10, 11, 12), (13, 14, 15)
Bits = tuple[int, ...]


def forms(cells: list[Cell], wanted: Bits, values: list[Value], names: dict[str, list[Bit]] | None = None) -> Forms:
    ports: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "a": list(A), "b": list(B)}
    pipeline = Pipeline(module(ports, {"y": list(wanted)}, cells, names or {}), CLOCK, MOVE)
    cone = pipeline.cone(wanted, dict.fromkeys([*A, *B], 0))
    result = Forms(cone, values, [tuple(bits) for bits in (names or {}).values()])
    _hold(result, cone.parts, values)
    return result


def _hold(its: Forms, parts: tuple[Part, ...], values: list[Value]) -> None:
    """Every form says what its bit is, for all values."""
    for numbers in itertools.product(*(range(value.low, value.high + 1) for value in values)):
        bits: dict[int, int | None] = {0: 0, 1: 1}
        for value, number in zip(values, numbers, strict=True):
            bits.update((bit, number >> place & 1) for place, bit in enumerate(value.bits))
        evaluate(Known(), parts, bits)
        unknowns = {ONE: 1, **{bit: value or 0 for bit, value in bits.items() if bit > 1}}
        unknowns |= {unknown_of(at): number for at, number in enumerate(numbers)}
        for bit in [bit for part in parts for bit in part.driven]:
            form = its.bit(bit)
            total = sum(Fraction(unknowns[one] * factor, 1 << form.shift) for one, factor in form.terms.items())
            assert total == bits[bit]


def values(low: int = -4, high: int = 3, *, signed: bool = True) -> list[Value]:
    return [Value(A, signed, low, high), Value(B, signed, low, high)]


def terms(form: Form) -> dict[int, int]:
    """Return the factors of the values, 0 and 1, and of ONE, 2, if the form is over these alone."""
    assert form.shift == 0 and set(form.terms) <= {unknown_of(0), unknown_of(1), ONE}
    return {
        at: form.terms[unknown]
        for at, unknown in enumerate((unknown_of(0), unknown_of(1), ONE))
        if unknown in form.terms
    }


def test_low_bits_of_a_negative_lend_from_a_sum_above() -> None:
    """4 * a - b as alkaid writes it: -b in two bits, and what is above less whether any of these was 1."""
    cells: list[Cell] = [
        ("$neg", {}, {"A": [13, 14], "Y": [20, 21]}),
        ("$reduce_or", {}, {"A": [13, 14], "Y": [22]}),
        ("$sub", {}, {"A": [10, 11, 12, 12, 12], "B": [15, 15, 15, 15, 15], "Y": [30, 31, 32, 33, 34]}),
        ("$sub", {}, {"A": [30, 31, 32, 33, 34], "B": [22, "0", "0", "0", "0"], "Y": [40, 41, 42, 43, 44]}),
    ]
    both = (20, 21, 40, 41, 42, 43, 44)
    assert terms(forms(cells, both, values()).vector(both)) == {0: 4, 1: -1}
    other: list[Cell] = [*cells[:1], ("$reduce_or", {}, {"A": [13], "Y": [22]}), *cells[2:]]
    assert not set(forms(other, both, values()).vector(both).terms) <= {unknown_of(0), unknown_of(1)}


def test_bits_that_are_those_of_another_sum_are_one() -> None:
    """The low bits of a - b in two widths, above which parts are put together from both."""
    cells: list[Cell] = [
        ("$sub", {}, {"A": [10, 11], "B": [13, 14], "Y": [20, 21]}),
        ("$sub", {}, {"A": [10, 11, 12, 12], "B": [13, 14, 15, 15], "Y": [30, 31, 32, 33]}),
    ]
    mixed = (20, 21, 32, 33)
    assert terms(forms(cells, (*mixed, 30), values()).vector(mixed)) == {0: 1, 1: -1}


def test_a_sum_of_bits_that_repeat_is_a_sign() -> None:
    """1 - c, of a bit c that is repeated: all ones are -1."""
    cells: list[Cell] = [("$not", {}, {"A": [10], "Y": [20]}),
                         ("$add", {}, {"A": [20, 20, 20], "B": ["1", "0", "0"], "Y": [30, 31, 32]})]  # fmt: skip
    its = forms(cells, (30, 31, 32), [Value((10,), False, 0, 1), Value(B, True, -4, 3)])
    assert terms(its.vector((30, 31, 32))) == {0: 1}


@pytest.mark.parametrize("constant", ["101", "011"])
def test_a_sum_may_wrap_a_known_number_of_times(constant: str) -> None:
    """a + 5 of 3 bits where a is at least 5 is a - 3; where a is anything it is no form."""
    cells: list[Cell] = [("$add", {}, {"A": [10, 11, 12], "B": list(constant[::-1]), "Y": [20, 21, 22]})]
    its = forms(cells, (20, 21, 22), [Value(A, False, 5, 7), Value(B, True, -4, 3)])
    assert terms(its.vector((20, 21, 22))) == {0: 1, 2: int(constant, 2) - 8}
    loose = forms(cells, (20, 21, 22), [Value(A, False, 0, 7), Value(B, True, -4, 3)])
    assert set(loose.vector((20, 21, 22)).terms) == {20, 21, 22}


def test_bits_of_one_wire_are_a_factor() -> None:
    cells: list[Cell] = [("$add", {}, {"A": [10, 10, "0"], "B": [13, "0", "0"], "Y": [20, 21, 22]})]
    its = forms(cells, (20, 21, 22), [Value((10,), False, 0, 1), Value((13,), False, 0, 1)])
    assert terms(its.vector((20, 21, 22))) == {0: 3, 1: 1}


def test_a_table_of_sums_is_a_sum() -> None:
    """2 * a0 + 3 * a1 - 1, looked up, as a number with a sign; another table is no form."""
    table = [-1, 1, 2, 4]
    y = (20, 21, 22, 23)

    def looked_up(numbers: list[int]) -> Forms:
        cells: list[Cell] = [
            ("$bmux", {}, {"A": [str(number >> place & 1) for number in numbers for place in range(4)], "S": [10, 11],
                           "Y": list(y)}),
        ]  # fmt: skip
        its = [Value((10,), False, 0, 1), Value((11,), False, 0, 1)]
        return forms(cells, y, its, {"y": list(y)})

    assert terms(looked_up(table).vector(y)) == {0: 2, 1: 3, 2: -1}
    assert set(looked_up([-1, 1, 2, 5]).vector(y).terms) == set(y)


@pytest.mark.parametrize("size", [62, 63, 64, 100])
def test_vectors_of_more_bits_than_integers_have_are_left_alone(size: int) -> None:
    cells: list[Cell] = [("$xor", {}, {"A": [10], "B": [13], "Y": [20]})]
    its = forms(cells, (20,), values(), {"y": [20] * size})
    assert its.bit(20) == Form({20: 1})
