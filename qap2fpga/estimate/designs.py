# SPDX-License-Identifier: Apache-2.0
"""The two sorts of designs that calibrations are of: networks over vectors, and over images and signals."""

from __future__ import annotations

from collections.abc import Mapping

from qap2fpga.estimate import draw, images
from qap2fpga.estimate.calibration import IMAGES
from qap2fpga.estimate.draw import Recipe
from qap2fpga.estimate.images import ImageRecipe
from qap2fpga.ir.graph import Graph
from qap2fpga.system.codec import convert

Drawn = Recipe | ImageRecipe


def recipes(over: str, number: int, seed: int, jets: int = 0) -> list[Drawn]:
    """Return `number` designs `over` vectors or images, and `jets` more of jet size."""
    if over == IMAGES:
        return list(images.recipes(number, seed))
    return list(draw.recipes(number, seed, jets))


def network(recipe: Drawn) -> Graph:
    """Return the compacted network of `recipe`. Raises `QapError` if no attempt leaves anything but a constant."""
    return images.network(recipe) if isinstance(recipe, ImageRecipe) else draw.network(recipe)


def stored(fields: Mapping[str, object], where: str) -> Drawn:
    """Return the recipe of which `fields` were kept. Raises `QapError` naming `where` for another content."""
    if fields.get("kind") == ImageRecipe.kind:
        return convert(ImageRecipe, dict(fields), "recipe", where)
    return convert(Recipe, dict(fields), "recipe", where)


def title(recipe: Drawn) -> str:
    """Return a few words for people."""
    if isinstance(recipe, ImageRecipe):
        return f"image {'x'.join(map(str, recipe.size))}, {' '.join(stage[0] for stage in recipe.stages)}"
    return f"{recipe.kind} {'-'.join(map(str, recipe.widths))}"
