# SPDX-License-Identifier: Apache-2.0
"""The sorts of designs that calibrations are of: networks over vectors, over images and signals, and pruned ones."""

from __future__ import annotations

from collections.abc import Mapping

from qap2fpga.estimate import draw, images, sparse
from qap2fpga.estimate.calibration import IMAGES, SPARSE
from qap2fpga.estimate.draw import Recipe
from qap2fpga.estimate.images import ImageRecipe
from qap2fpga.estimate.sparse import SparseRecipe
from qap2fpga.ir.graph import Graph
from qap2fpga.system.codec import convert

Drawn = Recipe | ImageRecipe | SparseRecipe


def recipes(over: str, number: int, seed: int, jets: int = 0) -> list[Drawn]:
    """Return `number` designs of the sort `over`, and `jets` more of jet size."""
    if over == IMAGES:
        return list(images.recipes(number, seed))
    if over == SPARSE:
        return list(sparse.recipes(number, seed))
    return list(draw.recipes(number, seed, jets))


def network(recipe: Drawn) -> Graph:
    """Return the compacted network of `recipe`. Raises `QapError` if no attempt leaves anything but a constant."""
    if isinstance(recipe, ImageRecipe):
        return images.network(recipe)
    return sparse.network(recipe) if isinstance(recipe, SparseRecipe) else draw.network(recipe)


def stored(fields: Mapping[str, object], where: str) -> Drawn:
    """Return the recipe of which `fields` were kept. Raises `QapError` naming `where` for another content."""
    cls: type[Drawn]
    cls = next((one for one in (ImageRecipe, SparseRecipe) if fields.get("kind") == one.kind), Recipe)
    return convert(cls, dict(fields), "recipe", where)


def title(recipe: Drawn) -> str:
    """Return a few words for people."""
    if isinstance(recipe, Recipe):
        return f"{recipe.kind} {'-'.join(map(str, recipe.widths))}"
    stages = [stage[0] for stage in recipe.stages]
    if isinstance(recipe, SparseRecipe):
        stages += map(str, (*recipe.dense, recipe.classes))
    return f"{recipe.kind} {'x'.join(map(str, recipe.size))}, {' '.join(stages)}"
