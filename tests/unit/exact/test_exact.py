# SPDX-License-Identifier: Apache-2.0
"""Exact integers beside Python's own at every border, and that the core of the program multiplies with them alone."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.backends.rtl.adders import Adder, AdderGraph, Output
from qap2fpga.driver.constants import _end
from qap2fpga.exact import integers as exact
from qap2fpga.exact.thresholds import Affine, Levels, thresholds
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.requant.implementations import Piecewise, Target, prove
from qap2fpga.requant.requantize import cheapest
from qap2fpga.requant.segments import constraints, fit, split
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import PACKAGE

BORDERS = [0, 1, 3, 2**26, 2**31, 2**52 - 1, 2**52 + 1, 2**53 - 1, 2**53, 2**53 + 1, 2**61, 2**62 - 1, 2**62, 2**63 - 1]
NUMBERS = st.one_of(
    st.sampled_from([sign * border for border in BORDERS for sign in (1, -1)] + [-(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-9, 9),
)
FITS = range(-(2**63), 2**63)


def same_or_refused(found, wanted: list[int], shape: tuple[int, ...] | None = None) -> None:
    """`found()` gives the Python integers `wanted`, or refuses by name where one of them is no int64."""
    if all(value in FITS for value in wanted):
        result = found()
        assert result.dtype == np.int64 and result.reshape(-1).tolist() == wanted
    else:
        with pytest.raises(QapError, match=r"layer fc7: integers of \d+ bits are too wide"):
            found()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_product_of_matrices(data):
    rows, inputs, outputs = (data.draw(st.integers(1, 3)) for _ in range(3))
    left = data.draw(st.lists(st.lists(NUMBERS, min_size=inputs, max_size=inputs), min_size=rows, max_size=rows))
    right = data.draw(st.lists(st.lists(NUMBERS, min_size=outputs, max_size=outputs), min_size=inputs, max_size=inputs))
    wanted = [sum(a * row[c] for a, row in zip(line, right, strict=True)) for line in left for c in range(outputs)]
    same_or_refused(lambda: exact.matmul(np.array(left, np.int64), np.array(right, np.int64), "layer fc7"), wanted)


@settings(max_examples=150, deadline=None)
@given(x=NUMBERS, factor=NUMBERS, addend=NUMBERS, shift=st.integers(0, 130))
def test_multiply_add_and_shift(x, factor, addend, shift):
    one = np.array([x], np.int64)
    same_or_refused(
        lambda: exact.multiply_add(one, np.array([factor]), np.array([addend]), "layer fc7", shift),
        [(x * factor + addend) >> shift],
    )
    same_or_refused(lambda: exact.shifted(one, shift, "layer fc7"), [x << shift])
    same_or_refused(lambda: exact.shifted(one, -shift, "layer fc7"), [x >> shift])


@settings(max_examples=150, deadline=None)
@given(
    x=NUMBERS,
    parts=st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(-70, 70)), max_size=4),
    addend=NUMBERS,
    shift=st.integers(0, 80),
)
def test_sums_of_shifts(x, parts, addend, shift):
    total = addend + sum(sign * (x << left if left >= 0 else x >> -left) for sign, left in parts)
    same_or_refused(lambda: exact.terms(parts, np.array([x]), "layer fc7", addend, shift), [total >> shift])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=3))
def test_the_range_of_a_sum_and_the_sum_of_a_column(rows):
    low, high = (np.array([pick(a, b) for a, b, _ in rows], np.int64) for pick in (min, max))
    weights = np.array([[weight] for *_, weight in rows], np.int64)
    products = [sorted((min(a, b) * w, max(a, b) * w)) for a, b, w in rows]
    wanted = [sum(ends[0] for ends in products), sum(ends[1] for ends in products)]
    same_or_refused(lambda: np.concatenate(exact.matmul_range(low, high, weights, "layer fc7")), wanted)
    same_or_refused(lambda: exact.column_sums(weights, "layer fc7"), [sum(w for *_, w in rows)])


@settings(max_examples=150, deadline=None)
@given(low=NUMBERS, high=NUMBERS)
def test_width(low, high):
    low, high = min(low, high), max(low, high)
    bits = exact.width(low, high)

    def holds(size: int) -> bool:
        first, last = (0, 2**size - 1) if low >= 0 else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
        return first <= low and high <= last

    assert holds(bits) and (bits == 1 or not holds(bits - 1))


@pytest.mark.parametrize(
    "left, right, wanted",
    [
        ([2**52 + 1, 2**52], [1, 1], 2**53 + 1),  # a float64 has no such number
        ([2**52 - 1, 2**52], [1, 1], 2**53 - 1),
        ([2**62, 2**62 - 1], [1, 1], 2**63 - 1),
        ([-(2**62), -(2**62)], [1, 1], -(2**63)),  # the bound says too wide, and it is not
        ([2**62, -(2**62), 5], [2, 2, 1], 5),
    ],
)
def test_products_at_the_borders(left, right, wanted):
    assert exact.matmul(np.array([left]), np.array(right)[:, None], "layer fc7").tolist() == [[wanted]]
    layer = dense("fc7", np.array(right)[:, None], Step(np.zeros((1, 1), np.int64)), 8, 8)
    assert layer.accumulate(np.array([left])).tolist() == [[wanted]]


def test_nothing_is_an_array_too():
    assert exact.magnitude(np.zeros(0, np.int64)) == 0
    assert exact.matmul(np.zeros((0, 3), np.int64), np.ones((3, 2), np.int64), "").shape == (0, 2)
    with pytest.raises(QapError, match="fc7: integers of 64 bits are too wide"):
        exact.array([2**63], "fc7")


# ---- the network


def test_accumulators_that_are_too_wide_are_refused_by_name():
    layer = dense("fc7", np.full((2, 1), 2**31), Step(np.zeros((1, 1), np.int64)), 32, 32)
    with pytest.raises(QapError, match="the accumulators of layer fc7"):
        layer.accumulate(np.full((1, 2), 2**31))
    ends = np.full(2, -(2**31)), np.full(2, 2**31)
    with pytest.raises(QapError, match="the accumulators of layer fc7"):
        layer.range(*ends)
    assert layer.changed(weights=np.array([[2**31], [-(2**31) + 1]])).range(*(end // 2 for end in ends)) == (
        [-(2**62) + 2**30],
        [2**62 - 2**30],
    )


def test_the_ends_of_logits_are_in_order_where_the_multiplier_falls():
    logits = Logits(np.array([-3, 5]), np.array([1, 2**62]), 1, 0)
    low, high = logits.range(np.array([-10, -10]), np.array([20, 20]))
    assert (low.tolist(), high.tolist()) == ([-30, 2**61 - 25], [15, 2**61 + 50])


def test_logits_do_not_wrap():
    """A last layer of 16 bits with 784 inputs: 42 bits of accumulators times 24 of multiplier and more of offset."""
    random = np.random.default_rng(0)
    logits = Logits(random.integers(2**22, 2**23, 4), random.integers(2**60, 2**61, 4), 44, 0)
    accumulators = random.integers(-(2**42), 2**42, (500, 4))
    wanted = [
        [(int(m) * n + int(b)) >> 44 for n, m, b in zip(row, logits.multiplier, logits.offset, strict=True)]
        for row in accumulators.tolist()
    ]
    assert logits.apply(accumulators).tolist() == wanted
    low, high = logits.range(np.full(4, -(2**42)), np.full(4, 2**42))
    assert (low <= np.array(wanted).min(axis=0)).all() and (np.array(wanted).max(axis=0) <= high).all()
    with pytest.raises(QapError, match="the network's outputs: integers of"):
        replace(logits, shift=0).apply(accumulators)


def test_levels_of_a_step():
    step = Step(np.array([[0, 5], [9, 10]]), -3, 2)
    assert (step.low, step.high) == (-3, 1)
    assert [ends.tolist() for ends in step.range(np.array([-1, 9]), np.array([4, 20]))] == [[-3, -1], [-1, 1]]
    with pytest.raises(QapError, match="the levels of an activation"):
        replace(step, base=0, step=2**62).apply(np.array([[7, 12]]))


def test_the_software_behind_bare_accumulators_may_not_wrap():
    def network(multiplier: int) -> Graph:
        end = Logits(np.array([multiplier, 1]), np.zeros(2, np.int64), 4, 0)
        layer = dense("fc1", np.ones((1, 2), np.int64), end, 8, 8)
        return chain((layer,), InputQuantizer(-(2**7), 2**7 - 1, (1.0,)), Fraction(1))

    assert _end(network(2**55))["multiplier"] == [2**55, 1]
    with pytest.raises(QapError, match="would not fit 64 bits"):
        _end(network(2**56))


# ---- guards of the proofs


def test_a_threshold_that_1024_bits_do_not_tell_from_an_integer():
    levels = Levels(0, 1, (Fraction(1),), 0, "FLOOR")
    for bits, refused in ((600, True), (400, False)):
        for sign in (1, -1):
            affine = Affine.scaled([Fraction(1)], [Fraction(sign, 2**bits)])
            if refused:
                with pytest.raises(QapError, match="cannot be told from an integer"):
                    thresholds(affine, 0, levels, -10, 10)
            else:
                assert thresholds(affine, 0, levels, -10, 10) == [1 if sign > 0 else 2]


def test_a_line_of_many_results_is_proven_by_its_formula():
    line = (5, -(2**40) - 3, 2)
    low, high = -(2**30), 2**30
    first, last = ((5 * end + line[1]) >> 2 for end in (low, high))
    target = Target(np.zeros(0, np.int64), low, high, first, line, last)
    implementation = cheapest(target, lambda implementation, target: 1.0, "layer fc7")
    assert isinstance(implementation, Piecewise)
    values = np.array([low, -7, 0, 123456789, high])
    wanted = [(5 * n + line[1]) >> 2 for n in values.tolist()]
    assert implementation.apply(values).tolist() == wanted == target.apply(values).tolist()
    wrong = [
        replace(implementation, terms=((1, 2), (-1, 0))),
        replace(implementation, terms=(*implementation.terms, (1, -1))),
        replace(implementation, offsets=(implementation.offsets[0] + 1,)),
        replace(implementation, shift=3),
        replace(implementation, base=implementation.base + 1),
        replace(implementation, top=implementation.base + 1),
        replace(implementation, above=high),
        replace(implementation, below=low),
        replace(implementation, dropped=50),
    ]
    for one in wrong:
        with pytest.raises(CheckFailed, match="layer fc7: the implementation is not"):
            prove(one, target, "layer fc7")


def test_a_sum_that_leaves_its_width_and_one_that_falls_are_no_proof():
    target = Target(np.array([1]), 0, 1)
    implementation = Piecewise(((1, 0),), 0, 0, 0, (0,), None, None, 0, 1)
    prove(implementation, target, "layer fc7")
    with pytest.raises(CheckFailed, match="leaves its width at accumulator 0"):
        prove(replace(implementation, offsets=(2,)), target, "layer fc7")
    with pytest.raises(CheckFailed, match="is not monotone"):
        prove(replace(implementation, terms=((-1, 0),), offsets=(1,)), target, "layer fc7")


def test_every_part_of_an_adder_graph_is_proven():
    weights = np.array([[3, -4], [6, 8]])
    graph = AdderGraph(2, (Adder(0, 1, 1, 1, 1), Adder(0, 1, 1, -1, 1)), (Output(2, 0, 1, 3), Output(3, 2, 1)))
    graph.prove(weights, "fc7")
    halved = AdderGraph(2, graph.adders, (Output(2, -1, 1, 6), Output(3, 2, 1)))
    halved.prove(weights, "fc7")
    assert graph.ranges(np.array([-1, -2]), np.array([3, 5]))[2:] == [(-5, 13), (-7, 11)]
    first, second = graph.adders
    wrong = [
        (replace(first, left_sign=-1), second),
        (replace(first, right_sign=-1), second),
        (replace(first, shift=2), second),
        (first, replace(second, left=1)),
    ]
    for adders in wrong:
        with pytest.raises(CheckFailed, match="layer fc7, channel"):
            replace(graph, adders=adders).prove(weights, "fc7")
    for parts in ((2, 0, -1, 3), (2, 0, 1, 1), (2, 1, 1, 3), (3, 0, 1, 3), (2, -1, 1, 3)):
        with pytest.raises(CheckFailed, match="layer fc7, channel 0"):
            replace(graph, outputs=(Output(*parts), graph.outputs[1])).prove(weights, "fc7")


# ---- nobody else multiplies

CORE = ("ir", "passes", "frontend", "requant", "backends/rtl")
PRODUCTS = {"matmul", "dot", "vdot", "einsum", "tensordot", "prod", "cumprod", "cumsum", "multiply", "left_shift"}
EXACT = {"exact", "integers", "exact_integers"}  # the names that the module has where it is imported
# Shapes of tensors and what reads a graph's floats.
NO_INTEGERS_OF_A_NETWORK = {  # but extents of shapes, and constants of the graph
    ("frontend/data.py", "math.prod(values.shape[1:])"),
    ("frontend/walk.py", "math.prod(self.shape(inputs[0].name))"),
    ("frontend/graph.py", "math.prod(walk.shape(node.output[0]))"),
    ("frontend/elementwise.py", "math.prod(shape[1:])"),
    ("frontend/prepare.py", "np.prod(qonnx.get_tensor_shape(qonnx.graph.input[0].name)[1:])"),
    ("frontend/shapes.py", "math.prod(shape[:first - 1])"),
    ("frontend/survey.py", "math.prod(shape[1:])"),
    ("frontend/dialects/rewriting.py", "math.prod(wanted)"),
    ("frontend/axes.py", "math.prod(shape)"),
    ("frontend/axes.py", "math.prod(self.shape)"),
    ("frontend/axes.py", "math.prod((factors[place][0] for place in outer))"),
    ("frontend/axes.py", "math.prod((size for size, _ in factors))"),
    ("frontend/floats.py", "math.prod(qonnx.get_tensor_shape(name) or ())"),
    ("frontend/inputframe.py", "math.prod(row)"),
    ("frontend/inputframe.py", "math.prod((size for size, _ in factors))"),
}


def test_products_of_matrices_are_taken_in_one_module():
    for name in CORE:
        path = PACKAGE / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            tree = ast.parse(source.read_text())
            called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
            for node in ast.walk(tree):
                product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
                if isinstance(node, ast.Attribute) and node.attr in PRODUCTS:
                    product = ast.unparse(node.value) not in EXACT
                if product:
                    text = ast.unparse(called.get(id(node), node))
                    where = str(source.relative_to(PACKAGE)), text
                    assert where in NO_INTEGERS_OF_A_NETWORK, f"{where[0]} computes {text}; use qap2fpga.exact.integers"


class Watched(np.ndarray):
    """An array that remembers which modules of the program multiply or shift its integers."""

    seen: ClassVar[set[str]] = set()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [one.view(np.ndarray) if isinstance(one, Watched) else one for one in inputs]
        results = getattr(ufunc, method)(*plain, **({} if out is None else {"out": out}), **options)
        integer = isinstance(results, np.ndarray) and results.dtype.kind in "iu"
        if ufunc in (np.multiply, np.matmul, np.left_shift, np.power) and integer:
            frame = sys._getframe(1)
            while frame is not None and str(PACKAGE) not in frame.f_code.co_filename:
                frame = frame.f_back
            if frame is not None:
                type(self).seen.add(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return results.view(Watched) if isinstance(results, np.ndarray) else results


def test_integers_are_multiplied_in_one_module():
    random = np.random.default_rng(3)

    def watched(*shape: int, reach: int = 8) -> np.ndarray:
        return random.integers(-reach, reach, shape).view(Watched)

    hidden = Step(np.sort(watched(3, 3, reach=60), axis=1), -7, 1)
    first = dense("fc1", watched(4, 3), hidden, 4, 4)
    last = dense("fc2", watched(3, 3), Logits(watched(3, reach=900), watched(3, reach=99), 3, 3), 4, 4)
    network = chain((first, last), InputQuantizer(-8, 7, (1.0,)), Fraction(1))
    Watched.seen.clear()
    vectors = random_vectors(network, 50, 0).view(Watched)
    wanted = network.run(vectors)
    small = compact(network)
    assert (small.run(vectors) == wanted).all()
    target = Target(np.array([3, 9, 14, 22]).view(Watched), 0, 30)
    implementation = fit(
        target, ((1, 1), (1, -2)), 4, split(constraints(target, 0, 30, 1), 3, 2), None, None, loose=True
    )
    assert implementation is not None
    prove(implementation, target, "fc1", 1)
    assert Watched.seen, "nothing was watched"
    assert {place.rsplit(":", 1)[0] for place in Watched.seen} == {str(PACKAGE / "exact" / "integers.py")}
