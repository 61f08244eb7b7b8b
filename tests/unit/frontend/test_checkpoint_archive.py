# SPDX-License-Identifier: Apache-2.0
"""Files of our own read without torch: the same content, or none."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from qap2fpga.frontend.checkpoint import archive
from qap2fpga.frontend.checkpoint.load import load

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.pt"))
TYPES = (torch.float16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
         torch.bool)  # fmt: skip


def assert_same(ours: object, theirs: object) -> None:
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, np.ndarray)
        assert (ours.dtype, ours.shape) == (theirs.numpy().dtype, tuple(theirs.shape))
        assert ours.tobytes() == theirs.numpy().tobytes()
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs) and isinstance(ours, dict) and list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        assert type(ours) is type(theirs) and ours == theirs


def saved(folder: Path, content: object) -> Path:
    path = folder / "model.pt"
    torch.save(content, path)
    return path


def of(folder: Path, **content: object) -> Path:
    return saved(folder, {"format": archive.FORMAT, **content})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.stem))
def test_the_examples(path: Path) -> None:
    assert_same(archive.read(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 1, 5)], ids=str)
def test_every_type_and_shape(tmp_path: Path, kind: torch.dtype, shape: tuple[int, ...]) -> None:
    values = (torch.rand(shape) * 200 - 60).to(kind)
    path = of(tmp_path, values=values)
    assert_same(archive.read(path), torch.load(path, weights_only=True))


def test_plain_values_and_parts_of_one_storage(tmp_path: Path) -> None:
    whole = torch.arange(24.0)
    path = of(
        tmp_path, parts=[whole[3:7], whole.reshape(4, 6)[1:3], whole], texts=["", "ü", "a" * 300], none=None,
        numbers=[0, -1, 1 << 62, -(1 << 62), 0.5, float("inf"), True, False], nested={"a": {"b": [[], {}]}},
        ordered=OrderedDict(b=1, a=torch.ones(2)),
    )  # fmt: skip
    assert_same(archive.read(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("content", [
    {"format": "else", "x": torch.ones(2)}, [1, 2], {"format": 1}, {"x": torch.ones(2)},
    {"format": archive.FORMAT, "x": torch.arange(6.0).reshape(2, 3).T}, {"format": archive.FORMAT, "x": torch.ones(0)},
    {"format": archive.FORMAT, "x": torch.ones(1).expand(3)}, {"format": archive.FORMAT, "x": torch.ones(2).bfloat16()},
    {"format": archive.FORMAT, "x": torch.ones(2, dtype=torch.complex64)}, {"format": archive.FORMAT, "x": {1, 2}},
    {"format": archive.FORMAT, "x": torch.nn.Parameter(torch.ones(2))}, {"format": archive.FORMAT, "x": torch.float32},
    {"format": archive.FORMAT, "x": torch.ones(2).to_sparse()},
])  # fmt: skip
def test_anything_else_is_left_to_torch(tmp_path: Path, content: object) -> None:
    assert archive.read(saved(tmp_path, content)) is None


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The archive with other parts; None leaves one out."""
    with zipfile.ZipFile(path) as old:
        parts = [(one.filename, old.read(one)) for one in old.infolist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts:
            other = change(name.partition("/")[2], content)
            if other is not None:
                new.writestr(name, other)
    return path


@pytest.mark.parametrize("change", [
    lambda name, content: b"big" if name == "byteorder" else content,
    lambda name, content: None if name == "byteorder" else content,
    lambda name, content: None if name == "data.pkl" else content,
    lambda name, content: None if name == "data/0" else content,
    lambda name, content: content[:-4] if name == "data/0" else content,
    lambda name, content: content + b"1234" if name == "data/0" else content,
    lambda name, content: content[:-1] if name == "data.pkl" else content,
    lambda name, content: b"" if name == "data.pkl" else content,
    lambda name, content: content.replace(b"cpu", b"gpu") if name == "data.pkl" else content,
    lambda name, content: content.replace(b"FloatStorage", b"ShortStorage") if name == "data.pkl" else content,
    lambda name, content: content.replace(b"_tensor_v2", b"_tensor_v3") if name == "data.pkl" else content,
])  # fmt: skip
def test_a_damaged_file_is_left_to_torch(tmp_path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    assert archive.read(rewritten(of(tmp_path, x=torch.ones(3)), change)) is None


def test_a_truth_that_is_none(tmp_path: Path) -> None:
    path = of(tmp_path, x=torch.tensor([True, False]))
    assert archive.read(rewritten(path, lambda name, content: b"\2\0" if name == "data/0" else content)) is None


class Call:
    """Calls something when it is loaded."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("value", [
    Call(os.mkdir, "called"), Call(eval, "1"), Call(getattr, "x", "y"), Call(OrderedDict, [("a", 1)]),
    Call(torch.zeros, 3), os.mkdir, b"bytes", bytearray(3), 1j, frozenset({1}),
])  # fmt: skip
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_in_a_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = of(tmp_path, x=torch.ones(3))
    program = pickle.dumps({"format": archive.FORMAT, "x": value}, protocol)
    assert archive.read(rewritten(path, lambda name, content: program if name == "data.pkl" else content)) is None
    assert [one.name for one in tmp_path.iterdir()] == ["model.pt"]


def test_a_place_in_memory_beyond_what_there_is(tmp_path: Path) -> None:
    """The pickle machine would take 16 GiB for this."""
    program = b"\x80\x02}r\xff\xff\xff\x3f."
    path = of(tmp_path, x=torch.ones(3))
    assert archive.read(rewritten(path, lambda name, content: program if name == "data.pkl" else content)) is None


def test_a_tensor_beyond_its_storage(tmp_path: Path) -> None:
    """For these torch's own reader has its say."""
    path = of(tmp_path, x=torch.ones(3))
    change = (b"K\x03\x85", b"K\x04\x85")  # the shape (3,)
    with zipfile.ZipFile(path) as parts:
        assert change[0] in parts.read("model/data.pkl")
    assert archive.read(rewritten(path, lambda name, content: content.replace(*change))) is None


def test_a_tensor_of_many_dimensions(tmp_path: Path) -> None:
    """Their sizes would be multiplied for hours."""
    path = of(tmp_path, x=torch.ones(3))
    many = b"(" + b"K\x01" * 100_000 + b"t"
    assert archive.read(rewritten(path, lambda name, content: content.replace(b"K\x03\x85", many))) is None


def test_torch_is_not_imported(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from qap2fpga.frontend.checkpoint.model_file import read_any; "
        "from qap2fpga.frontend.checkpoint.widths import Widths; read_any(Path(sys.argv[1]), Widths()); "
        "print('torch' in sys.modules)"
    )
    for path in EXAMPLES:
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"


def test_load_gives_what_torch_would(tmp_path: Path) -> None:
    """Of a file that is not our own, by torch."""
    path = saved(tmp_path, {"x": torch.arange(6.0).reshape(2, 3).T})
    content = load(path)
    assert isinstance(content, dict)
    assert torch.equal(content["x"], torch.arange(6.0).reshape(2, 3).T)
