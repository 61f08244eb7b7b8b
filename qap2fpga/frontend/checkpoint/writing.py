# SPDX-License-Identifier: Apache-2.0
"""Writing a `model.pt`. `docs/formats.md` documents it."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from qap2fpga.frontend.checkpoint import stored, stored_graph
from qap2fpga.frontend.checkpoint.exported import Exported
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.checkpoint.stored import FORMAT, VERSION
from qap2fpga.frontend.labels import class_numbers
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically


def as_tensor(values: torch.Tensor | ArrayLike) -> torch.Tensor:
    """Return a float32 tensor on the CPU of (rows, inputs)."""
    try:
        tensor = torch.as_tensor(np.asarray(values.detach().cpu()) if isinstance(values, torch.Tensor) else values)
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"the example input is a {type(values).__name__}, not rows of numbers"
        raise QapError(what, "give some rows of real inputs, as the network sees them") from error
    return tensor.to("cpu", torch.float32)


def write(model: Model, path: Path, labels: torch.Tensor | ArrayLike | None, provenance: Mapping[str, object]) -> None:
    """Write `model` as a `model.pt`, in one step; `labels` (rows,) are class numbers."""
    quantizers, state, architecture = {}, {}, []
    for op in model.ops:
        entry: stored.Entry = {"name": op.name, "kind": op.kind, "tensors": sorted(op.tensors)}
        if op.kind == "batch_norm":
            entry["epsilon"] = op.epsilon
        architecture.append(entry)
        state.update({f"{op.name}.{key}": torch.from_numpy(value) for key, value in op.tensors.items()})
        if op.quantizer is not None:
            fields = {key: getattr(op.quantizer, key) for key in ("bits", "signed", "narrow", "zero_point", "rounding")}
            quantizers[op.name] = {**fields, "scale": torch.from_numpy(np.asarray(op.quantizer.scale))}
    example: dict[str, torch.Tensor] = {}
    if model.example is not None:
        example["inputs"] = torch.from_numpy(model.example)
        if labels is not None:
            example["labels"] = torch.from_numpy(class_labels(labels, len(model.example)))
    elif labels is not None:
        raise QapError("labels without example inputs", "give the rows that they are of")
    content = {
        "architecture": architecture,
        "quantizers": quantizers,
        "state_dict": state,
        "masks": {name: torch.from_numpy(mask) for name, mask in model.masks.items()},
        "example": example,
    }
    _write(path, VERSION, content, provenance)


def write_exported(model: Exported, path: Path) -> None:
    """Write `model` as a `model.pt`, in one step."""
    _write(path, stored_graph.VERSION, _of_graph(model), model.provenance)


def _write(path: Path, form: int, content: Mapping[str, object], provenance: Mapping[str, object]) -> None:
    """Write the `content` of this version of the form, with the provenance at its end, in one step."""
    try:
        free = stored.plain_values(json.loads(json.dumps(provenance)), "provenance")
    except (TypeError, ValueError, RecursionError, stored.Damaged) as error:
        raise QapError(f"provenance cannot be stored: {error}", "give texts, numbers, lists and dicts") from error
    versions = {name: version(name) for name in ("torch", "brevitas")} | {"python": platform.python_version()}
    whole = {"format": FORMAT, "version": form, **content, "provenance": {"versions": versions, **free}}
    buffer = io.BytesIO()
    torch.save(whole, buffer)
    write_atomically(path, buffer.getvalue())


def class_labels(labels: torch.Tensor | ArrayLike, rows: int) -> np.ndarray:
    """Return the class numbers (rows,) of `labels`. Raises `QapError` for anything else."""
    values = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if values.shape[:1] != (rows,):
        raise QapError(f"labels of shape {values.shape} for {rows} example inputs", "give one class number per row")
    numbers = class_numbers(values)
    if numbers is None:
        hint = "give one class number per row: 0, 1, 2, ...; leave them out for a regression"
        raise QapError(f"labels of shape {values.shape} and type {values.dtype} are no class numbers", hint)
    return numbers


def _of_graph(model: Exported) -> dict[str, object]:
    """Return what a `model.pt` keeps of `model`, but for format, version and provenance."""
    recording = model.recording
    rows = {"inputs": torch.from_numpy(model.example)}
    if model.labels is not None:
        rows["labels"] = torch.from_numpy(model.labels)
    return {
        "graph": torch.frombuffer(bytearray(model.graph), dtype=torch.uint8),
        "masks": _tensors(model.masks),
        "example": rows,
        "recording": {**_tensors({"outputs": recording.outputs}), "levels": _tensors(recording.levels)},
    }


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
