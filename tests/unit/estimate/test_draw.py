# SPDX-License-Identifier: Apache-2.0
"""Designs that are drawn for a calibration."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from qap2fpga.estimate import draw


def test_drawn_designs_are_spread_and_the_same_for_a_seed():
    chosen = draw.recipes(60, 3)
    assert chosen == draw.recipes(60, 3)
    kinds = Counter(one.kind for one in chosen)
    assert kinds == {"layer": 27, "network": 24, "jet": 9}
    # Every part of the list is a fair sample: a campaign that was stopped early is one too.
    assert Counter(one.kind for one in chosen[:20]) == {"layer": 9, "network": 8, "jet": 3}
    assert {bits for one in chosen for bits in one.weight_bits} == set(range(2, 9))
    assert len({one.power_of_two for one in chosen}) == len({one.family for one in chosen}) == 2


@pytest.mark.parametrize("number", range(12))
def test_a_drawn_network_is_what_its_recipe_says(number):
    recipe = draw.recipes(12, 7)[number]
    network = draw.network(recipe)
    for layer, bits in zip(network.layers, recipe.weight_bits, strict=True):
        assert layer.weight_width <= bits
    expected = sum(
        round(density * a * b)
        for density, a, b in zip(recipe.density, recipe.widths, recipe.widths[1:], strict=False)
    )  # fmt: skip
    # Compaction takes dead neurons out, and every output has a weight at least.
    assert sum(layer.nonzeros for layer in network.layers) <= expected + sum(recipe.widths[1:])
    if recipe.kind == "jet":
        assert sum(layer.nonzeros for layer in network.layers) > 0.8 * draw.JET_SIZE
    vectors = np.random.default_rng(1).integers(network.input.low, network.input.high, (50, network.inputs))
    assert len(np.unique(network.run(vectors), axis=0)) > 1
