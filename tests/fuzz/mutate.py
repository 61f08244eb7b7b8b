# SPDX-License-Identifier: Apache-2.0
"""How files get damaged: bytes, and keys and values of what they hold. The same `Random` gives the same damage."""

from __future__ import annotations

import copy
import io
import zipfile
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

EXTREMES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 2**64, 10**39, 10**400, 1e-320, 1e308, -1e308, 0.5,
    float("nan"), float("inf"), float("-inf"), "", "x", "1e5", "é" * 200, "a" * 300, "\0", "\x1b[31m", "../../x", "/",
    [], {}, [[]], [None], {"": None}, [1, 2, 3], ["x"] * 50, {"a": {"b": {}}},
)  # fmt: skip

TEXTS = (b"9" * 400, b"[" * 3000, b"-1", b"\xff\xfe", b"{" * 500, b"1e999")
TYPES, TEXT_TYPES = ("f2", "f8", "c8", "i1", "u8", "?", "U3", ">f4", ">i8"), ("U1", "S3", ">U2")
# What a header of numpy's may declare.
SHAPES = (b"(1000000000000,)", b"(-5, 3)", b"(99999, 99999, 99)", b"()", b"(1,)" * 9, b"'x'")
DECLARED = (b"<f8", b"<f4", b"|O", b"<U9999999", b"|V0", b"|S0", b"zz", b"<i8")


def damaged(random: Random, data: bytes) -> tuple[bytes, str]:
    """Return `data` with one to four of its bytes, or a stretch of it, changed, and what was done."""
    if not data:
        return b"\0", "a NUL for nothing"
    content, place = bytearray(data), random.randrange(len(data))
    length = min(len(data) - place, 1 << random.randrange(0, 9))
    kind = random.choice(("flip", "bits", "cut", "short", "zero", "insert", "repeat", "swap", "text", "empty"))
    if kind == "flip":
        for _ in range(random.randrange(1, 5)):
            content[random.randrange(len(content))] = random.randrange(256)
    elif kind == "bits":
        content[place] ^= 1 << random.randrange(8)
    elif kind == "cut":
        del content[place:]
    elif kind == "short":
        del content[place : place + length]
    elif kind == "zero":
        content[place : place + length] = bytes(length)
    elif kind == "insert":
        content[place:place] = random.randbytes(length)
    elif kind == "repeat":
        content[place:place] = content[place : place + length] * random.randrange(1, 5)
    elif kind == "swap":
        other = random.randrange(len(data))
        content[place : place + length], content[other : other + length] = (
            content[other : other + length], content[place : place + length],
        )  # fmt: skip
    elif kind == "text":
        content[place : place + length] = random.choice(TEXTS)
    else:
        content = bytearray()
    return bytes(content), f"{kind} at {place}, {length} bytes"


def changed(random: Random, value: Any) -> tuple[Any, str]:
    """Return a copy of a value of JSON with one or two of its parts changed, and what was done."""
    told = []
    for _ in range(random.randrange(1, 3)):
        value, what = _changed_once(random, copy.deepcopy(value))
        told.append(what)
    return value, "; ".join(told)


def _changed_once(random: Random, value: Any) -> tuple[Any, str]:
    inside = list(places(value))
    if not inside or random.random() < 0.02:
        extreme = copy.deepcopy(random.choice(EXTREMES))
        return extreme, f"all of it is {extreme!r:.60}"
    holder, key, path = random.choice(inside)
    kind = random.choice(("drop", "extreme", "extreme", "extreme", "rename", "copy", "retype", "deep", "grow"))
    if kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[random.choice((f"{key}x", "", "é", "X" * 300, f"{key}"[:-1]))] = holder.pop(key)
    elif kind == "copy":
        other, name, _ = random.choice(inside)
        holder[key] = copy.deepcopy(other.get(name) if isinstance(other, dict) else other[min(name, len(other) - 1)])
    elif kind == "retype":
        old = holder[key]
        holder[key] = random.choice((str(old), [old], {"value": old}, 0, None))
    elif kind == "deep":
        for _ in range(random.choice((3, 100, 200))):
            holder[key] = [holder[key]]
    elif kind == "grow" and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[:3]) * random.randrange(1, 20))
    else:
        kind = "extreme"
        holder[key] = copy.deepcopy(random.choice(EXTREMES))
    return value, f"{kind} {path}"


def places(value: Any, path: str = "", deep: int = 0) -> Iterator[tuple[Any, Any, str]]:
    """(holder, key, path) of everything inside of `value`."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in list(pairs):
        yield value, key, f"{path}.{key}"[-80:]
        if deep < 12:
            yield from places(held, f"{path}.{key}", deep + 1)


def arrays(random: Random, held: dict[str, np.ndarray]) -> tuple[bytes, str]:
    """Return the bytes of an `.npz` with one array or one header changed, and what was done."""
    found = dict(held)
    name = random.choice(list(found))
    kind = random.choice(("drop", "retype", "shape", "extreme", "header", "bomb", "twice", "other", "object"))
    array = found[name]
    if kind == "drop":
        del found[name]
    elif kind == "retype":
        found[name] = array.astype(random.choice(TEXT_TYPES if array.dtype.kind == "U" else TYPES))
    elif kind == "shape":
        shapes = ((-1,), (1, -1), (-1, 1), (1, 1, -1), (*array.shape, 1), (0, *array.shape[1:]), ())
        shape = random.choice(shapes)
        found[name] = array.ravel()[:0].reshape(shape) if 0 in shape else array.ravel()[:1].reshape(()) if not shape \
            else array.reshape(shape)  # fmt: skip
    elif kind == "extreme" and array.size and array.dtype.kind in "fi":
        extreme = random.choice((np.nan, np.inf, -np.inf, 1e300, 2.0**62, -(2.0**63), -1, 0.5))
        with np.errstate(all="ignore"):
            found[name] = array.copy()
            found[name].flat[random.randrange(array.size)] = np.asarray(extreme).astype(array.dtype)
    elif kind == "other":
        found[name] = found[random.choice(list(found))]
    elif kind == "object":
        found[name] = np.array([{"a": 1}, None], dtype=object)
    return _zipped(random, found, name, kind), f"{kind} {name}"


def _zipped(random: Random, found: dict[str, np.ndarray], name: str, kind: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive:
        for key, array in found.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=True)
            data = buffer.getvalue()
            if key == name and kind == "header":
                data = _header(random.choice(SHAPES), random.choice(DECLARED))
            if key == name and kind == "bomb":
                data = _header(b"(400000000,)", b"|u1") + bytes(3 << 20)
            archive.writestr(f"{key}.npy", data)
            if key == name and kind == "twice":
                archive.writestr(f"{key}.npy", data)
    return stream.getvalue()


def _header(shape: bytes, kind: bytes) -> bytes:
    head = b"{'descr': '" + kind + b"', 'fortran_order': False, 'shape': " + shape + b", }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
