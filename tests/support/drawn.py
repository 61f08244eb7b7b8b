# SPDX-License-Identifier: Apache-2.0
"""Random QONNX graphs: kernels of all geometries, pools, branches, joins, curves, dead channels, 1 to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.support.qonnx_builder import QONNX, Builder

STAGES = (
    "conv", "conv", "depthwise", "groups", "largest", "mean", "add", "add", "concat", "resize", "again", "curve", "pad",
    "bent",
)  # fmt: skip


def drawn(seed: int, stages: int = 4) -> tuple[onnx.ModelProto, np.ndarray]:
    """Return a graph of so many drawn stages and a dense end, and some inputs of it."""
    drawing = _Drawing(np.random.default_rng(seed))
    return drawing.model(stages), drawing.rows(3)


class _Drawing:
    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.spatial = int(random.choice([1, 2, 2]))
        self.shape = (int(random.integers(1, 4)), *(int(one) for one in random.integers(3, 6, self.spatial)))
        self.one = Builder((1, *self.shape))
        # Activations that a stage may read, and the shape of a row of each.
        self.shapes: dict[str, tuple[int, ...]] = {}

    def rows(self, count: int) -> np.ndarray:
        """Some inputs, float32."""
        return self.random.normal(0, 1.5, (count, *self.shape)).astype(np.float32)

    def model(self, stages: int) -> onnx.ModelProto:
        """The graph; what nobody read is joined at the end."""
        self._quantized("x", self.shape, 1.0)
        for _ in range(stages):
            getattr(self, f"_{self.random.choice(STAGES)}")()
        read = {name for node in self.one.nodes for name in node.input}
        ends = [name for name in self.shapes if name not in read] or [self._any()]
        total = None
        for name in ends:
            sums = self._dense(name)
            total = sums if total is None else self.one.add("Add", self.one.quant(total, 0.37, 6), sums)
        assert total is not None
        if self.random.integers(3) == 0:
            total = self.one.quant(total, self._scale(), int(self.random.integers(1, 9)))
        return self.one.model(total)

    def _any(self) -> str:
        return str(self.random.choice(list(self.shapes)))

    def _scale(self) -> float:
        """A power of two, or any number."""
        exponent = self.random.uniform(-3, 0)
        return float(2.0 ** (round(exponent) if self.random.integers(2) else exponent))

    def _quantized(self, tensor: str, shape: tuple[int, ...], spread: float) -> None:
        """Quantize `tensor` in some way."""
        bits, signed = int(self.random.integers(1, 9)), bool(self.random.integers(2))
        scale = np.float32(self._scale() * spread * (2 if bits < 3 else 1))
        if bits == 1 and self.random.integers(2):
            result = self.one.add("BipolarQuant", tensor, self.one.constant(scale), domain=QONNX)
        else:
            rounding = str(self.random.choice(["ROUND", "ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"]))
            # The scale of an activation may be another in each channel, but few nodes can read that.
            result = self.one.quant(
                tensor, scale, bits, signed=signed, narrow=bool(bits > 1 and self.random.integers(2)), rounding=rounding
            )
        self.shapes[result] = shape

    def _weights(self, *size: int) -> str:
        """Weights of some bits, sparse, some outputs dead; one scale, or one per output."""
        bits = int(self.random.integers(2, 9))
        largest = 2 ** (bits - 1) - 1
        integers = self.random.integers(-largest, largest + 1, size) * (self.random.random(size) < 0.6)
        integers[self.random.random(size[0]) < 0.1] = 0
        integers.reshape(-1)[int(self.random.integers(integers.size))] = 1
        scale = np.asarray(2.0 ** self.random.uniform(-5, -3, size[0] if self.random.integers(2) else ()), np.float32)
        scale = scale.reshape(-1, *(1,) * (len(size) - 1)) if scale.ndim else scale
        return self.one.quant(self.one.constant(integers * scale), scale, bits)

    def _kernel(
        self, shape: tuple[int, ...], *, pads: bool, dilations: bool = True
    ) -> tuple[dict[str, Any], tuple[int, ...]]:
        """Attributes of a kernel, and the positions of its result."""
        sizes = shape[1:]
        kernel = [int(self.random.integers(1, min(3, size) + 1)) for size in sizes]
        steps = [
            2 if dilations and self.random.integers(4) == 0 and 2 * (one - 1) < size else 1
            for one, size in zip(kernel, sizes, strict=True)
        ]
        reach = [(one - 1) * step + 1 for one, step in zip(kernel, steps, strict=True)]
        strides = [int(one) for one in self.random.integers(1, 3, len(sizes))]
        around = [0] * 2 * len(sizes)
        if pads and self.random.integers(2):
            around = [int(self.random.integers(0, one)) for one in (*reach, *reach)]
        half = len(sizes)
        places = tuple(
            (size + before + behind - one) // stride + 1
            for size, before, behind, one, stride in zip(
                sizes, around[:half], around[half:], reach, strides, strict=True
            )
        )
        return {"kernel_shape": kernel, "strides": strides, "dilations": steps, "pads": around}, places

    def _after(self, tensor: str, shape: tuple[int, ...]) -> None:
        """What may stand between sums and a quantizer."""
        channels = shape[0]
        if self.random.integers(2):
            gamma, beta, mean = (self.random.normal(0, 1, channels) for _ in range(3))
            gamma[self.random.random(channels) < 0.1] = 0
            tensor = self.one.batch_norm(tensor, gamma, beta, mean, self.random.uniform(0.5, 3, channels))
        if self.random.integers(2):
            tensor = self.one.add("Relu", tensor)
        if self.random.integers(4) == 0:
            tensor = self.one.add("Clip", tensor, self.one.constant(-1.5), self.one.constant(1.25))
        self._quantized(tensor, shape, 1.5)

    def _conv(self) -> None:
        source = self._any()
        shape = self.shapes[source]
        options, places = self._kernel(shape, pads=True)
        outputs = int(self.random.integers(1, 4))
        weights = self._weights(outputs, shape[0], *options["kernel_shape"])
        bias = [self.one.constant(self.random.normal(0, 0.5, outputs))] if self.random.integers(2) else []
        self._after(self.one.add("Conv", source, weights, *bias, **options), (outputs, *places))

    def _depthwise(self) -> None:
        source = self._any()
        shape = self.shapes[source]
        options, places = self._kernel(shape, pads=True)
        weights = self._weights(shape[0], 1, *options["kernel_shape"])
        result = self.one.add("Conv", source, weights, group=shape[0], **options)
        self._after(result, (shape[0], *places))

    def _groups(self) -> None:
        """A convolution of two groups, or of two outputs per channel."""
        source = self._any()
        shape = self.shapes[source]
        groups = 2 if shape[0] % 2 == 0 else shape[0]
        options, places = self._kernel(shape, pads=True)
        weights = self._weights(2 * groups, shape[0] // groups, *options["kernel_shape"])
        self._after(self.one.add("Conv", source, weights, group=groups, **options), (2 * groups, *places))

    def _bent(self) -> None:
        """Levels that are read without their negative half, in each channel times a factor of its own."""
        source = self._any()
        shape = self.shapes[source]
        factors = self.random.choice([-2.0, -1, 1, 1, 2], (shape[0], *(1,) * self.spatial))
        turned = self.one.add("Mul", source, self.one.constant(factors))
        self.shapes[self.one.add("Relu", turned)] = shape

    def _pad(self) -> None:
        source = self._any()
        shape = self.shapes[source]
        pads = [0, 0, *[1] * self.spatial, 0, 0, *[0] * self.spatial]
        large = self.one.add("Pad", source, self.one.constant(pads, np.int64))
        kernel = [2] * self.spatial
        weights = self._weights(2, shape[0], *kernel)
        self._after(self.one.add("Conv", large, weights, kernel_shape=kernel), (2, *shape[1:]))

    def _largest(self) -> None:
        source = self._any()
        options, places = self._kernel(self.shapes[source], pads=True)
        result = self.one.add("MaxPool", source, **options)
        self.shapes[result] = (self.shapes[source][0], *places)

    def _mean(self) -> None:
        source = self._any()
        shape = self.shapes[source]
        if self.random.integers(3) == 0:
            axes = [axis + 2 for axis in range(self.spatial)]
            kind: dict[str, Any] = {"GlobalAveragePool": {}, "ReduceMean": {"axes": axes}}
            name = str(self.random.choice(list(kind)))
            mean = self.one.add(name, source, **kind[name])
            self._quantized(mean, (shape[0], *[1] * self.spatial), 0.5)
            return
        options, places = self._kernel(shape, pads=False, dilations=False)
        del options["dilations"]
        self._quantized(self.one.add("AveragePool", source, **options), (shape[0], *places), 0.5)

    def _alike(self, start: int) -> list[str]:
        """Two activations of one shape, from the dimension `start` on."""
        first = self._any()
        others = [name for name, shape in self.shapes.items() if shape[start:] == self.shapes[first][start:]]
        return [first, str(self.random.choice(others))]

    def _add(self) -> None:
        sources = self._alike(0)
        shape = self.shapes[sources[0]]
        if self.random.integers(3) == 0:  # sums, with a scale of their own
            sources[0] = self.one.add("Conv", sources[0], self._weights(shape[0], shape[0], *[1] * self.spatial))
        self._after(self.one.add(str(self.random.choice(["Add", "Sub"])), *sources), shape)

    def _concat(self) -> None:
        sources = self._alike(1)
        shapes = [self.shapes[one] for one in sources]
        result = self.one.add("Concat", *sources, axis=1)
        self._quantized(result, (sum(shape[0] for shape in shapes), *shapes[0][1:]), 1.0)

    def _resize(self) -> None:
        source = self._any()
        shape = self.shapes[source]
        if np.prod(shape) > 40:
            return
        scales = self.one.constant([1, 1, *[2] * self.spatial])
        options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        result = self.one.add("Resize", source, "", scales, **options)
        self.shapes[result] = (shape[0], *(2 * one for one in shape[1:]))

    def _again(self) -> None:
        source = self._any()
        self._quantized(source, self.shapes[source], 1.7)

    def _curve(self) -> None:
        source = self._any()
        shape = self.shapes[source]
        kind = str(self.random.choice(["LeakyRelu", "PRelu", "Sigmoid", "Tanh"]))
        if kind == "LeakyRelu":
            result = self.one.add(kind, source, alpha=0.3)
        elif kind == "PRelu":
            slopes = self.random.uniform(0.1, 2, (shape[0], *(1,) * self.spatial))
            result = self.one.add(kind, source, self.one.constant(slopes))
        else:
            result = self.one.add(kind, source)
        self._quantized(result, shape, 0.4)

    def _dense(self, name: str) -> str:
        size = int(np.prod(self.shapes[name]))
        flat = self.one.add("Flatten", name)
        weights = self.one.add("Transpose", self._weights(3, size), perm=[1, 0])
        return self.one.add("MatMul", flat, weights)
