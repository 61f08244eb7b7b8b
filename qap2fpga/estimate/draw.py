# SPDX-License-Identifier: Apache-2.0
"""Random pruned networks to calibrate on: widths, bits, density and scales vary as users' do; a seed gives the same.

Weights are normal and pruned by magnitude, and activations use their range as trained ones do: the thresholds of a
channel follow from the spread of its accumulators on random inputs. A design is one layer, a whole small network, or a
network of the size of the paper's jet tagger (`JET_SIZE` non-zero weights and more).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np

from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import Unit, dense
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import ConstantNetwork, QapError

JET_SIZE = 1000
KINDS = {"layer": 0.45, "network": 0.40, "jet": 0.15}
# Inputs that the activations' ranges are fitted to.
SAMPLE = 1000
# A network that pruning made a constant is drawn again, so many times at most.
ATTEMPTS = 100


@dataclass(frozen=True)
class Recipe:
    """One design. Tuples have one entry per layer; `density` is the share of weights that are kept.

    `step_end`: the last layer ends in a quantized activation instead of logits. `clock_ns` is what a pipeline is cut
    for, `interval` the most cycles between two vectors of a folded design.
    """

    seed: int
    kind: str
    widths: tuple[int, ...]
    input_bits: int
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    density: tuple[float, ...]
    power_of_two: bool
    step_end: bool
    family: str
    clock_ns: float
    interval: int


def recipes(count: int, seed: int, jets: int = 0) -> list[Recipe]:
    """`count` designs, and `jets` more of jet size; every part of the first has about the same share of each kind."""
    kinds, shares = list(KINDS), np.array(list(KINDS.values()))
    counts = np.zeros(len(kinds))
    chosen: list[str] = []
    for number in range(count):
        # The kind that is furthest below its share is next.
        index = int(np.argmax(shares * (number + 1) - counts))
        counts[index] += 1
        chosen.append(kinds[index])
    return [
        _recipe(kind, np.random.default_rng([seed, number]), seed * 100_000 + number)
        for number, kind in enumerate(chosen + ["jet"] * jets)
    ]


def network(recipe: Recipe) -> Graph:
    """The compacted network of `recipe`. Raises `QapError` if no attempt leaves anything but a constant."""
    return first_whole(recipe.seed, partial(_network, recipe))


def first_whole(seed: int, draw: Callable[[np.random.Generator], Graph]) -> Graph:
    """Return the first drawn network, compacted, that is no constant. Raises `QapError` if no attempt leaves one."""
    for attempt in range(ATTEMPTS):
        try:
            return compact(draw(np.random.default_rng([seed, attempt])))
        except ConstantNetwork:
            continue
    raise QapError(f"design {seed}: pruned away in {ATTEMPTS} attempts", "draw from another seed")


def _recipe(kind: str, random: np.random.Generator, seed: int) -> Recipe:
    if kind == "jet":
        hidden = random.choice([24, 32, 48, 64], int(random.integers(2, 4)))
        widths = (int(random.integers(10, 33)), *(int(value) for value in hidden), int(random.integers(2, 11)))
    else:
        count = 1 if kind == "layer" else int(random.integers(2, 5))
        widths = tuple(int(value) for value in np.exp2(random.uniform(2, 5 if count > 1 else 6, count + 1)))
    layers = len(widths) - 1
    # One width for the whole network, or one per layer.
    bits = [int(value) for value in random.integers(2, 9, layers)]
    if random.random() < 0.6:
        bits = [bits[0]] * layers
    products = sum(a * b for a, b in pairwise(widths))
    sparsest = JET_SIZE * 1.4 / products if kind == "jet" else 0.02
    densest = min(1.0, 2.5 * JET_SIZE / products) if kind == "jet" else 1.0
    density = [float(np.exp(random.uniform(np.log(min(sparsest, densest)), np.log(densest)))) for _ in range(layers)]
    if kind == "jet" or random.random() < 0.5:
        density = [density[0]] * layers
    return Recipe(
        seed=seed, kind=kind, widths=widths, input_bits=int(random.integers(4, 9)), weight_bits=tuple(bits),
        activation_bits=tuple(bits) if random.random() < 0.5 else tuple(int(v) for v in random.integers(2, 9, layers)),
        density=tuple(round(value, 3) for value in density), power_of_two=bool(random.random() < 0.35),
        step_end=kind == "layer" and bool(random.random() < 0.7),
        family=str(random.choice(["xc7", "xc7", "xc7", "xcup"])),
        clock_ns=float(random.choice([4.0, 5.0, 8.0, 10.0])), interval=int(2 ** random.uniform(3, 8)),
    )  # fmt: skip


def _network(recipe: Recipe, random: np.random.Generator) -> Graph:
    low = -(1 << recipe.input_bits - 1)
    values = random.integers(low, -low, (SAMPLE, recipe.widths[0]))
    layers: list[Unit] = []
    input_bits = recipe.input_bits
    for index, (inputs, outputs) in enumerate(pairwise(recipe.widths)):
        bits, last = recipe.weight_bits[index], index == len(recipe.widths) - 2
        weights = drawn_weights(random, inputs, outputs, bits, recipe.density[index])
        sums = values @ weights
        if last and not recipe.step_end:
            # Logits of channels with scales of their own, brought to a common one.
            multiplier = random.integers(1, 2 if recipe.power_of_two else 64, outputs)
            spread = int(np.abs(sums).max()) + 1
            end: Step | Logits = Logits(multiplier, random.integers(-spread, spread, outputs), 6, 4)
            layers.append(dense(f"fc{index + 1}", weights, end, bits, input_bits))
            break
        step = drawn_step(random, sums, recipe.activation_bits[index], power_of_two=recipe.power_of_two)
        layers.append(dense(f"fc{index + 1}", weights, step, bits, input_bits))
        values, input_bits = step.apply(sums), recipe.activation_bits[index]
    return chain(tuple(layers), InputQuantizer(low, -low - 1, (1.0,)), Fraction(1))


def drawn_weights(random: np.random.Generator, inputs: int, outputs: int, bits: int, density: float) -> np.ndarray:
    """Normal weights over the narrow range of `bits`, all but the largest `density` of them zero as integers.

    At least as many as there are outputs are kept: sparser layers are mostly dead neurons, which compaction removes.
    """
    largest = max(1, (1 << bits - 1) - 1)
    raw = random.normal(0, 1, (inputs, outputs))
    keep = min(raw.size, max(outputs, round(density * raw.size)))
    floor = np.partition(np.abs(raw).ravel(), raw.size - keep)[raw.size - keep]
    scaled = raw / np.abs(raw).max() * largest
    # What is kept stays a weight: rounding must not prune it a second time.
    integers = np.sign(raw) * np.maximum(1, np.rint(np.abs(scaled)))
    return np.where(np.abs(raw) >= floor, integers, 0).astype(np.int64)


def drawn_step(random: np.random.Generator, sums: np.ndarray, bits: int, *, power_of_two: bool) -> Step:
    """Thresholds at a constant pitch a channel, so that 1.5 standard deviations fill the range of `bits`."""
    levels, spread = (1 << bits) - 1, np.maximum(sums.std(axis=0), 1.0)
    pitch = np.maximum(1.0, 1.5 * spread / (levels + 1) * random.uniform(0.8, 1.25, spread.shape))
    if power_of_two:
        pitch = 2.0 ** np.rint(np.log2(pitch))
    start = np.rint(random.normal(0, spread / 8))
    thresholds = start[:, None] + pitch[:, None] * (np.arange(levels)[None, :] + 0.5)
    return Step(np.ceil(thresholds).astype(np.int64))
