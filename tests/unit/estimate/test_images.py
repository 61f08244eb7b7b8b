# SPDX-License-Identifier: Apache-2.0
"""Designs over images for calibrations: the same seed draws the same, all kinds occur, and every network computes."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from qap2fpga.estimate import images
from qap2fpga.ir.graph import verify
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.errors import QapError


def test_a_seed_draws_the_same_designs() -> None:
    chosen = images.recipes(20, 3)
    assert chosen == images.recipes(20, 3)
    assert chosen[:5] == images.recipes(5, 3)
    assert chosen != images.recipes(20, 4)
    assert len({one.seed for one in chosen}) == 20
    assert json.loads(json.dumps(asdict(chosen[0])))["kind"] == "image"


def test_all_kinds_of_nodes_and_signals_occur() -> None:
    drawn = [images.network(one) for one in images.recipes(40, 1)]
    kinds = {node.kind for graph in drawn for node in graph.nodes}
    assert kinds == {"input", "linear", "depthwise", "requantizer", "max", "sum", "concat", "repeat"}
    heights = [graph.source.size.height for graph in drawn]
    assert 0.1 < np.mean([height == 1 for height in heights]) < 0.6


@pytest.mark.parametrize("number", range(12))
def test_a_design_is_a_network_whose_outputs_vary(number: int) -> None:
    recipe = images.recipes(12, 5)[number]
    graph = verify(images.network(recipe), "a design")
    assert graph.outputs == recipe.classes
    assert graph.source.size.positions > 1
    assert len(np.unique(graph.run(random_vectors(graph, 50, 1)), axis=0)) > 1


def test_a_design_that_is_always_pruned_away_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "drawn_weights", lambda random, *size_and_rest: np.zeros(size_and_rest[:2], int))
    with pytest.raises(QapError, match="pruned away in 100 attempts"):
        images.network(images.recipes(1, 1)[0])
