# SPDX-License-Identifier: Apache-2.0
"""Shape-only operators on the rows that a signal is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from onnx import NodeProto


def moves_rows(node: NodeProto, shape: tuple[int, ...], axis: int | None, axes: Sequence[int]) -> bool:
    """Return whether `node`, on rows of `shape`, joins or drops the dimension that counts the rows.

    `axis` is a Flatten's, `axes` those of a Squeeze or Unsqueeze. Of a Reshape the shape of its output tells.
    """
    rank = len(shape) + 1
    if node.op_type == "Flatten":
        assert axis is not None
        first = axis + rank if axis < 0 else axis
        return first == 0 or math.prod(shape[: first - 1]) > 1
    if node.op_type in ("Squeeze", "Unsqueeze"):
        rank += len(axes) if node.op_type == "Unsqueeze" else 0
        return not len(axes) or any(place % rank == 0 for place in axes)
    return False


def class_axis_fault(axis: int, shape: tuple[int, ...], channels: int) -> str:
    """Why an operator along `axis` does not go over all `channels` outputs of each row of `shape`; empty if it does."""
    if not -len(shape) <= axis <= len(shape) or axis == 0:
        return f"its axis is {axis}: it goes over the rows instead of the outputs"
    if shape[axis if axis < 0 else axis - 1] != channels or channels < 2:
        return f"along its axis {axis} there are not all of the network's outputs, two at least"
    return ""
