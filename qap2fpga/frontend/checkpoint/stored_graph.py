# SPDX-License-Identifier: Apache-2.0
"""The content of a `model.pt` that holds an exported graph, value by value against its form, as `Exported`.

The graph is bytes here; whoever reads it looks it over like any other ONNX file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np

from qap2fpga.frontend.checkpoint import stored, tensors
from qap2fpga.frontend.checkpoint.exported import Exported, Recording, check
from qap2fpga.frontend.checkpoint.stored import Check, Damaged, record
from qap2fpga.system.errors import QapError

VERSION = 2


class Example(TypedDict):
    """Recorded rows (rows, ...), and their labels (rows,)."""

    inputs: np.ndarray
    labels: NotRequired[np.ndarray]


class Levels(TypedDict):
    """The fields of a `Recording`."""

    outputs: np.ndarray
    levels: dict[str, np.ndarray]


class File(TypedDict):
    """The whole content."""

    format: str
    version: int
    graph: bytes
    masks: dict[str, np.ndarray]
    example: Example
    recording: Levels
    provenance: dict[str, object]


def parse(content: Mapping[object, object], path: Path) -> Exported:
    """Return the model in the `content` of a `model.pt`. Raises `QapError` that names what is wrong with it."""
    try:
        parts = cast(File, record(content, "", FILE))
    except Damaged as error:
        raise QapError(f"{path}: damaged: {error}", error.hint) from error
    rows, recording = parts["example"], Recording(**parts["recording"])
    model = Exported(parts["graph"], rows["inputs"], recording, parts["masks"], parts["provenance"], rows.get("labels"))
    return check(model, str(path))


def graph(value: object, where: str) -> bytes:
    """Return the bytes of the graph."""
    plain, kind = tensors.array(value, where)
    if kind != "uint8" or plain.ndim != 1 or not len(plain):
        raise Damaged(f"{where} is no list of bytes")
    return plain.tobytes()


def example(value: object, where: str) -> Example:
    """Return the recorded rows; labels are of them."""
    return cast(Example, record(value, where, stored.EXAMPLE, optional=("labels",)))


def levels(value: object, where: str) -> Levels:
    """Return the fields of a `Recording`."""
    return cast(Levels, record(value, where, RECORDING))


RECORDING: dict[str, Check] = {"outputs": tensors.floats, "levels": stored.each(tensors.floats)}
FILE: dict[str, Check] = {
    "format": stored.text,
    "version": stored.whole,
    "graph": graph,
    "masks": stored.each(tensors.truths),
    "example": example,
    "recording": levels,
    "provenance": stored.plain_values,
}
