# SPDX-License-Identifier: Apache-2.0
"""Exact integers compared with Python's own at every border; no other module multiplies a network's integers."""

from __future__ import annotations

import ast
import sys
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.exact import integers as exact
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.requant.implementations import Target, prove
from qap2fpga.requant.segments import constraints, fitted, rooms, split
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PACKAGE

BORDERS = [
    0,
    1,
    3,
    2**24 - 1,
    2**24,
    2**24 + 1,
    2**26,
    2**31,
    2**52 - 1,
    2**52 + 1,
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**61,
    2**62 - 1,
    2**62,
    2**63 - 1,
]


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
    expected = [sum(a * row[c] for a, row in zip(line, right, strict=True)) for line in left for c in range(outputs)]
    same_or_refused(lambda: exact.matmul(np.array(left, np.int64), np.array(right, np.int64), "layer fc7"), expected)


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
@given(x=NUMBERS, factor=NUMBERS, addend=NUMBERS, divisor=NUMBERS.filter(bool))
def test_quotients_are_rounded_down(x, factor, addend, divisor):
    same_or_refused(
        lambda: exact.quotients(np.array([x]), factor, addend, divisor, "layer fc7"), [(x * factor + addend) // divisor]
    )


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_coefficients_of_sums_of_two(data):
    nodes = [[1, 0], [0, 1]]
    sums = []
    for _ in range(data.draw(st.integers(0, 6))):
        places = st.integers(0, len(nodes) - 1)
        (left, one), (right, other) = pair = tuple(data.draw(st.tuples(places, NUMBERS)) for _ in range(2))
        sums.append(pair)
        nodes.append([a * one + b * other for a, b in zip(nodes[left], nodes[right], strict=True)])
    expected = [value for row in nodes for value in row]
    same_or_refused(lambda: exact.coefficients(2, sums, "layer fc7").ravel(), expected)


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


@settings(max_examples=150, deadline=None)
@given(
    x=NUMBERS,
    rows=st.lists(
        st.tuples(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(-70, 70)), max_size=3), NUMBERS),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
def test_sums_of_shifts_of_several(x, rows):
    totals = [addend + sum(sign * (x << left if left >= 0 else x >> -left) for sign, left in parts)
              for parts, addend in rows]  # fmt: skip
    addends = np.array([[addend] for _, addend in rows])
    same_or_refused(
        lambda: exact.terms_of_each([parts for parts, _ in rows], np.array([x]), "layer fc7", addends).ravel(), totals
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=3))
def test_the_range_of_a_sum_and_the_sum_of_a_column(rows):
    low, high = (np.array([pick(a, b) for a, b, _ in rows], np.int64) for pick in (min, max))
    weights = np.array([[weight] for *_, weight in rows], np.int64)
    products = [sorted((min(a, b) * w, max(a, b) * w)) for a, b, w in rows]
    expected = [sum(ends[0] for ends in products), sum(ends[1] for ends in products)]
    same_or_refused(lambda: np.concatenate(exact.matmul_range(low, high, weights, "layer fc7")), expected)
    same_or_refused(lambda: exact.column_sums(weights, "layer fc7"), [sum(w for *_, w in rows)])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_sums_channel_by_channel(data):
    """Of taps as they are, and of taps that were converted once."""
    rows, taps, channels = (data.draw(st.integers(1, 3)) for _ in range(3))
    numbers = st.lists(NUMBERS, min_size=taps * channels, max_size=taps * channels)
    values = np.array([data.draw(numbers) for _ in range(rows)], np.int64).reshape(rows, taps, channels)
    weights = np.array(data.draw(numbers), np.int64).reshape(taps, channels)
    wanted = [
        sum(int(row[tap, channel]) * int(weights[tap, channel]) for tap in range(taps))
        for row in values
        for channel in range(channels)
    ]
    converted = exact.for_products(values, weights)
    for some in (values, converted):
        same_or_refused(lambda some=some: exact.weighted_sums(list(some.swapaxes(0, 1)), weights, "layer fc7"), wanted)


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
        ([2**24 + 1], [1], 2**24 + 1),  # a float32 has no such number
        ([2**23 + 1, 2**23], [1, 1], 2**24 + 1),
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


CORE = ("ir", "passes", "frontend", "requant", "backends/rtl")


PRODUCTS = {"matmul", "dot", "vdot", "einsum", "tensordot", "prod", "cumprod", "cumsum", "multiply", "left_shift"}


EXACT = {"exact", "integers", "exact_integers"}  # the names that the module has where it is imported


# Shapes of tensors and what reads a graph's floats.
NO_INTEGERS_OF_A_NETWORK = {  # but extents of shapes, and constants of the graph
    ("frontend/checkpoint/archive.py", "math.prod(sizes)"),
    ("frontend/checkpoint/archive.py", "math.prod(sizes[axis + 1:])"),
    ("frontend/axes.py", "math.prod(shape)"),
    ("frontend/axes.py", "math.prod(self.shape)"),
    ("frontend/axes.py", "math.prod((factors[place][0] for place in outer))"),
    ("frontend/axes.py", "math.prod((size for size, _ in factors))"),
    ("frontend/heads.py", "math.prod(shape)"),
    ("frontend/data.py", "math.prod(values.shape[1:])"),
    ("ir/shown.py", "math.prod(self.model)"),
    ("ir/shown.py", "math.prod(self.parts)"),
    ("frontend/readings.py", "math.prod(qonnx.get_tensor_shape(qonnx.graph.input[0].name)[1:])"),
    ("backends/rtl/pace.py", "math.prod((_grows(graph, node) for node in graph.nodes))"),
    ("frontend/floats.py", "math.prod(qonnx.get_tensor_shape(name) or ())"),
    ("frontend/inputframe.py", "math.prod(row)"),
    ("frontend/inputframe.py", "math.prod((size for size, _ in factors))"),
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

    def watched(*shape: int, limit: int = 8) -> np.ndarray:
        return random.integers(-limit, limit, shape).view(Watched)

    hidden = Step(np.sort(watched(3, 3, limit=60), axis=1), -7, 1)
    first = dense("fc1", watched(4, 3), hidden, 4, 4)
    last = dense("fc2", watched(3, 3), Logits(watched(3, limit=900), watched(3, limit=99), 3, 3), 4, 4)
    network = chain((first, last), InputQuantizer(-8, 7, (1.0,)), Fraction(1))
    Watched.seen.clear()
    vectors = random_vectors(network, 50, 0).view(Watched)
    expected = network.run(vectors)
    small = compact(network)
    assert (small.run(vectors) == expected).all()
    target = Target(np.array([3, 9, 14, 22]).view(Watched), 0, 30)
    segments = split(constraints(target, 0, 30, 1), 3, 2)
    ((tried, offsets),) = rooms([(((1, 1), (1, -2)), 4)], segments)
    implementation = next(fitted(target, tried, offsets, [segments], None, None, loose=True))
    prove(implementation, target, "fc1", 1)
    assert Watched.seen, "nothing was watched"
    assert {place.rsplit(":", 1)[0] for place in Watched.seen} == {str(PACKAGE / "exact" / "integers.py")}
