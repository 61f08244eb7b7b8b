# SPDX-License-Identifier: Apache-2.0
"""Nodes that join branches or take each channel by itself: what they compute, their ranges, what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qap2fpga.ir.channelwise import Max, Repeat
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Code, Range, Shape

A, B = np.arange(12).reshape(1, 2, 3, 2), np.arange(12, 0, -1).reshape(1, 2, 3, 2)


def total(*multipliers: int) -> Sum:
    return Sum(name="add", sources=("a", "b"), multipliers=multipliers)


def test_sums_of_branches() -> None:
    assert np.array_equal(total(3, -2).evaluate([A, B]), 3 * A - 2 * B)
    assert total(1, 1).shape([Shape(2, 2, 3)] * 2) == Shape(2, 2, 3)


def test_the_range_of_a_sum_is_what_can_be_reached() -> None:
    one, other = Range(np.array([-1]), np.array([2])), Range(np.array([0]), np.array([3]))
    reached = [3 * a - 2 * b for a, b in itertools.product(range(-1, 3), range(4))]
    ends = total(3, -2).reach([one, other])
    assert (ends.low.tolist(), ends.high.tolist()) == ([min(reached)], [max(reached)])


def test_channels_side_by_side() -> None:
    node = Concat(name="cat", sources=("a", "b"))
    assert np.array_equal(node.evaluate([A, B]), np.concatenate([A, B], axis=3))
    assert node.shape([Shape(2, 2, 3), Shape(5, 2, 3)]) == Shape(7, 2, 3)
    ends = node.reach([Range(np.array([1]), np.array([2])), Range(np.array([-3]), np.array([4]))])
    assert (ends.low.tolist(), ends.high.tolist()) == ([1, -3], [2, 4])


def test_rows_and_columns_are_repeated() -> None:
    node = Repeat(name="up", sources=("a",), rows=2, columns=3)
    result = node.evaluate([A])
    assert node.shape([Shape(2, 2, 3)]) == Shape(2, 4, 9)
    for row, column in itertools.product(range(4), range(9)):
        assert np.array_equal(result[0, row, column], A[0, row // 2, column // 3])
    ends = Range(np.array([0]), np.array([3]))
    assert node.reach([ends]) is ends


@pytest.mark.parametrize("pad", [-100, 100])
def test_the_largest_of_a_window(pad: int) -> None:
    node = Max(name="pool", sources=("a",), geometry=Geometry((2, 2), (2, 2), pads=(0, 1, 0, 0), pad=pad))
    assert node.shape([Shape(2, 2, 3)]) == Shape(2, 1, 2)
    corner = np.maximum(A[0, :, 0].max(axis=0), pad)
    rest = A[0, :, 1:].max(axis=(0, 1))
    assert np.array_equal(node.evaluate([A])[0, 0], [corner, rest])
    ends = node.reach([Range(np.array([0, 1]), np.array([10, 11]))])
    assert (ends.low.tolist(), ends.high.tolist()) == ([0, 1], [max(10, pad), max(11, pad)])


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (total(1), "1 multipliers for 2 sources"),
        (total(1, 0), "a multiplier is 0"),
        (Repeat(name="up", sources=("a",), rows=0, columns=2), "repeats rows 0 times"),
        (Max(name="pool", sources=("a",), geometry=Geometry((1, 0))), "its kernel is 1x0"),
    ],
)
def test_parameters_that_are_not_valid(node: Node, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        node.check()


def test_branches_of_different_shapes() -> None:
    with pytest.raises(ValueError, match=r"its sources have the shapes 2x3x2 and 2x3x1, which must be equal"):
        total(1, 1).shape([Shape(2, 2, 3), Shape(1, 2, 3)])
    with pytest.raises(ValueError, match="other rows or columns"):
        Concat(name="cat", sources=("a", "b")).shape([Shape(2, 2, 3), Shape(2, 3, 2)])


def test_a_sum_over_codes() -> None:
    codes = [Code(np.full(2, 2), np.array([-1, 3])), Code(np.full(2, 5), np.array([0, 7]))]
    node, code = total(3, -2).recoded(codes)
    values = [one.step * x + one.base for one, x in zip(codes, (A, B), strict=True)]
    assert np.array_equal(code.step * node.evaluate([A, B]) + code.base, total(3, -2).evaluate(values))
    with pytest.raises(ValueError, match="different steps"):
        total(3, -2).recoded([Code(np.array([1, 2]), np.zeros(2, np.int64)), codes[1]])


@pytest.mark.parametrize("pad", [-1, 5])
def test_the_largest_of_codes(pad: int) -> None:
    code = Code(np.full(2, 2), np.full(2, -1))
    before = Max(name="pool", sources=("a",), geometry=Geometry((2, 2), pads=(1, 0, 0, 0), pad=pad))
    node, after = before.recoded([code])
    assert np.array_equal(after.step * node.evaluate([A]) + after.base, before.evaluate([2 * A - 1]))
    odd = Code(np.full(2, 4), np.full(2, -2))
    with pytest.raises(ValueError, match=f"the value {pad}, its pad, has no code"):
        before.recoded([odd])


def test_a_branch_that_is_a_constant_leaves_its_sum() -> None:
    kept, fixed = np.array([True, True]), [np.array([True, True]), np.array([True, False])]
    assert [one.tolist() for one in total(3, -2).wants(kept, fixed)] == [[False, False], [True, True]]
    assert total(3, -2).tied([kept, np.array([True, False])], fixed).tolist() == [True, False]
    node, missing = total(3, -2).narrowed(kept, [~kept, kept], [np.array([4, 5]), np.array([0, 0])])
    assert (node.sources, node.multipliers) == (("b",), (-2,))
    assert missing is not None
    assert missing.tolist() == [12, 15]


def test_channels_of_a_join_are_those_of_its_sources() -> None:
    node = Concat(name="cat", sources=("a", "b"))
    fixed = [np.zeros(1, bool), np.zeros(2, bool)]
    assert [one.tolist() for one in node.wants(np.array([True, False, True]), fixed)] == [[True], [False, True]]
    assert node.tied([np.array([True]), np.array([False, True])], fixed).tolist() == [True, False, True]
    fewer, missing = node.narrowed(
        np.array([False, True, True]), [np.array([False]), np.array([True, True])], [np.zeros(1), np.zeros(2)]
    )
    assert (fewer.sources, fewer.channels, missing) == (("b",), (1, 2), None)
    mixed, code = node.recoded([Code(np.array([1]), np.array([4])), Code(np.array([2, 3]), np.array([0, 1]))])
    assert mixed is node
    assert (code.step.tolist(), code.base.tolist()) == ([1, 2, 3], [4, 0, 1])
