# SPDX-License-Identifier: Apache-2.0
"""A `model.pt` of our own, read without torch, whose import takes longer than all the rest of reading a model.

What `save` writes is plain: dictionaries, lists, texts, numbers and tensors. A file with anything else, or with
anything that is not just as torch writes it, is left to torch, and to what `load` says of it.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.frontend.checkpoint.stored import FORMAT

# Of the pickle machine only what builds plain values. GLOBAL and REDUCE call what `_Machine` has, nothing else.
INSTRUCTIONS = frozenset({
    "PROTO", "STOP", "MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "NEWTRUE", "NEWFALSE", "NONE", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "REDUCE", "BINPERSID",
})  # fmt: skip
KINDS = {
    "HalfStorage": "<f2", "FloatStorage": "<f4", "DoubleStorage": "<f8", "ByteStorage": "u1", "CharStorage": "i1",
    "ShortStorage": "<i2", "IntStorage": "<i4", "LongStorage": "<i8", "BoolStorage": "?",
}  # fmt: skip
# What `pickletools` raises for bytes that are no pickle.
GARBAGE = (ValueError, LookupError, EOFError, ArithmeticError, MemoryError, struct.error, OSError)
# A pickle of names and numbers; the tensors are beside it, and torch's have no more dimensions.
LARGEST, DIMENSIONS = 1 << 24, 64


class Unfamiliar(Exception):
    """Not as `save` writes it."""


# What reading anything else ends in.
ANOTHER = (
    *GARBAGE, Unfamiliar, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, NotImplementedError, TypeError,
    AttributeError, RecursionError,
)  # fmt: skip


def read(path: Path) -> dict[object, object] | None:
    """Return the content of a `model.pt`, with arrays for tensors; None where torch has to look at the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = _content(archive)
    except ANOTHER:
        return None
    if not isinstance(content, dict):
        return None
    stated = content.get("format")
    return content if isinstance(stated, str) and stated == FORMAT else None


def _content(archive: zipfile.ZipFile) -> object:
    names = archive.namelist()
    folder = names[0].partition("/")[0]
    if len(set(names)) < len(names) or archive.read(f"{folder}/byteorder") != b"little":
        raise Unfamiliar
    with archive.open(f"{folder}/data.pkl") as stream:
        program = stream.read(LARGEST + 1)
    if len(program) > LARGEST:
        raise Unfamiliar
    for instruction, argument, _ in pickletools.genops(program):
        # A place of the memory far beyond what there is to remember would take as much memory.
        far = instruction.name in ("BINPUT", "LONG_BINPUT") and (argument or 0) > len(program)
        if instruction.name not in INSTRUCTIONS or far:
            raise Unfamiliar
    return _Machine(program, lambda key: archive.read(f"{folder}/data/{key}")).load()


@dataclass(frozen=True)
class _Kind:
    """What a tensor's values are."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """The values of a tensor, in their order in the file."""

    values: np.ndarray


class _Machine(pickle.Unpickler):
    """A pickle machine that knows the kinds of storages, tensors and ordered dictionaries."""

    def __init__(self, program: bytes, content: Callable[[str], bytes]) -> None:
        super().__init__(io.BytesIO(program))
        self.content = content
        self.read: dict[str, bytes] = {}  # many tensors may be parts of one

    def find_class(self, module: str, name: str) -> Callable[..., object] | _Kind:  # type: ignore[override]
        """Return what stands for a name."""
        if module == "torch" and name in KINDS:
            return _Kind(KINDS[name])
        known: dict[tuple[str, str], Callable[..., object]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): _no_hooks,
        }
        return known[module, name]

    def persistent_load(self, pid: object) -> _Storage:
        """Return the storage that a tensor refers to."""
        match pid:
            case ("storage", _Kind(name), str(key), "cpu", int(count)):
                pass
            case _:
                raise Unfamiliar
        if key not in self.read:
            self.read[key] = self.content(key)
        values = np.frombuffer(self.read[key], np.uint8 if name == "?" else name)
        if len(values) != count or (name == "?" and (values > 1).any()):
            raise Unfamiliar
        return _Storage(values.view(bool) if name == "?" else values)


def _no_hooks() -> OrderedDict[str, object]:
    return OrderedDict()


def _tensor(
    storage: object, first: object, shape: object, strides: object, gradient: object, hooks: object
) -> np.ndarray:
    """A tensor whose values lie one after the other."""
    if not (isinstance(storage, _Storage) and isinstance(gradient, bool) and hooks == {}):
        raise Unfamiliar
    sizes, steps, (start,) = _numbers(shape), _numbers(strides), _numbers((first,))
    usual = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    count = math.prod(sizes)
    if not count or len(steps) != len(sizes) or start + count > len(storage.values):
        raise Unfamiliar
    if any(size > 1 and one != step for size, one, step in zip(sizes, steps, usual, strict=True)):
        raise Unfamiliar
    return storage.values[start : start + count].reshape(sizes)


def _numbers(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(values) > DIMENSIONS:
        raise Unfamiliar
    if not all(type(one) is int and 0 <= one < 1 << 63 for one in values):
        raise Unfamiliar
    return values
