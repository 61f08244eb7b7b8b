# SPDX-License-Identifier: Apache-2.0
"""Random networks whose kernels are odd: pads as large as they may be, dilated, larger than the frame, thin."""

from __future__ import annotations

from functools import partial

import numpy as np

from qap2fpga.estimate.draw import first_whole
from qap2fpga.estimate.images import Drawing, Numbers
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.tensors import Shape


def geometry(random: np.random.Generator, source: Shape) -> Geometry:
    """Return a kernel that has at least one position over `source`, and not more than 60."""
    while True:
        kernel, stride, dilation = (tuple(map(int, random.integers(1, most, 2))) for most in (5, 5, 4))
        extents = Geometry(kernel=kernel, dilation=dilation).extent
        pads = tuple(int(random.integers(0, extents[side % 2] if random.random() < 0.7 else 1)) for side in range(4))
        drawn = Geometry(kernel, stride, dilation, pads)  # type: ignore[arg-type]
        try:
            if drawn.output(source, 1).positions <= 60 and drawn.taps * source.channels <= 24:
                return drawn
        except ValueError:
            continue


def network(seed: int, kernels: int = 2) -> Graph:
    """Return so many kernels, one after the other, and a dense end; a `seed` gives the same."""
    return first_whole(seed, partial(_drawn, kernels))


def _drawn(kernels: int, random: np.random.Generator) -> Graph:
    height, width, channels = (int(random.integers(1, most)) for most in (6, 7, 3))
    drawing, last = Drawing(random, Shape(channels, height, width), Numbers(2, 3, 2)), INPUT
    for kind in random.choice(["conv", "depthwise", "max"], kernels):
        _, rows, columns, depth = drawing.values[last].shape
        chosen = geometry(random, Shape(depth, rows, columns))
        if kind == "conv":
            last = drawing.step(drawing.linear(last, int(random.integers(1, 4)), chosen))
        elif kind == "depthwise":
            last = drawing.step(drawing.depthwise(last, chosen))
        else:
            last = drawing.add(Max(name=drawing.name("max"), sources=(last,), geometry=chosen))
    return drawing.classified(last, 3)
