# SPDX-License-Identifier: Apache-2.0
"""Which of hls4ml's layers multiplies for a node, over which frame, and with which matrix.

- A linear node that sees its frame once is a dense layer of all of the frame's values.
- A convolution is hls4ml's, without its pads and dilation: a layer of ours pads before it (`qap_layers.h`), and zeros
  between the taps of a kernel are a dilation. Frames of one row are 1-d layers.
- hls4ml's streams ignore the stride of rows under kernels of one row, and declare an empty line buffer for depthwise
  ones; such kernels get a second row, of zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.windowed import Weighted


@dataclass(frozen=True, eq=False)
class Kernel:
    """How the products of `node` are computed.

    `frame` is what comes in once `pads` (top, left, bottom, right) of the value `pad` are around it. `weights` are
    (rows, columns, channels, outputs), of a depthwise layer (rows, columns, channels, 1), of a dense one (frame, 1, 1,
    outputs) of the flat frame. `result` is what goes out.
    """

    node: Weighted
    weights: np.ndarray
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    pad: int
    frame: Shape
    result: Shape
    dense: bool

    @property
    def is_padded(self) -> bool:
        """Whether a layer of ours has to pad the frame."""
        return any(self.pads)

    @property
    def depthwise(self) -> bool:
        """Whether each channel is taken by itself."""
        return isinstance(self.node, Depthwise)

    @property
    def dimensions(self) -> int:
        """Dimensions that the kernel moves over, as hls4ml counts them."""
        return 1 if self.frame.height == 1 else 2

    @property
    def kind(self) -> str:
        """hls4ml's name for the layer."""
        if self.dense:
            return "Dense"
        return f"{'Depthwise' if self.depthwise else ''}Conv{self.dimensions}D"

    @property
    def prefix(self) -> str:
        """What the layer's name begins with."""
        return "dense" if self.dense else "depthwise" if self.depthwise else "conv"

    @property
    def inputs(self) -> int:
        """Rows of the matrix: values that one position sees."""
        return int(np.prod(self.weights.shape[:3]))

    @property
    def outputs(self) -> int:
        """Columns of the matrix."""
        return self.result.channels

    @property
    def nonzeros(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.weights))

    @property
    def weight_range(self) -> tuple[int, int]:
        """The smallest and the largest weight."""
        return int(self.weights.min()), int(self.weights.max())

    def cycles(self, factor: int, *, stream: bool) -> int:
        """Return the cycles between two frames that the layer's loops ask for at the reuse factor `factor`."""
        if self.dense:
            return factor + (self.frame.positions if stream and self.frame.positions > 1 else 0)
        return factor * (self.frame.positions if stream else self.result.positions)


@dataclass(frozen=True)
class Written:
    """A kernel as it is written: the layer's name, and how its products are shared."""

    kernel: Kernel
    layer: str
    strategy: str
    reuse_factor: int


def kernels(graph: Graph, *, stream: bool) -> tuple[Kernel, ...]:
    """Return the kernels of all nodes that multiply, in the order of the graph."""
    return tuple(kernel(node, graph.shapes[node.sources[0]], stream=stream) for node in graph.weighted)


def kernel(node: Weighted, source: Shape, *, stream: bool) -> Kernel:
    """Return the kernel of `node` over frames of the shape `source`."""
    geometry, result = node.geometry, node.shape([source])
    if isinstance(node, Linear) and result.positions == 1 and not geometry.is_padded:
        weights = _of_frame(node, source)
        return Kernel(node, weights, (1, 1), (0, 0, 0, 0), 0, source, result, dense=True)
    weights = _spread(node)
    pads = geometry.pads
    frame = padded(source, pads)
    if stream and frame.height > 1 and len(weights) == 1 and not _strides_right(node):
        weights = np.concatenate([weights, np.zeros_like(weights)])
        pads = (pads[0], pads[1], pads[2] + 1, pads[3])
        frame = replace(frame, height=frame.height + 1)
    return Kernel(node, weights, geometry.stride, pads, geometry.pad, frame, result, dense=False)


def interval(graph: Graph, factors: Iterable[tuple[Kernel, int]], *, stream: bool) -> int:
    """Return the cycles between two frames that the loops of all layers ask for, given each kernel's reuse factor.

    Layers of ours take a position per cycle, pads among them.
    """
    cycles = [1]
    for one, factor in factors:
        cycles.append(one.cycles(factor, stream=stream))
        if one.is_padded:
            cycles.append(one.frame.positions)
    for node in graph.nodes[1:]:
        cycles.append(graph.shapes[node.name].positions)
        if isinstance(node, Max):
            cycles.append(padded(graph.shapes[node.sources[0]], node.geometry.pads).positions)
    return max(cycles)


def padded(source: Shape, pads: tuple[int, int, int, int]) -> Shape:
    """Return the shape of `source` with `pads` (top, left, bottom, right) around it."""
    top, left, bottom, right = pads
    return replace(source, height=top + source.height + bottom, width=left + source.width + right)


def _strides_right(node: Weighted) -> bool:
    """Whether hls4ml's streams do what a kernel of one row over several rows asks for."""
    if isinstance(node, Depthwise):
        return False
    return node.geometry.stride[0] == 1 or node.geometry.kernel[1] == 1


def _of_frame(node: Linear, source: Shape) -> np.ndarray:
    """The weights of all values of a frame that the kernel sees once, (values, 1, 1, outputs)."""
    taps = _spread(node)
    rows, columns = taps.shape[:2]
    whole = np.zeros((source.height, source.width, *taps.shape[2:]), np.int64)
    whole[:rows, :columns] = taps
    return whole.reshape(source.size, 1, 1, -1)


def _spread(node: Weighted) -> np.ndarray:
    """The weights (rows, columns, channels, outputs) with zeros where a dilation skips positions."""
    geometry: Geometry = node.geometry
    (rows, columns), (down, across) = geometry.kernel, geometry.dilation
    taps = node.weights.reshape(rows, columns, -1, 1 if isinstance(node, Depthwise) else node.outputs)
    spread = np.zeros((*geometry.extent, *taps.shape[2:]), np.int64)
    spread[::down, ::across] = taps
    return spread
