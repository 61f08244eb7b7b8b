# SPDX-License-Identifier: Apache-2.0
"""Wires that are equal to an integer's bits on many vectors, and vectors that reach both ends of sums."""

from __future__ import annotations

import numpy as np

from qap2fpga.prove.algebra import WORD, packed
from qap2fpga.prove.cells import Part
from qap2fpga.prove.linear import Value
from qap2fpga.prove.signatures import VECTORS, Guess, Signatures, columns, guesses, vectors

VALUES = [Value((10, 11, 12), True, -4, 3), Value((13, 14), False, 0, 3, among=frozenset({0, 2, 3}))]
PARTS = [
    Part("sum", "sum", ((10, 11, 12, 12), (13, 14, 0, 0)), (20, 21, 22, 23)),
    Part("copy", "same", ((20,),), (30,)),
    Part("not", "not", ((21,),), (31,)),
    Part("other", "and", ((99,), (10,)), (40,)),
]


def signatures() -> tuple[Signatures, np.ndarray]:
    rows = vectors(VALUES, np.array([[1], [1]]))
    ones = np.full(len(rows) // WORD, np.iinfo(np.uint64).max)
    return Signatures(PARTS, {**columns(VALUES, rows), 0: ~ones, 1: ones}), rows


def test_vectors_are_of_their_values_and_reach_the_ends_of_sums() -> None:
    weights = np.array([[1, -3], [1, 5]])
    rows = vectors(VALUES, weights)
    assert rows.shape == (VECTORS, 2) and rows[:, 0].min() == -4 and rows[:, 0].max() == 3
    assert set(rows[:, 1]) == {0, 2, 3}
    sums = rows @ weights
    assert sums.min(axis=0).tolist() == [-4, -9] and sums.max(axis=0).tolist() == [6, 27]
    assert np.array_equal(rows, vectors(VALUES, weights))


def test_wires_are_found_by_what_they_are_and_the_nearest_comes_first() -> None:
    its, rows = signatures()
    bits = packed(rows.sum(axis=1), 4)
    assert its.equal(bits[0]) == [(20, False), (30, False)]
    assert its.equal(bits[1]) == [(21, False), (31, True)] and its.equal(~bits[1]) == [(21, True), (31, False)]
    assert its.equal(np.zeros_like(bits[0])) == [(0, False), (1, True)]
    assert 40 not in its.bits and len(its.parts) == 3


def test_guesses_prefer_what_has_a_name_together() -> None:
    its, rows = signatures()
    every = list(guesses(its, [(30, 21, 22, 23)], rows.sum(axis=1), (-4, 6), [(0, 1)]))
    assert every[0] == Guess(((30, False), (21, False), (22, False), (23, False)), True)
    assert every[1].bits[0] == (20, False)
    assert not list(guesses(its, [], 2 * rows[:, 0] + rows[:, 1], (-8, 9), [(0, 1)]))


def test_an_integer_may_lie_by_another_code() -> None:
    its, rows = signatures()
    every = list(guesses(its, [], 7 - 3 * rows[:, 0], (-2, 19), [(0, 1), (7, -3)]))
    assert every[0] == Guess(((10, False), (11, False), (12, False)), True, 7, -3)
