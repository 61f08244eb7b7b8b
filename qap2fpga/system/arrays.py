# SPDX-License-Identifier: Apache-2.0
"""Arrays in `.npz` and `.npy` files of users: what their headers declare is checked before it is allocated."""

from __future__ import annotations

import io
import math
import struct
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.reading import MIB, line, size

Arrays = dict[str, NDArray[np.generic]]
# Of all arrays of a file together, once unpacked.
LARGEST = 1024 * MIB
MOST_ARRAYS = 4096
MAGIC = b"\x93NUMPY"
# What numpy and zipfile raise for damaged files; a compression or an encryption that they do not know is among it.
DAMAGED = (
    OSError, ValueError, TypeError, EOFError, KeyError, SyntaxError, OverflowError, RuntimeError, NotImplementedError,
    MemoryError, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError,
)  # fmt: skip


def load(path: Path, hint: str, only: Collection[str] = ()) -> Arrays | NDArray[np.generic]:
    """Return the arrays of an `.npz` by name, those of `only` if it names some, or the one of an `.npy`.

    Raises `QapError` for what is neither, for objects, and for a header that declares more than there is.
    """
    held = size(path, LARGEST, hint)
    try:
        with path.open("rb") as stream:
            single = stream.read(len(MAGIC)) == MAGIC
            stream.seek(0)
            if single:
                return _array(stream, held, LARGEST)
            return _members(stream, only)
    except DAMAGED as error:
        raise QapError(f"{path} cannot be read: {line(error) or type(error).__name__}", hint) from error


def load_npz(path: Path, hint: str) -> Arrays:
    """Return the arrays of an `.npz` by name."""
    content = load(path, hint)
    if not isinstance(content, dict):
        raise QapError(f"{path} holds a single array", hint)
    return content


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` in one step."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def _members(stream: io.BufferedIOBase, only: Collection[str]) -> Arrays:
    arrays: Arrays = {}
    room = LARGEST
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if len(members) > MOST_ARRAYS:
            raise ValueError(f"{len(members):,} files in an archive, more than {MOST_ARRAYS:,}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"the array {line(repr(name))} is there twice")
            if name == member.filename or (only and name not in only):
                continue
            with archive.open(member) as inside:
                try:
                    arrays[name] = _array(cast(io.BufferedIOBase, inside), member.file_size, room)
                except DAMAGED as error:
                    raise ValueError(f"{line(repr(name))}: {line(error) or type(error).__name__}") from error
            room -= arrays[name].nbytes
    return arrays


def _array(stream: io.BufferedIOBase, held: int, room: int) -> NDArray[np.generic]:
    """The array in a stream of `held` bytes, of which `room` may be used. Raises `ValueError` for another size."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of numpy's format is not read")
    shape, fortran, kind = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
    if kind.hasobject or kind.kind not in "biufSU" or kind.itemsize == 0:
        raise ValueError(f"an array of type {line(kind)}: save numbers as numbers and names as texts, not as objects")
    count = math.prod(shape)
    needed = count * kind.itemsize
    if any(length < 0 for length in shape) or needed > room:
        raise ValueError(f"shape {line(shape)} of {kind} takes more than the {LARGEST:,} bytes that are read")
    left = held - stream.tell()
    if needed != left:
        raise ValueError(f"shape {line(shape)} of {kind} takes {needed:,} bytes, {left:,} are there")
    storage = bytearray(needed)
    if stream.readinto(storage) != needed:
        raise ValueError(f"fewer bytes than the {needed:,} that are declared")
    data = np.frombuffer(storage, np.uint8)
    if kind.kind == "U":
        _check_texts(data.view(np.uint32), swapped=not kind.isnative)
    array = data.view(kind)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _check_texts(points: NDArray[np.uint32], *, swapped: bool) -> None:
    """Raise `ValueError` for code points that no text has: Python would, when one is looked at."""
    codes = points.byteswap() if swapped else points
    if (codes > sys.maxunicode).any() or ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
        raise ValueError("a text with characters that do not exist")


def texts(names: NDArray[np.generic], where: str, hint: str) -> tuple[str, ...]:
    """Return the texts in an array of names; numbers count as texts. Raises `QapError` for bytes that are no UTF-8."""
    try:
        return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.ravel().tolist())
    except UnicodeDecodeError as error:
        raise QapError(f"{where}: {line(error)}", hint) from error


def require_finite(what: str, values: np.ndarray, hint: str = "clean the data") -> None:
    """Raise `QapError` for numbers (rows, ...) that there are none of, or that are not all finite; `what` they are."""
    if not values.size:
        raise QapError(f"{what} is empty", "give some rows")
    strange = ~np.isfinite(values)
    if strange.any():
        row, *place = np.unravel_index(strange.argmax(), strange.shape)
        kind = "NaN" if np.isnan(values[(row, *place)]) else "an infinite value"
        column = f", column {', '.join(map(str, place))}" if place else ""
        raise QapError(f"{what} has {kind} in row {row}{column} (counted from 0)", hint)
