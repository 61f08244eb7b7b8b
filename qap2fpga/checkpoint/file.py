# SPDX-License-Identifier: Apache-2.0
"""Reading and writing checkpoint files. `docs/formats.md` documents `model.pt`."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import platform
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qap2fpga.checkpoint import foreign
from qap2fpga.checkpoint.spec import Model, Op, QuantSpec, check
from qap2fpga.checkpoint.widths import Widths
from qap2fpga.errors import QapError
from qap2fpga.files import write_atomically
from qap2fpga.quiet import quiet

FORMAT, VERSION = "qap2fpga-model", 1


def as_tensor(values: Any) -> torch.Tensor:
    """A float32 tensor on the CPU of (rows, inputs)."""
    tensor = torch.as_tensor(np.asarray(values.detach().cpu()) if isinstance(values, torch.Tensor) else values)
    return tensor.to("cpu", torch.float32)


def write(model: Model, path: Path, labels: Any, provenance: dict[str, Any]) -> None:
    """Write `model` as a `model.pt`, in one step."""
    quantizers, state, architecture = {}, {}, []
    for op in model.ops:
        entry: dict[str, Any] = {"name": op.name, "kind": op.kind, "tensors": sorted(op.tensors)}
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
            example["labels"] = torch.as_tensor(np.asarray(labels)).to(torch.int64)
            if example["labels"].shape != example["inputs"].shape[:1]:
                shape, rows = tuple(example["labels"].shape), len(example["inputs"])
                raise QapError(f"labels of shape {shape} for {rows} example inputs", "give one class number a row")
    try:
        provenance = json.loads(json.dumps(provenance))
    except (TypeError, ValueError) as error:
        raise QapError(f"provenance can not be stored: {error}", "give texts, numbers, lists and dicts") from error
    versions = {name: version(name) for name in ("torch", "brevitas")} | {"python": platform.python_version()}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": architecture,
        "quantizers": quantizers,
        "state_dict": state,
        "masks": {name: torch.from_numpy(mask) for name, mask in model.masks.items()},
        "example": example,
        "provenance": {"versions": versions, **provenance},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def read(path: Path, widths: Widths) -> Model:
    """The model in a `model.pt`, or in a state dict that somebody else's program wrote.

    Raises `QapError` for what is not a checkpoint, would run code, misses bit widths, or does not fit together.
    """
    content = _load(path)
    if not isinstance(content, dict) or not content:
        raise QapError(f"{path}: holds a {type(content).__name__}, not a checkpoint", "save it with qap2fpga.save")
    if content.get("format") == FORMAT:
        if widths.weight or widths.activation:
            raise QapError("bit widths were given, but a model.pt has its own", "leave --bits and the like out")
        model = _parse(content, path)
        if widths.input and model.has_input_quantizer:
            raise QapError("--input-bits was given, but the model has its own input quantizer", "leave it out")
        return model
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise QapError(f"{path}: has no tensors", "save it with qap2fpga.save, or give a PyTorch state_dict")
    arrays = {str(key): _plain_array(str(key), value) for key, value in tensors.items()}
    foreign.check_scales(getattr(content, "_metadata", {}), path)
    return check(foreign.parse(arrays, path, widths.weight, widths.activation, widths.input))


def _plain_array(key: str, value: torch.Tensor) -> np.ndarray:
    if value.layout != torch.strided or value.is_complex() or value.is_quantized:
        raise QapError(f"{key} is a complex, sparse or quantized tensor", "save plain float tensors")
    return value.detach().to(torch.float32).numpy()


def _load(path: Path) -> Any:
    if path.is_dir():
        raise QapError(f"{path} is a folder", "give the model file in it")
    if not path.exists():
        raise QapError(f"{path} does not exist", "check the path")
    if not path.stat().st_size:
        raise QapError(f"{path} is empty", "save it again")
    try:
        with quiet():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path) or _is_pickle(path):
            cure = "nothing was executed; save a state_dict, or the module with qap2fpga.save"
            raise QapError(
                f"{path}: a pickle that is not plain tensors and could run code when loaded", cure
            ) from error
        raise _unreadable(path, "it is not a PyTorch file") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        if "TorchScript" in str(error):
            cure = "save a state_dict, or the module with qap2fpga.save"
            raise QapError(f"{path} is a TorchScript archive, which could run code when loaded", cure) from error
        told = str(error).splitlines()[0].split(". ")[0] if isinstance(error, (OSError, RuntimeError)) else ""
        raise _unreadable(path, told or "it is not a PyTorch file, or not a whole one") from error


def _is_pickle(path: Path) -> bool:
    """Whether a file is a whole pickle; told without executing any of it."""
    try:
        with path.open("rb") as stream:
            return sum(1 for _ in pickletools.genops(stream)) > 2
    except Exception:  # genops raises whatever the garbage leads it to
        return False


def _unreadable(path: Path, why: str) -> QapError:
    return QapError(f"{path} can not be read: {why[:160]}", "it is truncated or not a PyTorch file; save it again")


def _parse(content: dict[str, Any], path: Path) -> Model:
    if content.get("version") != VERSION:
        raise QapError(
            f"{path}: format version {content.get('version')}, this program reads {VERSION}",
            "save it again with this version of qap2fpga",
        )
    try:
        state = {key: value.numpy() for key, value in content["state_dict"].items()}
        ops = []
        for entry in content["architecture"]:
            name = entry["name"]
            quantizer = content["quantizers"].get(name)
            if quantizer is not None:
                quantizer = QuantSpec(**{**quantizer, "scale": quantizer["scale"].numpy()})
            tensors = {key: state[f"{name}.{key}"] for key in entry["tensors"]}
            ops.append(Op(name, entry["kind"], tensors, quantizer, entry.get("epsilon", 1e-5)))
        masks = {name: mask.numpy() for name, mask in content["masks"].items()}
        example = {key: value.numpy() for key, value in content["example"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise QapError(
            f"{path}: damaged ({error!r} is missing or wrong)", "save it again with qap2fpga.save"
        ) from error
    model = Model(tuple(ops), masks, content.get("provenance", {}), example.get("inputs"), example.get("labels"))
    return check(model)


def with_input_quantizer(model: Model, bits: int, scale: float, signed: bool) -> Model:
    """The same model behind an input quantizer of `bits` and one power-of-two `scale`."""
    quantizer = QuantSpec(bits, signed, False, np.asarray(scale, np.float32))
    note = f"the model has no input quantizer: one of {bits} bits with scale {scale:g} was put before it"
    taken, name = {op.name for op in model.ops}, "input"
    while name in taken:
        name += "_quantizer"
    ops = (Op(name, "quantize", quantizer=quantizer), *model.ops)
    return check(replace(model, ops=ops, notes=(*model.notes, note)))
