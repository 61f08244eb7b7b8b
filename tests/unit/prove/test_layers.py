# SPDX-License-Identifier: Apache-2.0
"""Verilog as linear forms and functions of one number: single cells, and faults that each must be seen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.ir.functions import Function, Logits, Step
from qap2fpga.prove import layers
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.forms import Forms
from qap2fpga.prove.layers import Layer, Proof
from qap2fpga.prove.linear import ONE, Lane, Value, possible, unknown_of
from qap2fpga.prove.pipeline import Pipeline
from tests.support.circuits import CLOCK, MOVE, Bit, Cell, module, register

A, B = [10, 11, 12], [13, 14, 15]
VALUES = [Value(tuple(A), True, -4, 3), Value(tuple(B), True, -4, 3)]
# 3 * a - b: (a + 2 * a) of 5 bits, then the difference of 6.
TRIPLE = [20, 21, 22, 23, 24]
SUM = [30, 31, 32, 33, 34, 35]
ADDERS: list[Cell] = [
    ("$add", {}, {"A": [10, 11, 12, 12, 12], "B": ["0", 10, 11, 12, 12], "Y": TRIPLE}),
    ("$sub", {}, {"A": [*TRIPLE, 24], "B": [13, 14, 15, 15, 15, 15], "Y": SUM}),
]
# Whether the sum is 2 or more, for -15 to 13.
TABLE: list[Bit] = ["1" if 2 <= number < 32 else "0" for number in range(64)]
LOOKED_UP: list[Cell] = [("$shiftx", {}, {"A": TABLE, "B": SUM, "Y": [40]}), *register([40], [41], [42])]
STEP = Step(np.array([[2]], np.int64))
WEIGHTS = np.array([[3], [-1]])


def pipeline(cells: list[Cell], names: dict[str, list[Bit]] | None = None) -> Pipeline:
    ports: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "a": list(A), "b": list(B)}
    return Pipeline(module(ports, {"y": [41]}, cells, names), CLOCK, MOVE)


def proof(cells: list[Cell], *, weights: np.ndarray = WEIGHTS, function: Function | None = STEP,
          lane: Lane | None = None, names: dict[str, list[Bit]] | None = None) -> Proof:  # fmt: skip
    layer = Layer("fc", weights, function, ("7",), (lane or Lane((41,), signed=False),))
    return layers.prove(pipeline(cells, names), layer, VALUES)


def test_a_gap_of_sums_that_no_inputs_have_may_be_wrong() -> None:
    """Of the sums 0, 1, 600,000 and 600,001 bit 19 says which are large; of those between, it says nothing right."""
    weight = 600_000
    wide: list[Bit] = ["0"] * 20
    cells: list[Cell] = [
        ("$mul", {}, {"A": [13, *wide], "B": list(f"{weight:021b}")[::-1], "Y": list(range(100, 121))}),
        ("$add", {}, {"A": list(range(100, 121)), "B": [10, *wide], "Y": list(range(130, 151))}),
        *register([149], [41], [42]),
    ]
    ports: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "a": [10], "b": [13]}
    one = Pipeline(module(ports, {"y": [41]}, cells), CLOCK, MOVE)
    layer = Layer("fc", np.array([[1], [weight]]), Step(np.array([[weight // 2]])), ("0",), (Lane((41,), False),))
    proof = layers.prove(one, layer, [Value((10,), False, 0, 1), Value((13,), False, 0, 1)])
    assert (proof.values[0].low, proof.values[0].high) == (0, 1)


def test_a_layer_of_one_channel() -> None:
    result = proof([*ADDERS, *LOOKED_UP])
    assert result.cases == 29
    assert result.values == (Value((41,), False, 0, 1, stage=1),)


def test_a_result_that_is_the_sum_itself_and_one_that_is_a_line_of_it() -> None:
    assert proof(ADDERS, function=None, lane=Lane(tuple(SUM), signed=True)).values[0].low == -15
    line = Logits(np.array([1]), np.array([0]), 1, None)
    assert proof(ADDERS, function=line, lane=Lane(tuple(SUM[1:]), signed=True)).values[0].high == 6


def changed(number: int, port: str, bits: list[Bit], kind: str = "") -> list[Cell]:
    cells = [*ADDERS, *LOOKED_UP]
    name, parameters, ports = cells[number]
    cells[number] = (kind or name, parameters, {**ports, port: bits})
    return cells


FAULTS: dict[str, tuple[list[Cell], str]] = {
    "operator": (changed(1, "Y", [*SUM], "$add"), "not the weights"),
    "shift": (changed(0, "B", ["0", "0", 10, 11, 12]), "not the weights"),
    "sign extension": (changed(1, "B", [13, 14, 15, 15, 15, "0"]), "not the weights"),
    "bit index": (changed(0, "A", [10, 11, 12, 12, 11]), "not the weights"),
    "another operand": (changed(1, "B", [10, 11, 12, 12, 12, 12]), "not the weights"),
    "table entry": (changed(2, "A", [*TABLE[:2], "0", *TABLE[3:]]), "accumulator 2 gives 0, not 1"),
    "another function": (changed(2, "B", [*SUM[1:], 35]), "accumulator"),
    "a bit from elsewhere": (changed(2, "B", [30, 10, *SUM[2:]]), "not all that its result depends on"),
    "register left out": (changed(4, "D", [10]), "changes without a move"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_layer_is_seen(name: str) -> None:
    cells, message = FAULTS[name]
    with pytest.raises(NotProven, match=message):
        proof(cells)


@pytest.mark.parametrize(("weights", "function"), [
    (np.array([[3], [1]]), STEP), (np.array([[0], [-1]]), STEP), (WEIGHTS, Step(np.array([[3]], np.int64))),
    (WEIGHTS, Step(np.array([[2]], np.int64), base=-1, step=2)), (2 * WEIGHTS, STEP),
])  # fmt: skip
def test_another_network_is_seen(weights: np.ndarray, function: Function) -> None:
    with pytest.raises(NotProven, match="layer fc, channel 7"):
        proof([*ADDERS, *LOOKED_UP], weights=weights, function=function)


def test_a_common_factor_of_the_weights_may_be_left_out() -> None:
    # The thresholds of 5 * (3 * a - b) that are those of 3 * a - b.
    assert proof([*ADDERS, *LOOKED_UP], weights=5 * WEIGHTS, function=Step(np.array([[10]], np.int64))).cases == 29


def test_a_sum_that_may_wrap_is_no_linear_form() -> None:
    cells: list[Cell] = [("$add", {}, {"A": A, "B": B, "Y": [20, 21, 22]})]
    cone = pipeline(cells).cone((20, 21, 22), dict.fromkeys([*A, *B], 0))
    forms = Forms(cone, VALUES)
    assert set(forms.vector((20, 21, 22)).terms) == {20, 21, 22}


def test_a_sum_of_numbers_without_signs_that_may_wrap_is_no_linear_form() -> None:
    cells: list[Cell] = [("$add", {}, {"A": A, "B": B, "Y": [20, 21, 22]})]
    values = [Value(tuple(A), False, 0, 4), Value(tuple(B), False, 0, 3)]
    cone = pipeline(cells).cone((20, 21, 22), dict.fromkeys([*A, *B], 0))
    assert set(Forms(cone, values).vector((20, 21, 22)).terms) == {unknown_of(0), unknown_of(1)}
    values[1] = Value(tuple(B), False, 0, 4)
    assert set(Forms(cone, values).vector((20, 21, 22)).terms) == {20, 21, 22}


def test_an_operand_may_end_within_a_word() -> None:
    # -1 and 0 in two of their three bits.
    cells: list[Cell] = [("$add", {}, {"A": A[:2], "B": B[:2], "Y": [20, 21]})]
    values = [replace(one, low=-1, high=0) for one in VALUES]
    forms = Forms(pipeline(cells).cone((20, 21), dict.fromkeys([*A, *B], 0)), values)
    assert forms.vector((20, 21)).terms == {unknown_of(0): 1, unknown_of(1): 1}


def test_slices_and_concatenations_are_arithmetic() -> None:
    # (b >> 1) + a above the lowest bit of b: b + 2 * a.
    cells: list[Cell] = [("$add", {}, {"A": [14, 15, 15, 15], "B": [*A, 12], "Y": [20, 21, 22, 23]}),
                         ("$not", {}, {"A": [20, 21, 22, 23], "Y": [30, 31, 32, 33]}),
                         ("$not", {}, {"A": [30, 31, 32, 33], "Y": [40, 41, 42, 43]})]  # fmt: skip
    cone = pipeline(cells).cone((40, 41, 42, 43, 13), dict.fromkeys([*A, *B], 0))
    forms = Forms(cone, VALUES)
    form = forms.vector((13, 40, 41, 42, 43))
    assert (form.terms, form.shift) == ({unknown_of(0): 2, unknown_of(1): 1}, 0)
    assert forms.range(form) == (-12, 9)
    inverted = forms.vector((30, 31, 32, 33))
    assert forms.range(inverted) == (-5, 5) and inverted.factor(ONE) == -1


def test_a_sum_whose_low_bits_no_result_needs_is_looked_for_with_them() -> None:
    # 2 * a + b, one register later; whether it is 4 or more, of its upper bits.
    upper: list[Cell] = [("$add", {}, {"A": [*A, 12], "B": [14, 15, 15, 15], "Y": [20, 21, 22, 23]})]
    out: list[Bit] = [50, 51, 52, 53, 54]
    between: list[Bit] = [60, 61, 62, 63, 64]
    table: list[Bit] = ["0", "1", "1", *"00000"]
    cells = [*upper, *register([13, 20, 21, 22, 23], out, between),
             ("$shiftx", {}, {"A": table, "B": [52, 53, 54], "Y": [41]})]  # fmt: skip
    two_and_one, step = np.array([[2], [1]]), Step(np.array([[4]], np.int64))
    assert proof(cells, weights=two_and_one, function=step, names={"sum": out}).cases == 22
    with pytest.raises(NotProven, match="not the weights"):
        proof(cells, weights=two_and_one, function=step)
    with pytest.raises(NotProven, match="accumulator 3 gives 0, not 1"):
        proof(cells, weights=two_and_one, function=Step(np.array([[3]], np.int64)), names={"sum": out})


def test_a_constant_that_comes_through_a_register_is_a_part_of_a_sum() -> None:
    # 8 * a + b one register later, with a zero between them that is registered, too, where b is 0 to 3.
    out: list[Bit] = [50, 51, 52, 53, 54, 55]
    cells = register([13, 14, "0", *A], out, [60, 61, 62, 63, 64, 65])
    values = [VALUES[0], Value((13, 14), False, 0, 3)]
    layer = Layer("fc", np.array([[8], [1]]), None, ("7",), (Lane((50, 51, 52, 53, 54, 55), signed=True),))
    result = layers.prove(pipeline(cells, {"sum": out}), layer, values)
    assert (result.values[0].low, result.values[0].high, result.values[0].stage) == (-32, 27, 1)


def test_bits_that_a_word_does_not_need_repeat_its_sign_or_are_zero() -> None:
    cells: list[Cell] = [("$sub", {}, {"A": ["0", "0", "0"], "B": [13, "0", "0"], "Y": [20, 21, 22]}),
                         ("$add", {}, {"A": [13, "0", "0"], "B": [14, "0", "0"], "Y": [30, 31, 32]})]  # fmt: skip
    one = Value((13,), False, 0, 1), Value((14,), False, 0, 1)
    forms = Forms(pipeline(cells).cone((20, 21, 22, 30, 31, 32), {13: 0, 14: 0}), one)
    assert forms.vector((20, 21, 22, 0)).terms == {unknown_of(0): 7}
    assert forms.bit(32).terms == {} and forms.bit(31).terms != {}


def test_too_many_accumulators_are_not_run_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MOST_VALUES", 28)
    with pytest.raises(NotProven, match="accumulators from -15 to 13 are too many"):
        proof([*ADDERS, *LOOKED_UP])


def test_faults_of_the_test_itself_are_none_where_the_function_is_the_same() -> None:
    # The sum needs five of its six bits, and its lowest bit decides nothing.
    assert proof(changed(2, "B", [*SUM[:5], 34])).cases == proof(changed(2, "B", [10, *SUM[1:]])).cases == 29


def wrong_of(number: int) -> list[Cell]:
    """Return the layer, wrong of one sum."""
    table = [*TABLE]
    table[number % 64] = "0" if table[number % 64] == "1" else "1"
    return [*ADDERS, ("$shiftx", {}, {"A": table, "B": SUM, "Y": [40]}), *register([40], [41], [42])]


def test_a_result_may_be_wrong_of_a_sum_that_no_inputs_have() -> None:
    layer = Layer("fc", WEIGHTS, STEP, ("7",), (Lane((41,), signed=False),))
    values = [replace(VALUES[0], among=frozenset({-4, 3})), VALUES[1]]
    result = layers.prove(pipeline(wrong_of(0)), layer, values)
    assert (result.values[0].low, result.values[0].high) == (0, 1)
    for number, its in ((0, VALUES), (-12, values), (9, values)):
        with pytest.raises(NotProven, match=f"accumulator {number} gives"):
            layers.prove(pipeline(wrong_of(number)), layer, its)


def test_results_that_are_not_all_of_their_range_are_kept() -> None:
    layer = Layer("fc", WEIGHTS, Step(np.array([[2, 2]], np.int64)), ("7",), (Lane((41, 41), signed=False),))
    with pytest.raises(NotProven, match="gives 3, not 2"):
        layers.prove(pipeline([*ADDERS, *LOOKED_UP]), layer, VALUES)
    doubled = replace(layer, lanes=(Lane((0, 41), signed=False),))
    (value,) = layers.prove(pipeline([*ADDERS, *LOOKED_UP]), doubled, VALUES).values
    assert (value.low, value.high, value.among) == (0, 2, frozenset({0, 2}))


def test_sums_that_there_may_be_are_all_sums() -> None:
    random = np.random.default_rng(2)
    for _ in range(60):
        lows, sizes = random.integers(-3, 2, 3).tolist(), random.integers(0, 4, 3).tolist()
        values = [
            Value((10 + at,), True, low, low + size) for at, (low, size) in enumerate(zip(lows, sizes, strict=True))
        ]
        if random.integers(2):
            values[1] = replace(values[1], among=frozenset({values[1].low, values[1].high}))
        if random.integers(2):
            values[2] = values[0]
        weights = random.integers(-5, 6, 3).tolist()
        sets = [sorted(one.among or range(one.low, one.high + 1)) for one in values]
        there = {sum(w * v for w, v in zip(weights, row, strict=True)) for row in itertools.product(*sets)
                 if values[2] is not values[0] or row[0] == row[2]}  # fmt: skip
        sums = np.arange(-60, 61)
        assert set(sums[possible(values, weights, sums)].tolist()) == there
