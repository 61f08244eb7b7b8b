# SPDX-License-Identifier: Apache-2.0
"""Files of users are bounded before they are read, and whatever a parser raises is one message."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.ir import vectors
from qap2fpga.system import arrays, reading
from qap2fpga.system import codec as shapes
from qap2fpga.system.errors import QapError
from tests.fuzz.mutate import _header
from tests.support.graphs import small_chain

ROOT = Path(__file__).parents[3]
HINT = "do this"


def refused(work: Callable[[], object], message: str) -> None:
    with pytest.raises(QapError, match=message) as caught:
        work()
    assert caught.value.hint


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- bytes and texts


def test_a_file_larger_than_its_limit_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", b"12345")
    assert reading.content(path, 5, HINT) == b"12345"
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    refused(lambda: reading.content(path, 4, HINT), "has 5 bytes, more than the 4")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refused(lambda: reading.text(tmp_path, HINT), "is a folder")
    refused(lambda: reading.text(tmp_path / "no", HINT), "does not exist")
    refused(lambda: reading.text(tmp_path / ("x" * 300), HINT), "cannot be read: File name too long")
    refused(lambda: reading.text(tmp_path / "a\0b", HINT), "cannot be read")
    os.mkfifo(tmp_path / "pipe")
    refused(lambda: reading.text(tmp_path / "pipe", HINT), "is no regular file")
    assert not reading.is_file(tmp_path / ("x" * 300))
    refused(lambda: reading.text(write(tmp_path / "b", b"ab\xff"), HINT), "no UTF-8 text: byte 2 is 0xff")
    assert reading.text(write(tmp_path / "bom", b"\xef\xbb\xbfa"), HINT) == "a"


def test_what_a_message_quotes_is_short() -> None:
    assert reading.line("a\nb") == "a"
    assert len(reading.line("x" * 1000)) == reading.LONGEST_LINE
    assert reading.line("") == ""
    assert reading.shown(10**5000) == "a number of too many digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no sound JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested in each other"),
        ("1" * 41, "a number of 41 digits"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
    ],
)
def test_json_is_bounded(tmp_path: Path, text: str, message: str) -> None:
    refused(lambda: reading.json_value(write(tmp_path / "a.json", text), HINT), message)


def test_json_of_another_kind_is_named(tmp_path: Path) -> None:
    refused(lambda: reading.json_object(write(tmp_path / "a.json", "[1]"), HINT), "holds a list, not an object")
    assert reading.json_object(write(tmp_path / "a.json", '{"a": NaN}'), HINT)["a"] != 0


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "line 1"),
        ("a: " + "[" * 5000, "nested too deeply"),
        (BOMB, "more than 100,000 values"),
        ("a: &a [*a]", "no sound YAML"),
        ("a: 1\na: 2", "the key 'a' is there twice"),
        ("a: " + "1" * 400, "more than 40 digits"),
        ("a: " + "1" * 5000, "no sound YAML"),
        ("a: 2001-02-30", "no sound YAML"),
        ("? [1]\n: 2", "no sound YAML"),
        ("!!python/object/apply:os.system ['true']", "no sound YAML"),
        ("a: \x07", "no sound YAML"),
        ("1: 2", "the key 1 is a number"),
        ("- 1", "holds a list, not keys"),
    ],
)
def test_yaml_is_bounded(tmp_path: Path, text: str, message: str) -> None:
    refused(lambda: reading.yaml_object(write(tmp_path / "a.yaml", text), HINT), message)


def test_yaml_may_share_and_merge(tmp_path: Path) -> None:
    text = "base: &b {x: 1, y: 2}\nmine: {<<: *b, x: 3}\n"
    assert reading.yaml_object(write(tmp_path / "a.yaml", text), HINT)["mine"] == {"x": 3, "y": 2}


# ---- arrays


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize(
    ("shape", "kind", "data", "message"),
    [
        (b"(1000000000000,)", b"<f8", b"", "takes more than"),
        (b"(1000000000000,)", b"|S0", b"", "array of type"),
        (b"(-1,)", b"<f8", b"", "takes more than"),
        (b"(3,)", b"|O", bytes(24), "not as objects"),
        (b"(3,)", b"<f8", bytes(16), "takes 24 bytes, 16 are there"),
        (b"(3,)", b"<f8", bytes(32), "takes 24 bytes, 32 are there"),
        (b"'x'", b"<f8", b"", "cannot be read"),
        (b"(1,)", b"<U1", b"\xff\xff\xff\xff", "characters that do not exist"),
        (b"(1,)", b"<U1", b"\x00\xd8\x00\x00", "characters that do not exist"),
    ],
)
def test_headers_are_checked(tmp_path: Path, shape: bytes, kind: bytes, data: bytes, message: str) -> None:
    held = _header(shape, kind) + data
    refused(lambda: arrays.load(write(tmp_path / "a.npy", held), HINT), message)
    refused(lambda: arrays.load(npz(tmp_path / "a.npz", X=held), HINT), message)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = _header(b"(5000000,)", b"|u1") + bytes(5_000_000)
    path = npz(tmp_path / "a.npz", X=held)
    assert path.stat().st_size < 20_000
    assert arrays.load_npz(path, HINT)["X"].nbytes == 5_000_000
    monkeypatch.setattr(arrays, "LARGEST", 4_000_000)
    refused(lambda: arrays.load_npz(path, HINT), "takes more than")
    monkeypatch.setattr(arrays, "MOST_ARRAYS", 0)
    refused(lambda: arrays.load_npz(path, HINT), "1 files in an archive")


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    held = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "u": np.array(["ä", "bc"]), "o": np.array(3),
            "b": np.arange(3, dtype=">i4"), "e": np.zeros((0, 4))}  # fmt: skip
    np.savez(tmp_path / "a.npz", **held)
    result = arrays.load_npz(tmp_path / "a.npz", HINT)
    for name, array in held.items():
        assert result[name].dtype == array.dtype
        np.testing.assert_array_equal(result[name], array)
    np.save(tmp_path / "a.npy", held["f"])
    refused(lambda: arrays.load_npz(tmp_path / "a.npy", HINT), "holds a single array")
    assert list(arrays.load(tmp_path / "a.npz", HINT, ("u",))) == ["u"]
    refused(lambda: arrays.texts(np.array([b"\xff"]), "names", HINT), "names: ")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, X=np.arange(1000))
    whole = stream.getvalue()
    for content in (b"", b"PK\x03\x04", whole[:-30], whole[:60] + bytes(40) + whole[100:]):
        refused(lambda content=content: arrays.load(write(tmp_path / "a.npz", content), HINT), "cannot be read")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        for _ in range(2):
            archive.writestr("X.npy", _header(b"(1,)", b"|u1") + b"\0")
    refused(lambda: arrays.load(tmp_path / "b.npz", HINT), "'X' is there twice")


# ---- types


class Sort(StrEnum):
    ONE = "one"
    TWO = "two"


@dataclass(frozen=True, kw_only=True)
class Part(shapes.Record):
    name: str
    size: shapes.Size
    values: tuple[float | None, ...] = ()
    sort: Sort = Sort.ONE
    pair: tuple[str, shapes.Count] | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)

    @classmethod
    def variant(cls, value: Mapping[str, object]) -> type[shapes.Record]:
        return Wide if "width" in value else cls


@dataclass(frozen=True, kw_only=True)
class Wide(Part):
    width: shapes.Number


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": 3, "size": 1}, "name = 3"),
        ({"name": "a"}, "'size' is missing"),
        ({"name": "a", "size": 0}, "size = 0"),
        ({"name": "a", "size": True}, "size = True"),
        ({"name": "a", "size": 10**31}, "size = 1000"),
        ({"name": "a", "size": 1, "values": [1, "2"]}, r"values\[1\] = '2'"),
        ({"name": "a", "size": 1, "values": [float("nan")]}, r"values\[0\] = nan"),
        ({"name": "a", "size": 1, "sort": "three"}, "sort = 'three'"),
        ({"name": "a", "size": 1, "sort": ["one"]}, r"sort = \['one'\]"),
        ({"name": "a", "size": 1, "pair": ["b", -1]}, r"pair = \['b', -1\]"),
        ({"name": "a", "size": 1, "parts": {"b": {"name": "c"}}}, "'parts.b.size' is missing"),
        ({"name": "a", "size": 1, "width": "2"}, "width = '2'"),
        ([], "it = "),
    ],
)
def test_values_of_another_type_are_named(value: Any, message: str) -> None:
    refused(lambda: shapes.decode(Part, value, "", "a file"), f"a file: {message}")


def test_what_was_read_is_typed_and_written_as_it_was() -> None:
    """Whole numbers stay whole, keys that are not known stay where they were, and what is absent stays absent."""
    inside = {"size": 1, "x": [1, {"y": None}], "name": "b", "sort": "two", "width": 3}
    tree = {"other": 2, "name": "a", "size": 1, "values": [1, 2.5, None], "pair": ["p", 0], "parts": {"k": inside}}
    part = shapes.decode(Part, tree, "", "a file")
    assert json.dumps(shapes.encode(part)) == json.dumps(tree)
    assert (part.values, part.pair, part.more, part.sort) == ((1, 2.5, None), ("p", 0), {"other": 2}, Sort.ONE)
    assert isinstance(part.parts["k"], Wide) and part.parts["k"].sort is Sort.TWO
    (one,) = shapes.decode(Mapping[str, tuple[Part, ...]], {"a": [{"name": "a", "size": 1}]}, "", "a file")["a"]
    assert one == Part(name="a", size=1) and shapes.encode(one) == {"name": "a", "size": 1}
    assert shapes.encode(replace(one, sort=Sort.TWO)) == {"name": "a", "size": 1, "sort": "two"}


def test_a_record_that_was_not_read_has_all_its_keys() -> None:
    every = {"name": "a", "size": 1, "values": [], "sort": "one", "pair": None, "parts": {}}
    assert json.dumps(shapes.encode([Part(name="a", size=1)])) == json.dumps([every])


# ---- extreme vectors


def test_extreme_vectors_of_a_wide_network_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_chain([[[1, 0], [-1, 2], [3, 1]], [[1, -1], [2, 0]]], [[[-2, 0, 3], [1, 2, 4]]])
    every = vectors.extremes(network)
    assert len(np.unique(every, axis=0)) == len(every) == len(vectors.extremes(network))
    monkeypatch.setattr(vectors, "MOST_VALUES", 3 * 9)
    some = vectors.extremes(network)
    assert 5 <= len(some) <= 9 < len(every)
    assert {tuple(row) for row in some} <= {tuple(row) for row in every}
