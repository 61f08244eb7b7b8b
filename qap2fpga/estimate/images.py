# SPDX-License-Identifier: Apache-2.0
"""Random pruned networks over images and signals to calibrate on: kernels, pools, residuals, a dense end.

Weights and thresholds are drawn as those of dense layers are (`draw.py`); a seed gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import count

import numpy as np

from qap2fpga.estimate.draw import drawn_step, drawn_weights, first_whole
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.units import end_name

# Images that the activations' ranges are fitted to.
SAMPLE = 60
STAGES = ("conv", "conv", "conv", "conv", "depthwise", "max", "average", "residual", "concat", "repeat")
# Their windows do not overlap, and have no pads.
POOLS = ("max", "average")
# What a repeated frame may be large at most.
MOST_POSITIONS = 200


@dataclass(frozen=True)
class Numbers:
    """The widths of a network's integers; `density` is the share of weights that are kept.

    `power_of_two`: whether thresholds are evenly spaced by powers of two.
    """

    input_bits: int
    weight_bits: int
    activation_bits: int
    density: float = 1.0
    power_of_two: bool = False


@dataclass(frozen=True)
class ImageRecipe:
    """One design: `stages` one after the other over frames of `size` (height, width, channels), then a dense layer.

    A stage is (kind, channels, kernel, stride): a 'conv', a 'depthwise' one, the 'max' or the 'average' of a window, a
    'residual' conv whose input is added to its output, a 'concat' of two convs, or 'repeat', every position `kernel`
    times in both directions. Kernels are square, or a row where the height is 1. `averaged`: the dense layer takes the
    average of the frame. `clock_ns` is what a pipeline is cut for, `interval` the most cycles between two frames of a
    folded design; an unrolled one is given it where it is `slow`.
    """

    seed: int
    size: tuple[int, int, int]
    stages: tuple[tuple[str, int, int, int], ...]
    classes: int
    numbers: Numbers
    family: str
    clock_ns: float
    interval: int
    averaged: bool
    slow: bool
    kind: str = "image"


def recipes(number: int, seed: int) -> list[ImageRecipe]:
    """Return `number` designs; the first of more are the same."""
    return [_recipe(np.random.default_rng([seed, one, 2]), seed * 100_000 + 50_000 + one) for one in range(number)]


def network(recipe: ImageRecipe) -> Graph:
    """Return the compacted network of `recipe`. Raises `QapError` if no attempt leaves anything but a constant."""
    return first_whole(recipe.seed, partial(_network, recipe))


def _recipe(random: np.random.Generator, seed: int) -> ImageRecipe:
    height = 1 if random.random() < 0.3 else int(random.integers(4, 13))
    width = int(random.integers(8, 33)) if height == 1 else int(random.integers(4, 13))
    size = (height, width, int(random.integers(1, 4)))
    stages = drawn_stages(random, size, 8)
    bits = int(random.integers(2, 7))
    return ImageRecipe(
        seed=seed, size=size, stages=stages or (("conv", 4, 2, 1),), classes=int(random.integers(2, 11)),
        numbers=Numbers(
            input_bits=int(random.integers(1, 9)), weight_bits=bits,
            activation_bits=bits if random.random() < 0.5 else int(random.integers(1, 7)),
            density=round(float(np.exp(random.uniform(np.log(0.1), 0))), 3), power_of_two=bool(random.random() < 0.35),
        ),
        family=str(random.choice(["xc7", "xc7", "xc7", "xcup"])),
        clock_ns=float(random.choice([4.0, 5.0, 8.0, 10.0])),
        interval=int(height * width * 2 ** random.uniform(2, 5)),
        averaged=bool(random.random() < 0.25), slow=bool(random.random() < 0.35),
    )  # fmt: skip


def drawn_stages(
    random: np.random.Generator, size: tuple[int, int, int], most_channels: int
) -> tuple[tuple[str, int, int, int], ...]:  # fmt: skip
    """Return up to three stages over frames of `size`, as far as these are large enough for them."""
    height, width, channels = size
    rows, columns, stages = height, width, []
    for _ in range(int(random.integers(1, 4))):
        kind = str(random.choice(STAGES))
        kernel = 2 if kind in (*POOLS, "repeat") else int(random.integers(1, 4))
        stride = kernel if kind in POOLS else int(random.choice([1, 1, 1, 2]))
        if min(columns, rows if height > 1 else columns) < max(kernel, 2):
            break
        if kind in ("residual", "concat", "repeat"):
            stride = 1
        if kind == "repeat":
            after = rows * (kernel if height > 1 else 1), columns * kernel
            if math.prod(after) > MOST_POSITIONS:
                continue
        elif kind in POOLS:
            after = rows // stride, columns // stride
        else:
            after = -(-rows // stride), -(-columns // stride)  # kernels are padded
        if kind in ("conv", "concat"):
            channels = int(random.integers(2, most_channels + 1))
        stages.append((kind, channels, kernel, stride))
        rows, columns = after
        channels *= 2 if kind == "concat" else 1
    return tuple(stages)


class Drawing:
    """A network as it grows: its nodes, and the `values` of a sample of frames at each of them, by name."""

    def __init__(self, random: np.random.Generator, size: Shape, numbers: Numbers) -> None:
        self.random, self.numbers, self._count = random, numbers, count(1)
        quantizer = InputQuantizer(0, (1 << numbers.input_bits) - 1, (1.0,))
        self.nodes: list[Node] = [Input(name=INPUT, size=size, quantizer=quantizer)]
        shape = (SAMPLE, size.height, size.width, size.channels)
        self.values = {INPUT: random.integers(0, quantizer.high + 1, shape)}

    def add(self, node: Node) -> str:
        """Add `node` after its sources, and return its name."""
        self.nodes.append(node)
        self.values[node.name] = node.evaluate([self.values[source] for source in node.sources])
        return node.name

    def name(self, kind: str) -> str:
        """Return a name that no other node has."""
        return f"{kind}{next(self._count)}"

    def channels(self, source: str) -> int:
        """Return the channels of a result."""
        return int(self.values[source].shape[-1])

    def geometry(self, source: str, kernel: int, stride: int, *, padded: bool = True) -> Geometry:
        """Return a kernel as high as wide, or one row of it over a signal.

        Where it is `padded`, there are as many positions as the source has, divided by the stride.
        """
        flat = self.values[source].shape[1] == 1
        before, after = ((kernel - 1) // 2, kernel // 2) if padded else (0, 0)
        high = (1, 1, 0, 0) if flat else (kernel, stride, before, after)
        return Geometry((high[0], kernel), (high[1], stride), pads=(high[2], before, high[3], after))

    def linear(self, source: str, outputs: int, geometry: Geometry | None = None) -> str:
        """Add sums of products under a kernel, None: over the whole frame."""
        _, height, width, channels = self.values[source].shape
        geometry = geometry or Geometry((height, width))
        weights = self._weights(geometry.taps * channels, outputs)
        return self.add(
            Linear(
                name=self.name("linear"), sources=(source,), weights=weights, geometry=geometry,
                weight_bits=self.numbers.weight_bits, input_bits=self._bits_of(source),
            )
        )  # fmt: skip

    def depthwise(self, source: str, geometry: Geometry) -> str:
        """Add sums of products of each channel with its own kernel."""
        return self.add(
            Depthwise(
                name=self.name("depthwise"), sources=(source,), geometry=geometry,
                weights=self._weights(geometry.taps, self.channels(source)), weight_bits=self.numbers.weight_bits,
                input_bits=self._bits_of(source),
            )
        )  # fmt: skip

    def step(self, source: str) -> str:
        """Add a requantizer to the activations' bits, fitted to the sample."""
        sums = self.values[source].reshape(-1, self.channels(source))
        bits = self.numbers.activation_bits
        # Sums of levels lie far from zero, where a function of sums of products has its thresholds.
        middle = np.rint(sums.mean(axis=0)).astype(np.int64)
        step = drawn_step(self.random, sums - middle, bits, power_of_two=self.numbers.power_of_two)
        function = Step(step.thresholds + middle[:, None])
        return self.add(Requantizer(name=end_name(source), sources=(source,), function=function, bits=bits))

    def conv(self, source: str, channels: int, kernel: int, stride: int = 1) -> str:
        """Add a convolution and its requantizer."""
        return self.step(self.linear(source, channels, self.geometry(source, kernel, stride)))

    def max(self, source: str, kernel: int, stride: int) -> str:
        """Add the largest of each window, without pads."""
        geometry = self.geometry(source, kernel, stride, padded=False)
        return self.add(Max(name=self.name("max"), sources=(source,), geometry=geometry))

    def average(self, source: str, geometry: Geometry) -> str:
        """Add the sums of windows and their requantizer."""
        ones = np.ones((geometry.taps, self.channels(source)), np.int64)
        sums = self.add(
            Depthwise(
                name=self.name("average"), sources=(source,), geometry=geometry, weights=ones, weight_bits=1,
                input_bits=self._bits_of(source),
            )
        )  # fmt: skip
        return self.step(sums)

    def repeat(self, source: str, factor: int) -> str:
        """Add every position `factor` times in each direction that the frame has."""
        rows = factor if self.values[source].shape[1] > 1 else 1
        return self.add(Repeat(name=self.name("repeat"), sources=(source,), rows=rows, columns=factor))

    def sum(self, *sources: str) -> str:
        """Add the sum of branches, each of a scale of its own, and its requantizer."""
        multipliers = tuple(int(one) for one in self.random.choice([1, 1, 2, 3, 5], len(sources)))
        return self.step(self.add(Sum(name=self.name("sum"), sources=sources, multipliers=multipliers)))

    def stages(self, last: str, stages: Sequence[tuple[str, int, int, int]]) -> str:
        """Add stages of a recipe, one after the other."""
        for kind, outputs, kernel, stride in stages:
            match kind:
                case "conv":
                    last = self.conv(last, outputs, kernel, stride)
                case "depthwise":
                    last = self.step(self.depthwise(last, self.geometry(last, kernel, stride)))
                case "max":
                    last = self.max(last, kernel, stride)
                case "average":
                    last = self.average(last, self.geometry(last, kernel, stride, padded=False))
                case "repeat":
                    last = self.repeat(last, kernel)
                case "residual":
                    last = self.sum(last, self.conv(last, outputs, kernel))
                case _:
                    sources = tuple(self.conv(last, outputs, one) for one in (kernel, 1))
                    last = self.add(Concat(name=self.name("concat"), sources=sources))
        return last

    def classified(self, source: str, classes: int) -> Graph:
        """Return the network that ends in a dense layer over `source`, and logits of a common scale."""
        sums = self.linear(source, classes)
        spread = int(np.abs(self.values[sums]).max()) + 1
        factors = self.random.integers(1, 2 if self.numbers.power_of_two else 64, classes)
        end = Logits(factors, self.random.integers(-spread, spread, classes), 6, 4)
        output = self.add(Requantizer(name=end_name(sums), sources=(sums,), function=end))
        return verify(Graph(tuple(self.nodes), output, Fraction(1)), "a drawn network")

    def _weights(self, inputs: int, outputs: int) -> np.ndarray:
        return drawn_weights(self.random, inputs, outputs, self.numbers.weight_bits, self.numbers.density)

    def _bits_of(self, source: str) -> int:
        return self.numbers.input_bits if source == INPUT else self.numbers.activation_bits


def _network(recipe: ImageRecipe, random: np.random.Generator) -> Graph:
    height, width, channels = recipe.size
    drawing, last = Drawing(random, Shape(channels, height, width), recipe.numbers), INPUT
    last = drawing.stages(last, recipe.stages)
    if recipe.averaged:
        _, *extents, _ = drawing.values[last].shape
        last = drawing.average(last, Geometry((extents[0], extents[1])))
    return drawing.classified(last, recipe.classes)
