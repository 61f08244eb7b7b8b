# SPDX-License-Identifier: Apache-2.0
"""A network as the QONNX graph that it was exported to, with what torch gave for some rows: what `save` keeps of a
module that is no chain of dense layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qap2fpga.system.errors import QapError

AGAIN = "save the model again"


@dataclass(frozen=True)
class Recording:
    """What torch gave for real inputs: `outputs` (rows, ...) at the end.

    `levels`: what quantizers gave for the first rows, (rows, ...) each, by the name of the graph's node.
    """

    outputs: np.ndarray
    levels: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Exported:
    """`graph` is the bytes of an ONNX file; `masks` (layer name -> bool) say which weights were kept.

    `example` (rows, ...) are real inputs in the shape that the graph takes, and `recording` is of them; `labels`
    (rows,) are their classes, if known.
    """

    graph: bytes
    example: np.ndarray
    recording: Recording
    masks: dict[str, np.ndarray]
    provenance: dict[str, object]
    labels: np.ndarray | None = None

    @property
    def rows(self) -> np.ndarray:
        """The example as rows (n, inputs)."""
        return self.example.reshape(len(self.example), -1)


def check(model: Exported, file: str) -> Exported:
    """Return the same model, if its parts fit together and are finite. Raises `QapError` that names the `file` else."""
    example, recording = model.example, model.recording
    _check_rows(f"{file}: the example input", example)
    if model.labels is not None and (model.labels.shape != example.shape[:1] or (model.labels < 0).any()):
        what = f"labels of shape {model.labels.shape} for {len(example)} example inputs, or below 0"
        raise QapError(f"{file}: {what}", "give one class number per row: 0, 1, 2, ...")
    for name, values in (("the end", recording.outputs), *recording.levels.items()):
        _check_rows(f"{file}: what torch gave at {name}", values)
        if len(values) > len(example):
            raise QapError(f"{file}: torch was run on {len(example)} rows, and gave {len(values)} at {name}", AGAIN)
    return model


def _check_rows(what: str, values: np.ndarray) -> None:
    if values.ndim < 2 or not values.size:
        raise QapError(f"{what} has shape {values.shape}", "rows are expected: the first dimension counts them")
    if not np.isfinite(values).all():
        raise QapError(f"{what} has NaN or infinite values", "train the network again, or give real inputs")
