# SPDX-License-Identifier: Apache-2.0
"""The content of a `model.pt`, value by value against its form, as a `Model`.

A form says what each key of a part must hold. A key that is missing, unknown or of another type is refused by
name, and so is a part that nothing refers to: what is not read could have meant something. Shapes and ranges
are `spec.check`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar, cast

import numpy as np

from qap2fpga.frontend.checkpoint import tensors
from qap2fpga.frontend.checkpoint.spec import KINDS, Model, Op, QuantSpec, check
from qap2fpga.system.errors import QapError, nearest

FORMAT, VERSION = "qap2fpga-model", 1
AGAIN = "save it again with qap2fpga.save"
# Of the provenance, which is free in form.
DEEPEST, MOST_VALUES, LARGEST_WHOLE = 32, 100_000, 2**63
T = TypeVar("T")
Check = Callable[[object, str], object]


class Entry(TypedDict):
    """An operation of the architecture: what `tensors` it has, by name; `epsilon` is a batch norm's."""

    name: str
    kind: str
    tensors: list[str]
    epsilon: NotRequired[float]


class Quantizer(TypedDict):
    """The fields of a `QuantSpec`."""

    bits: int
    signed: bool
    narrow: bool
    zero_point: int
    rounding: str
    scale: np.ndarray


class Example(TypedDict):
    """Recorded rows (rows, inputs), and their labels (rows,)."""

    inputs: NotRequired[np.ndarray]
    labels: NotRequired[np.ndarray]


class File(TypedDict):
    """The whole content."""

    format: str
    version: int
    architecture: list[Entry]
    quantizers: dict[str, Quantizer]
    state_dict: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    example: Example
    provenance: dict[str, object]


def parse(content: Mapping[object, object], path: Path) -> Model:
    """Return the model in the `content` of a `model.pt`. Raises `QapError` that names what is wrong with it."""
    try:
        return check(_model(cast(File, record(content, "", FILE))))
    except Damaged as error:
        raise QapError(f"{path}: damaged: {error}", error.hint) from error


def version_of(content: Mapping[object, object], path: Path, known: tuple[int, ...]) -> int:
    """Return the version of the form that `content` says it has. Raises `QapError` for one that is not `known`."""
    version = content.get("version")
    if type(version) is not int or version not in known:
        stated = version if type(version) is int and abs(version) < LARGEST_WHOLE else _kind(version)
        read = " and ".join(map(str, known))
        raise QapError(f"{path}: format version {stated}, this program reads {read}", f"{AGAIN} of this version")
    return version


class Damaged(Exception):
    """A value that is not what the form says."""

    def __init__(self, what: str, hint: str = AGAIN) -> None:
        super().__init__(what)
        self.hint = hint


def _model(parts: File) -> Model:
    state, quantizers = parts["state_dict"], parts["quantizers"]
    ops = []
    for entry in parts["architecture"]:
        name, kind = entry["name"], entry["kind"]
        arrays = {}
        for tensor in entry["tensors"]:
            if f"{name}.{tensor}" not in state:
                raise Damaged(f"state_dict has no {name}.{tensor}")
            arrays[tensor] = state.pop(f"{name}.{tensor}")
        quantizer = quantizers.pop(name, None)
        op = Op(name, kind, arrays, None if quantizer is None else QuantSpec(**quantizer))
        ops.append(replace(op, epsilon=entry["epsilon"]) if "epsilon" in entry else op)
    left: tuple[tuple[str, Mapping[str, object]], ...] = (("state_dict", state), ("quantizers", quantizers))
    for part, unread in left:
        if unread:
            raise Damaged(f"no operation of the architecture reads '{next(iter(unread))}' in {part}")
    example = parts["example"]
    return Model(tuple(ops), parts["masks"], parts["provenance"], example.get("inputs"), example.get("labels"))


# ---- forms


def record(value: object, where: str, form: Mapping[str, Check], optional: tuple[str, ...] = ()) -> dict[str, object]:
    """Return the dictionary `value` with each key's value as its check in `form` returns it."""
    entries = mapping(value, where)
    for key in entries:
        if key not in form:
            raise Damaged(f"unknown key '{key}' in {where or 'the file'}", nearest(key, form))
    missing = [key for key in form if key not in entries and key not in optional]
    if missing:
        raise Damaged(f"'{missing[0]}' is missing in {where or 'the file'}")
    return {key: form[key](item, f"{where}.{key}" if where else key) for key, item in entries.items()}


def each(check_one: Callable[[object, str], T]) -> Callable[[object, str], dict[str, T]]:
    """Return the check of a dictionary whose values all are what `check_one` wants."""
    return lambda value, where: {
        key: check_one(item, f"{where}['{key}']") for key, item in mapping(value, where).items()
    }


def mapping(value: object, where: str) -> dict[str, object]:
    """Return the dictionary `value` (of texts to anything), whatever its class."""
    if not isinstance(value, dict):
        raise Damaged(f"{where} is a {_kind(value)}, not a dictionary")
    return {text(key, f"a key of {where}"): item for key, item in value.items()}


def sequence(value: object, where: str) -> list[object]:
    """Return the list `value`."""
    if not isinstance(value, list):
        raise Damaged(f"{where} is a {_kind(value)}, not a list")
    return value


def text(value: object, where: str) -> str:
    """Return the text `value`; one with half a surrogate pair cannot be written anywhere."""
    if not isinstance(value, str):
        raise Damaged(f"{where} is a {_kind(value)}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Damaged(f"{where} has characters that do not exist") from error
    return value


def name_of_layer(value: object, where: str) -> str:
    """Return the text `value`, which is not empty."""
    if not text(value, where):
        raise Damaged(f"{where} is empty")
    return str(value)


def truth(value: object, where: str) -> bool:
    """Return the truth value `value`."""
    if not isinstance(value, bool):
        raise Damaged(f"{where} is a {_kind(value)}, not True or False")
    return value


def whole(value: object, where: str) -> int:
    """Return the whole number `value`; larger ones cannot even be printed."""
    if type(value) is not int or abs(value) >= LARGEST_WHOLE:
        raise Damaged(f"{where} is a {_kind(value)}, not a whole number of 64 bits")
    return value


def number(value: object, where: str) -> float:
    """Return the finite number `value`."""
    if not isinstance(value, float) or not math.isfinite(value):
        raise Damaged(f"{where} is a {_kind(value)}, not a finite number")
    return value


def operation(value: object, where: str) -> Entry:
    """Return one entry of the architecture; a batch norm says its epsilon, nothing else has one."""
    entries = mapping(value, where)
    kind = entries.get("kind")
    if isinstance(kind, str) and kind not in KINDS:
        stated = entries.get("name")
        raise QapError(f"layer {text(stated, 'name')}: unknown kind '{text(kind, 'kind')}'", nearest(kind, KINDS))
    if "epsilon" in entries and kind != "batch_norm":
        raise Damaged(f"layer {text(entries.get('name'), 'name')}: a {text(kind, 'kind')} has no 'epsilon'")
    epsilon: dict[str, Check] = {"epsilon": number} if kind == "batch_norm" else {}
    return cast(Entry, record(value, where, OPERATION | epsilon))


def operations(value: object, where: str) -> list[Entry]:
    """Return the entries of the architecture."""
    entries = [operation(entry, f"{where}[{index}]") for index, entry in enumerate(sequence(value, where))]
    names: set[str] = set()
    for entry in entries:
        if entry["name"] in names:
            raise Damaged(f"two layers are called {entry['name']}")
        names.add(entry["name"])
    return entries


def names_of_tensors(value: object, where: str) -> list[str]:
    """Return the list of different texts `value`."""
    names = [text(name, where) for name in sequence(value, where)]
    if len(set(names)) != len(names):
        raise Damaged(f"{where} names a tensor twice")
    return names


def quantizer(value: object, where: str) -> Quantizer:
    """Return the fields of a `QuantSpec`."""
    return cast(Quantizer, record(value, where, QUANTIZER))


def example(value: object, where: str) -> Example:
    """Return the recorded rows, if there are any; labels are of them."""
    rows = record(value, where, EXAMPLE, optional=("inputs", "labels"))
    if "labels" in rows and "inputs" not in rows:
        raise Damaged(f"'inputs' is missing in {where}")
    return cast(Example, rows)


def plain_values(value: object, where: str) -> dict[str, object]:
    """Return the dictionary `value` of texts, numbers, lists and dictionaries, if it is not too deep or too large."""
    plain = mapping(value, where)
    level: list[object] = [plain]
    count = 0
    for _ in range(DEEPEST):
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(mapping(one, where).values())
            elif isinstance(one, list):
                below.extend(one)
            elif isinstance(one, str):
                text(one, f"a text of {where}")
            elif isinstance(one, int) and not isinstance(one, bool):
                whole(one, f"a number of {where}")
            elif not isinstance(one, float | bool | None):
                raise Damaged(f"{where} holds a {_kind(one)}", "give texts, numbers, lists and dicts")
            if count + len(below) > MOST_VALUES:
                raise Damaged(f"{where} holds more than {MOST_VALUES:,} values", "keep them in a file of their own")
        if not below:
            return plain
        level, count = below, count + len(below)
    raise Damaged(f"{where} is nested deeper than {DEEPEST}", "keep it in a file of its own")


def _kind(value: object) -> str:
    return "Tensor" if isinstance(value, np.ndarray) else type(value).__name__


OPERATION: dict[str, Check] = {"name": name_of_layer, "kind": text, "tensors": names_of_tensors}
QUANTIZER: dict[str, Check] = {
    "bits": whole,
    "signed": truth,
    "narrow": truth,
    "zero_point": whole,
    "rounding": text,
    "scale": tensors.floats,
}
EXAMPLE: dict[str, Check] = {"inputs": tensors.floats, "labels": tensors.whole}
FILE: dict[str, Check] = {
    "format": text,
    "version": whole,
    "architecture": operations,
    "quantizers": each(quantizer),
    "state_dict": each(tensors.floats),
    "masks": each(tensors.truths),
    "example": example,
    "provenance": plain_values,
}
