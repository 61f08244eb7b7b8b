# SPDX-License-Identifier: Apache-2.0
"""Designs of all sorts are drawn, kept as JSON and drawn again."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from qap2fpga.estimate import designs
from qap2fpga.estimate.calibration import IMAGES, SPARSE, VECTORS, sort
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.errors import QapError


@pytest.mark.parametrize("over", [VECTORS, IMAGES, SPARSE])
def test_a_recipe_that_was_kept_draws_the_same_network(over: str) -> None:
    recipe = designs.recipes(over, 3, 1)[2]
    again = designs.stored(json.loads(json.dumps(asdict(recipe))), "design 3")
    assert again == recipe
    one, other = designs.network(recipe), designs.network(again)
    assert over == SPARSE or sort(one) == over
    frames = random_vectors(one, 20, 1)
    assert np.array_equal(one.run(frames), other.run(frames))


def test_jets_are_more_designs_over_vectors() -> None:
    assert [one.kind for one in designs.recipes(VECTORS, 2, 1, 2)][2:] == ["jet", "jet"]


def test_titles_say_what_was_drawn() -> None:
    assert designs.title(designs.recipes(VECTORS, 0, 1, 1)[0]).startswith("jet ")
    image = designs.recipes(IMAGES, 1, 1)[0]
    assert designs.title(image) == f"image {'x'.join(map(str, image.size))}, " + " ".join(s[0] for s in image.stages)
    chain = designs.recipes(SPARSE, 1, 1)[0]
    assert designs.title(chain) == f"sparse 1x1x{chain.size[2]}, " + " ".join(map(str, (*chain.dense, chain.classes)))


@pytest.mark.parametrize("kind", ["image", "layer", "sparse"])
def test_what_is_no_recipe_is_refused(kind: str) -> None:
    with pytest.raises(QapError, match="design 5"):
        designs.stored({"kind": kind, "seed": "one"}, "design 5")
