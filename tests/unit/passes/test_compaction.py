# SPDX-License-Identifier: Apache-2.0
"""Compaction of networks made by hand: what goes, what stays, and that the outputs are the same on every input."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import Unit, dense
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import ConstantNetwork

INPUTS = np.array([*product(range(-2, 2), repeat=2)])
# Of the hidden neurons 0 and 4 are live, 1 is dead, 2 has no weights, and 3 never reaches another level.
HIDDEN = dense(
    "fc1",
    np.array([[1, 2, 0, 1, -1], [1, 0, 0, 1, 2]]),
    Step(np.array([[-1, 1, 90], [0, 1, 2], [-1, 0, 5], [-80, -70, 80], [-3, 0, 99]]), -3, 2),
    3,
    2,
)
LAST = dense(
    "fc2",
    np.array([[3, -1], [0, 0], [2, 5], [-4, 1], [1, 1]]),
    Logits(np.array([5, -7]), np.array([100, -3]), 2, 2),
    4,
    2,
)


def network(*layers: Unit) -> Graph:
    return chain(layers, InputQuantizer(-2, 1, (1.0,)), Fraction(1))


def same(one: Graph) -> Graph:
    small = compact(one)
    assert (small.run(INPUTS) == one.run(INPUTS)).all()
    return small


def test_constant_and_unread_neurons_go_and_are_counted() -> None:
    small = same(network(HIDDEN, LAST))
    hidden, last = small.layers
    assert hidden.channels == (0, 4)
    assert hidden.weights.tolist() == [[1, -1], [1, 2]]
    assert last.weights.tolist() == [[3, -1], [1, 1]]
    assert small.notes == (
        "compaction: of 5 hidden neurons 2 constant ones were folded into the next layer and 1 unread ones dropped",
    )
    # Counts from 0, and no level that no channel reaches.
    assert isinstance(hidden.activation, Step)
    assert (hidden.activation.base, hidden.activation.step) == (0, 1)
    assert hidden.activation.thresholds.tolist() == [[-1, 1], [-3, 0]]


def test_what_a_dropped_neuron_read_goes_too() -> None:
    middle = LAST.changed(activation=Step(np.array([[-9, 0], [-5, 3]]), 1, 3))
    end = dense("fc3", np.array([[0, 0], [2, -3]]), LAST.activation, 4, 2)
    small = same(network(HIDDEN, middle, end))
    assert [layer.channels for layer in small.layers] == [(0, 4), (1,), None]
    assert "of 7 hidden neurons 2 constant ones were folded into the next layer and 2 unread ones" in small.notes[0]


@pytest.mark.parametrize(("base", "step"), [(-4, 3), (-4, 1), (0, 3)])
def test_nothing_to_compact_leaves_no_note_and_the_last_layers_levels(base: int, step: int) -> None:
    first = HIDDEN.changed(weights=HIDDEN.weights[:, [0, 4]], activation=Step(np.array([[-1, 1, 2], [-3, 0, 2]])))
    last = LAST.changed(weights=LAST.weights[[0, 4]], activation=Step(np.array([[0, 1, 900], [2, 2, 901]]), base, step))
    small = same(network(first, last))
    assert small.notes == ()
    assert small.layers[1].activation.range(*small.ranges[1].accumulators)[1].max() == base + 2 * step
    assert isinstance(small.layers[1].activation, Step)
    assert small.layers[1].activation.thresholds.shape == (2, 3)
    assert (small.layers[1].activation.base, small.layers[1].activation.step) == (base, step)


@pytest.mark.parametrize(
    ("weights", "thresholds", "message"),
    [
        (np.zeros((2, 2), int), [[0], [1]], "layer fc1 is pruned away: every weight of a neuron"),
        (np.eye(2, dtype=int), [[90], [90]], "layer fc1 is a constant: none of its neurons reaches a second level"),
        (np.ones((2, 2), int), [[90], [-90]], "layer fc1 is a constant: none of its neurons reaches"),
    ],
)
def test_a_layer_that_vanishes_is_refused(weights: np.ndarray, thresholds: list[list[int]], message: str) -> None:
    first = HIDDEN.changed(weights=weights, activation=Step(np.array(thresholds)))
    with pytest.raises(ConstantNetwork, match=message):
        compact(network(first, LAST.changed(weights=np.array([[1, 2], [3, 4]]))))


def test_one_layer_without_weights_is_left_as_it_is() -> None:
    one = network(LAST.changed(weights=np.zeros((2, 2), int)))
    assert same(one).layers[0].weights.shape == (2, 2)
