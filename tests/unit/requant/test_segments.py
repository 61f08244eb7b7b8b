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


def test_corners_bound_an_offset_as_all_points_do() -> None:
    random = np.random.default_rng(5)
    fewer = 0
    for _ in range(40):
        whole = segments.split(drawn_points(random), 0, 0)
        corners = segments.outermost(whole)
        fewer += len(whole.points) - len(corners.points)
        for factor, shift in product((1, 2, 5, 19, 77, 1000), (0, 3, 9)):
            rooms = [segments.room(segments.digits(factor), shift, one) for one in (whole, corners)]
            assert (rooms[0].lower == rooms[1].lower).all() and (rooms[0].upper == rooms[1].upper).all()
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
        joined, expected = segments.room(terms, shift, finest).joined(), segments.room(terms, shift, longer)
        assert (joined.lower == expected.lower).all() and (joined.upper == expected.upper).all()
