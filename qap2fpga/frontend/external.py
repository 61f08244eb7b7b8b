# SPDX-License-Identifier: Apache-2.0
"""Tensors that an ONNX file keeps in other files: which they are, and their values, from its folder only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import load_external_data_for_tensor

from qap2fpga.system.errors import QapError

BESIDE = "put the file with the tensors beside the model, or export the model into one file"


def files(path: Path) -> tuple[Path, ...]:
    """The files beside the ONNX file at `path` that hold tensors of it and are there; none if it cannot be read."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError):
        return ()
    if not is_text(model):
        return ()
    near = {location for location in map(_location, outside(model)) if _is_near(location)}
    return tuple(path.parent / location for location in sorted(near) if _is_there(path.parent, location))


def _is_there(folder: Path, location: str) -> bool:
    """Whether `location` is a file of `folder`, and no link out of it."""
    try:
        return (folder / location).is_file() and (folder / location).resolve().is_relative_to(folder.resolve())
    except OSError:  # a name that is too long
        return False


def load(model: ModelProto, path: Path) -> None:
    """Read into `model`, which was read from `path`, the tensors that it keeps elsewhere.

    Raises `QapError` that names tensor and file for one that is missing, cut off, or not in the model's folder.
    """
    for tensor in outside(model):
        location = _location(tensor)
        what = f"{path}: the tensor {tensor.name} is kept in {location}"
        if not _is_near(location):
            raise QapError(f"{what}, outside of the model's folder", BESIDE)
        try:
            load_external_data_for_tensor(tensor, str(path.parent))
        except Exception as error:  # onnx raises RuntimeError and ValidationError too, for links and odd names
            raise QapError(f"{what}: {first_line(error)}", BESIDE) from error
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def is_text(message: Message) -> bool:
    """Return whether all that is text in `message` is; protobuf hands over the bytes of what is not."""
    for field, value in message.ListFields():
        values = (value,) if isinstance(value, str | bytes | Message) else value
        if field.type == field.TYPE_MESSAGE and not all(map(is_text, values)):
            return False
        if field.type == field.TYPE_STRING and not all(isinstance(one, str) for one in values):
            return False
    return True


def first_line(error: Exception) -> str:
    """Return what a library's exception says, short."""
    return (str(error) or type(error).__name__).splitlines()[0][:160]


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All stored tensors of `graph`, those in attributes and in inner graphs among them."""
    yield from graph.initializer
    for node in graph.node:
        yield from _attribute_tensors(node)


def _attribute_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.TENSOR, AttributeProto.TENSORS):
            yield from (attribute.t,) if attribute.type == AttributeProto.TENSOR else attribute.tensors
        for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            yield from tensors(inner)


def outside(model: ModelProto) -> list[TensorProto]:
    """Return the stored tensors of `model` whose values are kept in other files."""
    return [tensor for tensor in tensors(model.graph) if tensor.data_location == TensorProto.EXTERNAL]


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _is_near(location: str) -> bool:
    """Whether `location` names a file at or below the model's folder; onnx itself looks at links."""
    parts = Path(location).parts
    return bool(parts) and not Path(location).is_absolute() and ".." not in parts and "\0" not in location
