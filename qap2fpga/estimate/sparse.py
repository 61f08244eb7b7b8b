# SPDX-License-Identifier: Apache-2.0
"""Random pruned networks to calibrate layers without their zeros on: dense chains, and kernels over small images.

Weights and thresholds are drawn as those of images are (`images.py`); a seed gives the same. They are wider than those
that FINN's units are calibrated on, and more of their weights are zero: of a layer of few products a folded unit that
skips zeros is seldom the cheaper one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from qap2fpga.estimate.draw import first_whole
from qap2fpga.estimate.images import Drawing, Numbers, drawn_stages
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.tensors import Shape

# Neurons, and channels at most.
WIDTHS, CHANNELS = (12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256), 16
# Shares of weights that are kept, and products that are left per cycle, or cycles per position: more than these are a
# larger design than Yosys maps soon.
DENSITY, PRODUCTS_PER_CYCLE, CYCLES_PER_POSITION = (0.03, 0.4), (2, 32), (8, 64)


@dataclass(frozen=True)
class SparseRecipe:
    """One design over frames of `size` (height, width, channels), 1x1 for vectors.

    `stages` are as those of an `ImageRecipe`. Then come dense layers of so many neurons, `dense`, and the logits of
    `classes`, all of whose weights are kept if it is `whole`, as in many trained networks. `sparse` is the finn
    backend's option, `interval` the most cycles between two frames.
    """

    seed: int
    size: tuple[int, int, int]
    stages: tuple[tuple[str, int, int, int], ...]
    dense: tuple[int, ...]
    classes: int
    numbers: Numbers
    family: str
    clock_ns: float
    interval: int
    sparse: str
    whole: bool
    kind: str = "sparse"


def recipes(number: int, seed: int) -> list[SparseRecipe]:
    """Return `number` designs, of five three over vectors; the first of more are the same."""
    return [
        _recipe(np.random.default_rng([seed, one, 3]), seed * 100_000 + 80_000 + one, image=one % 5 in (1, 3))
        for one in range(number)
    ]


def network(recipe: SparseRecipe) -> Graph:
    """Return the compacted network of `recipe`. Raises `QapError` if no attempt leaves anything but a constant."""
    return first_whole(recipe.seed, partial(_network, recipe))


def _recipe(random: np.random.Generator, seed: int, *, image: bool) -> SparseRecipe:
    density, bits, classes = _even(random, DENSITY), int(random.integers(2, 9)), int(random.integers(2, 11))
    stages: tuple[tuple[str, int, int, int], ...] = ()
    dense: tuple[int, ...] = ()
    if image:
        height, width, channels = (int(random.integers(low, high)) for low, high in ((4, 11), (4, 11), (1, 9)))
        size = (height, width, channels)
        stages = drawn_stages(random, size, CHANNELS) or (("conv", 8, 2, 1),)
        interval = height * width * _even(random, CYCLES_PER_POSITION)
    else:
        widths = [int(one) for one in random.choice(WIDTHS, int(random.integers(2, 5)))]
        size, dense = (1, 1, widths[0]), tuple(widths[1:])
        products = density * sum(inputs * outputs for inputs, outputs in pairwise((*widths, classes)))
        interval = max(products / _even(random, PRODUCTS_PER_CYCLE), max(widths))
    return SparseRecipe(
        seed=seed, size=size, stages=stages, dense=dense, classes=classes,
        numbers=Numbers(
            input_bits=int(random.integers(1, 9)), weight_bits=bits,
            activation_bits=min(bits, 6) if random.random() < 0.5 else int(random.integers(1, 7)),
            density=round(density, 3), power_of_two=bool(random.random() < 0.35),
        ),
        family=str(random.choice(["xc7", "xc7", "xc7", "xcup"])),
        clock_ns=float(random.choice([4.0, 5.0, 8.0, 10.0])), interval=int(interval),
        sparse=str(random.choice(["auto", "auto", "auto", "always"])), whole=bool(random.random() < 0.35),
    )  # fmt: skip


def _even(random: np.random.Generator, ends: tuple[float, float]) -> float:
    """A number between two, whose logarithm is as likely to be anywhere."""
    return float(np.exp(random.uniform(*np.log(ends))))


def _network(recipe: SparseRecipe, random: np.random.Generator) -> Graph:
    height, width, channels = recipe.size
    drawing = Drawing(random, Shape(channels, height, width), recipe.numbers)
    last = drawing.stages(INPUT, recipe.stages)
    for outputs in recipe.dense:
        last = drawing.step(drawing.linear(last, outputs))
    if recipe.whole:
        drawing.numbers = replace(drawing.numbers, density=1.0)
    return drawing.classified(last, recipe.classes)
