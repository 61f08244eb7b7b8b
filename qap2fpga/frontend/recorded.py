# SPDX-License-Identifier: Apache-2.0
"""What torch gave for some rows when a module was saved, as an execution that is compared like any other.

Torch's own values are those of the quantizers and of the output. What stands between two of them (pools, sums of
branches, changes of shape) is computed from torch's values, so that each is compared with what it follows from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.frontend import export, ties
from qap2fpga.frontend.checkpoint.exported import Exported, Recording
from qap2fpga.frontend.trial import Trial
from qap2fpga.frontend.values import RawGraph
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


@dataclass(frozen=True)
class Recorded:
    """What torch of this `version` gave for real `rows` (n, ...): `values` (n, ...) by the graph's tensors."""

    version: str
    rows: np.ndarray
    values: dict[str, np.ndarray]


def of_file(model: Exported, qonnx: ModelWrapper) -> Recorded:
    """Return what a file of `save` recorded of its graph, which is `qonnx` now."""
    versions = model.provenance.get("versions")
    version = versions.get("torch") if isinstance(versions, dict) else None
    return of(model.recording, model.example, qonnx, str(version))


def of(recording: Recording, inputs: np.ndarray, qonnx: ModelWrapper, version: str) -> Recorded:
    """Return the rows of the `inputs` (n, ...) for which every quantizer's values were recorded.

    Raises `QapError` for values of a node that the graph lacks, or of another shape.
    """
    count = min([len(inputs), len(recording.outputs), *map(len, recording.levels.values())])
    tensors = {node.doc_string: node.output[0] for node in qonnx.graph.node}
    unknown = next((name for name in recording.levels if name not in tensors), None)
    if unknown is not None:
        raise QapError(f"torch gave values at {unknown}, which the graph has not", "save the model again")
    values = {tensors[name]: levels for name, levels in recording.levels.items()}
    values[qonnx.graph.output[0].name] = recording.outputs
    for tensor, levels in values.items():
        shape = tuple(qonnx.get_tensor_shape(tensor))
        if levels.shape[1:] != shape[1:]:
            what = f"torch gave rows of shape {levels.shape[1:]} where the graph has {shape[1:]}"
            raise QapError(what, "save the model again")
    return Recorded(version, inputs[:count], {tensor: levels[:count] for tensor, levels in values.items()})


def execution(recorded: Recorded, graph: RawGraph, qonnx: ModelWrapper) -> ties.Execution:
    """Return torch's execution of the `graph`, which was read from `qonnx`."""
    rows = graph.input_axes.frames(recorded.rows)
    values = export.execute(qonnx, recorded.rows, recorded.values) | recorded.values
    return ties.Execution("torch", Trial(rows.astype(np.float32), (("recorded", len(rows)),)), values)
