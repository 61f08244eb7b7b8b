# SPDX-License-Identifier: Apache-2.0
"""Offsets of segments: how round they may be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qap2fpga.requant import segments
from qap2fpga.requant.implementations import Target
from qap2fpga.requant.requantize import coarse


def drawn_points(random: np.random.Generator) -> segments.Points:
    """Points of a random step function, with thresholds that repeat."""
    low = int(random.integers(-500, 500))
    high = low + int(random.integers(2, 900))
    thresholds = np.sort(random.integers(low + 1, high + 1, int(random.integers(1, 60))))
    return segments.constraints(Target(thresholds, low, high), low, high, 0)


@pytest.mark.parametrize("most", [0, 2, 9])
def test_zero_bits_are_those_of_a_multiple_in_every_interval(most: int) -> None:
    """All intervals of small integers, alone and in pairs, against trying every number of bits."""
    intervals = [(low, high) for low, high in product(range(-9, 10), repeat=2) if low <= high]
    for pair in [[one] for one in intervals] + list(product(intervals[::3], intervals[::4])):
        lower, upper = (np.array(side) for side in zip(*pair, strict=True))
        legal = [bits for bits in range(most + 1) if all(-(-low >> bits) << bits <= high for low, high in pair)]
        assert segments._zero_bits(lower, upper, most) == max(legal), pair


def room(terms: segments.Terms, shift: int, points: segments.Segments) -> segments.Room:
    """The offsets that will do, point by point in Python's integers; there may be none."""
    lower, upper = [-segments.NEVER] * (1 << points.bits), [segments.NEVER] * (1 << points.bits)
    ends = zip(points.points.tolist(), points.results.tolist(), strict=True)
    for number, (x, result) in enumerate(ends):
        least = (result << shift) - sum(sign * (x << left if left >= 0 else x >> -left) for sign, left in terms)
        if number < len(points.starts):
            segment = int(points.start_segments[number])
            lower[segment] = max(lower[segment], least)
        else:
            segment = int(points.end_segments[number - len(points.starts)])
            upper[segment] = min(upper[segment], least - 1)
    return segments.Room(np.array(lower), np.array(upper))


def same(one: segments.Room, other: segments.Room) -> bool:
    return bool((one.lower == other.lower).all() and (one.upper == other.upper).all())


def test_rooms_are_those_of_each_alone_where_there_is_one() -> None:
    random = np.random.default_rng(7)
    multipliers = coarse()
    there = lacking = 0
    for _ in range(40):
        points = drawn_points(random)
        bits = int(points[2][-1] - points[0][0]).bit_length()
        cut = segments.split(points, max(0, bits - 4), min(bits, 4))
        tried = [(multipliers[at][0], int(random.integers(0, 9))) for at in random.integers(0, len(multipliers), 30)]
        tried += [(segments.digits(int(factor)), 3) for factor in random.integers(1, 500, 10)]
        expected = [(one, room(*one, cut)) for one in tried]
        expected = [(one, offsets) for one, offsets in expected if offsets.exists]
        result = list(segments.rooms(tried, cut))
        assert [one for one, _ in result] == [one for one, _ in expected]
        assert all(same(one, other) for (_, one), (_, other) in zip(result, expected, strict=True))
        there, lacking = there + len(result), lacking + len(tried) - len(result)
    assert there > 50 and lacking > 50
    assert list(segments.rooms([], cut)) == []


def test_corners_bound_an_offset_as_all_points_do() -> None:
    random = np.random.default_rng(5)
    fewer = 0
    for _ in range(40):
        whole = segments.split(drawn_points(random), 0, 0)
        corners = segments.outermost(whole)
        fewer += len(whole.points) - len(corners.points)
        for factor, shift in product((1, 2, 5, 19, 77, 1000), (0, 3, 9)):
            assert same(*(room(segments.digits(factor), shift, one) for one in (whole, corners)))
    assert fewer > 40


def test_segments_two_by_two_have_the_room_of_longer_ones() -> None:
    random = np.random.default_rng(6)
    multipliers = coarse()
    for _ in range(40):
        points = drawn_points(random)
        bits = int(points[2][-1] - points[0][0]).bit_length()
        finest, longer = (segments.split(points, bits - cut, cut) for cut in (2, 1))
        terms, _ = multipliers[int(random.integers(len(multipliers)))]
        shift = int(random.integers(0, 9))
        assert same(room(terms, shift, finest).joined(), room(terms, shift, longer))
