# SPDX-License-Identifier: Apache-2.0
"""Random pruned networks over images and signals to calibrate on: kernels, pools, residuals, a dense end.

Weights and thresholds are drawn as those of dense layers are (`draw.py`); a seed gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import numpy as np

from qap2fpga.estimate.draw import ATTEMPTS, drawn_step, drawn_weights
from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.units import end_name
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import ConstantNetwork, QapError

# Images that the activations' ranges are fitted to.
SAMPLE = 60
STAGES = ("conv", "conv", "conv", "depthwise", "max", "residual", "concat")


@dataclass(frozen=True)
class ImageRecipe:
    """One design: `stages` one after the other over frames of `size` (height, width, channels), then a dense layer.

    A stage is (kind, channels, kernel, stride): a 'conv', a 'depthwise' one, the 'max' of a window, a 'residual' conv
    whose input is added to its output, or a 'concat' of two convs. Kernels are square, or a row where the height is 1.
    `density` is the share of weights that are kept. `clock_ns` is what a pipeline is cut for, `interval` the most
    cycles between two frames of a folded design.
    """

    seed: int
    size: tuple[int, int, int]
    stages: tuple[tuple[str, int, int, int], ...]
    classes: int
    input_bits: int
    weight_bits: int
    activation_bits: int
    density: float
    power_of_two: bool
    family: str
    clock_ns: float
    interval: int
    kind: str = "image"


def recipes(number: int, seed: int) -> list[ImageRecipe]:
    """Return `number` designs; the first of more are the same."""
    return [_recipe(np.random.default_rng([seed, one, 2]), seed * 100_000 + 50_000 + one) for one in range(number)]


def network(recipe: ImageRecipe) -> Graph:
    """Return the compacted network of `recipe`. Raises `QapError` if no attempt leaves anything but a constant."""
    for attempt in range(ATTEMPTS):
        try:
            return compact(_Drawing(recipe, np.random.default_rng([recipe.seed, attempt])).graph())
        except ConstantNetwork:
            continue
    raise QapError(f"design {recipe.seed}: pruned away in {ATTEMPTS} attempts", "draw from another seed")


def _recipe(random: np.random.Generator, seed: int) -> ImageRecipe:
    height = 1 if random.random() < 0.3 else int(random.integers(4, 13))
    width = int(random.integers(8, 33)) if height == 1 else int(random.integers(4, 13))
    channels, rows, columns = int(random.integers(1, 4)), height, width
    size, stages = (height, width, channels), []
    for _ in range(int(random.integers(1, 4))):
        kind = str(random.choice(STAGES))
        kernel = 2 if kind == "max" else int(random.integers(1, 4))
        stride = kernel if kind == "max" else int(random.choice([1, 1, 1, 2]))
        if min(columns, rows if height > 1 else columns) < max(kernel, 2):
            break
        if kind in ("residual", "concat"):
            stride = 1
        if kind in ("conv", "concat"):
            channels = int(random.integers(2, 9))
        stages.append((kind, channels, kernel, stride))
        # Kernels are padded, windows of a pool are not.
        rows, columns = (extent // stride if kind == "max" else -(-extent // stride) for extent in (rows, columns))
        channels *= 2 if kind == "concat" else 1
    bits = int(random.integers(2, 7))
    return ImageRecipe(
        seed=seed, size=size, stages=tuple(stages) or (("conv", 4, 2, 1),), classes=int(random.integers(2, 11)),
        input_bits=int(random.integers(1, 9)), weight_bits=bits,
        activation_bits=bits if random.random() < 0.5 else int(random.integers(1, 7)),
        density=round(float(np.exp(random.uniform(np.log(0.1), 0))), 3), power_of_two=bool(random.random() < 0.35),
        family=str(random.choice(["xc7", "xc7", "xc7", "xcup"])),
        clock_ns=float(random.choice([4.0, 5.0, 8.0, 10.0])), interval=int(2 ** random.uniform(7, 12)),
    )  # fmt: skip


class _Drawing:
    """One network as it grows: its nodes, and the values of a sample of frames at the last."""

    def __init__(self, recipe: ImageRecipe, random: np.random.Generator) -> None:
        self.recipe, self.random, self.numbers = recipe, random, count(1)
        height, width, channels = recipe.size
        quantizer = InputQuantizer(0, (1 << recipe.input_bits) - 1, (1.0,))
        self.nodes: list[Node] = [Input(name=INPUT, size=Shape(channels, height, width), quantizer=quantizer)]
        frames = random.integers(0, quantizer.high + 1, (SAMPLE, height, width, channels))
        self.values = {INPUT: frames}
        self.last = INPUT

    def graph(self) -> Graph:
        """Return the network, with logits of a common scale."""
        for kind, channels, kernel, stride in self.recipe.stages:
            getattr(self, f"_{kind}")(channels, kernel, stride)
        _, height, width, _ = self.values[self.last].shape
        sums = self._linear(self.last, self.recipe.classes, Geometry((height, width)))
        spread = int(np.abs(self.values[sums]).max()) + 1
        factors = self.random.integers(1, 2 if self.recipe.power_of_two else 64, self.recipe.classes)
        end = Logits(factors, self.random.integers(-spread, spread, self.recipe.classes), 6, 4)
        output = self._add(Requantizer(name=end_name(sums), sources=(sums,), function=end))
        return verify(Graph(tuple(self.nodes), output, Fraction(1)), "a drawn network")

    def _add(self, node: Node) -> str:
        self.nodes.append(node)
        self.values[node.name] = node.evaluate([self.values[source] for source in node.sources])
        return node.name

    def _geometry(self, kernel: int, stride: int, *, padded: bool = True) -> Geometry:
        """A kernel as high as wide, or one row of it over signals; padded so that there are as many positions."""
        flat = self.recipe.size[0] == 1
        before, after = ((kernel - 1) // 2, kernel // 2) if padded else (0, 0)
        high = (1, 1, 0, 0) if flat else (kernel, stride, before, after)
        return Geometry((high[0], kernel), (high[1], stride), pads=(high[2], before, high[3], after))

    def _weights(self, inputs: int, outputs: int) -> np.ndarray:
        return drawn_weights(self.random, inputs, outputs, self.recipe.weight_bits, self.recipe.density)

    def _bits_of(self, source: str) -> int:
        return self.recipe.input_bits if source == INPUT else self.recipe.activation_bits

    def _linear(self, source: str, outputs: int, geometry: Geometry) -> str:
        weights = self._weights(geometry.taps * self.values[source].shape[-1], outputs)
        return self._add(
            Linear(
                name=f"conv{next(self.numbers)}", sources=(source,), weights=weights, geometry=geometry,
                weight_bits=self.recipe.weight_bits, input_bits=self._bits_of(source),
            )
        )  # fmt: skip

    def _step(self, source: str) -> str:
        sums = self.values[source].reshape(-1, self.values[source].shape[-1])
        step = drawn_step(self.random, sums, self.recipe.activation_bits, power_of_two=self.recipe.power_of_two)
        bits = self.recipe.activation_bits
        return self._add(Requantizer(name=end_name(source), sources=(source,), function=step, bits=bits))

    def _conv(self, channels: int, kernel: int, stride: int) -> None:
        self.last = self._step(self._linear(self.last, channels, self._geometry(kernel, stride)))

    def _depthwise(self, channels: int, kernel: int, stride: int) -> None:
        geometry = self._geometry(kernel, stride)
        node = Depthwise(
            name=f"depthwise{next(self.numbers)}", sources=(self.last,), geometry=geometry,
            weights=self._weights(geometry.taps, channels), weight_bits=self.recipe.weight_bits,
            input_bits=self._bits_of(self.last),
        )  # fmt: skip
        self.last = self._step(self._add(node))

    def _max(self, channels: int, kernel: int, stride: int) -> None:
        geometry = self._geometry(kernel, stride, padded=False)
        self.last = self._add(Max(name=f"max{next(self.numbers)}", sources=(self.last,), geometry=geometry))

    def _residual(self, channels: int, kernel: int, stride: int) -> None:
        branch = self._step(self._linear(self.last, channels, self._geometry(kernel, stride)))
        name = f"sum{next(self.numbers)}"
        self.last = self._step(self._add(Sum(name=name, sources=(self.last, branch), multipliers=(1, 1))))

    def _concat(self, channels: int, kernel: int, stride: int) -> None:
        sources = tuple(self._step(self._linear(self.last, channels, self._geometry(one, 1))) for one in (kernel, 1))
        self.last = self._add(Concat(name=f"concat{next(self.numbers)}", sources=sources))
