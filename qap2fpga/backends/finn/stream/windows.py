# SPDX-License-Identifier: Apache-2.0
"""The orders of beats in FINN's padding and its window generators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qap2fpga.backends.finn.stream.models import Model
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape


def padding(size: Shape, pads: Sequence[int], fold: int) -> Model:
    """Return the model of padding a tensor of `size`, `fold` beats per position."""
    top, left, bottom, right = pads
    inside = np.zeros((top + size.height + bottom, left + size.width + right), bool)
    inside[top : top + size.height, left : left + size.width] = True
    return Model("padding", {}, inside.repeat(fold))


def memory(size: Shape, geometry: Geometry, fold: int) -> int:
    """Return how many elements the serial generator holds."""
    (rows, columns), (down, across) = geometry.extent, geometry.stride
    held = ((rows - 1) * size.width + columns) * fold
    extra = [(across - 1) - geometry.taps, (down - 1) * size.width - geometry.taps]
    return held + sum(max(0, one * fold) for one in extra)


def starts(size: Shape, geometry: Geometry) -> np.ndarray:
    """Return the first position of every window of an unpadded tensor of `size`."""
    out = geometry.output(size, 1)
    down, across = geometry.stride
    return (np.arange(out.height)[:, None] * down * size.width + np.arange(out.width) * across).ravel()


def taps(size: Shape, geometry: Geometry) -> np.ndarray:
    """Return the positions of a window, counted from its first."""
    down, across = geometry.dilation
    rows, columns = geometry.kernel
    return (np.arange(rows)[:, None] * down * size.width + np.arange(columns) * across).ravel()


def serial(size: Shape, geometry: Geometry, fold: int, *, depthwise: bool) -> Model:
    """Return the model of the serial generator over an unpadded tensor of `size`, `fold` beats per position."""
    begins, places, parts = starts(size, geometry), taps(size, geometry), np.arange(fold)
    by_part = depthwise and fold > 1
    seen = (begins[:, None] + places)[:, :, None] * fold + parts  # window, tap, part
    # What FINN adds after the last window: all but one of the elements of a window.
    least = int(begins[-1] + places[-1] + 1) * fold - 1
    after = np.append(begins[1:] * fold, least)
    free = np.broadcast_to(after[:, None, None], seen.shape)
    if by_part:
        seen = seen.transpose(0, 2, 1)
        # All parts but the last leave the window where it is.
        ends = begins[:, None] * fold + parts + 1
        ends[:, -1] = after
        ends[-1, -1] += fold - 1
        free = np.broadcast_to(ends[:, :, None], seen.shape)
    numbers = {"elements": size.positions * fold, "held": memory(size, geometry, fold), "length": seen.size}
    return Model("window", numbers, np.concatenate([seen.ravel(), free.ravel()]))


def parallel(size: Shape, geometry: Geometry, fold: int = 1) -> Model:
    """Return the model of the generator that gives all taps at once, `fold` beats per position.

    FINN takes it for kernels of one tap too, which alone may have several beats per position.
    """
    ends = (starts(size, geometry) + taps(size, geometry)[-1])[:, None] * fold + np.arange(fold)
    return Model("parallel", {"elements": size.positions * fold}, ends.ravel())
