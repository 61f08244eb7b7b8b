# SPDX-License-Identifier: Apache-2.0
"""Backends and boards of other packages: the example is found, estimated and built; broken ones are named."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import qap2fpga
from qap2fpga import backends
from qap2fpga.hw import boards
from qap2fpga.system.errors import QapError
from tests.support.command import run, save
from tests.support.networks import random_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


def install(place: Path, groups: dict[str, dict[str, str]], version: str = "1.0") -> None:
    """What pip leaves of a package's entry points, in a folder that is on the path."""
    info = place / f"qap2fpga_example-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: qap2fpga-example\nVersion: {version}\n")
    lines = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
             for group, points in groups.items()]  # fmt: skip
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, and backends that are looked for anew."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(tmp_path))
    backends.get.cache_clear()
    importlib.invalidate_caches()
    yield tmp_path
    backends.get.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "qap2fpga_example"]:
        del sys.modules[name]


@pytest.fixture
def example(place: Path) -> None:
    install(place, tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"])


@pytest.mark.usefixtures("example")
def test_the_example_is_estimated_and_built(tmp_path: Path) -> None:
    model = random_model(3)
    path = save(tmp_path / "net.pt", model)
    assert backends.names() == ["finn", "hls4ml", "rtl", "unhurried"]
    assert backends.origin("unhurried") == "qap2fpga-example 1.0" and backends.origin("rtl") == ""
    assert boards.load("example-board").clock_ns == 8
    assert "example-board" in run("boards").out
    cycles = {one.backend: one.predictions["latency_cycles"].value for one in qap2fpga.estimate(path, "example-board")
              if one.backend in ("rtl", "unhurried")}  # fmt: skip
    assert cycles["unhurried"] < cycles["rtl"]
    output = tmp_path / "build"
    build = qap2fpga.build(path, "example-board", "unhurried", output=output, until="generate", quiet=True)
    assert build.passed and (build.report.backend, build.report.board.name) == ("unhurried", "example-board")
    assert build.report.timing is not None
    assert build.report.timing.latency_cycles.predicted == cycles["unhurried"]
    assert np.array_equal(build.run(model.example), qap2fpga.load(path, quiet=True).run(model.example))


def test_without_the_package_neither_is_there(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="unknown backend 'unhurried'"):
        backends.get("unhurried")
    with pytest.raises(QapError, match="unknown board 'example-board'"):
        boards.load("example-board")


@pytest.mark.parametrize(("value", "what"), [
    ("qap2fpga_example.nothing:Backend", "of qap2fpga-example 1.0 cannot be imported: No module named"),
    ("pathlib:Path", "of qap2fpga-example 1.0 is no Backend of that name"),
    ("qap2fpga_example.backend:UnhurriedBackend", "is no Backend of that name"),
])  # fmt: skip
def test_a_backend_that_is_none_is_named_with_its_package(place: Path, value: str, what: str) -> None:
    install(place, {"qap2fpga.backends": {"other": value}})
    with pytest.raises(QapError, match=what):
        backends.get("other")


def test_a_name_of_ours_is_not_taken_by_others(place: Path) -> None:
    install(
        place, {"qap2fpga.backends": {"rtl": "pathlib:Path"}, "qap2fpga.hw.boards": {"x": "qap2fpga_example.boards"}}
    )
    assert type(backends.get("rtl")).__name__ == "RtlBackend"
    assert backends.names() == list(backends.BACKENDS)
    assert boards.load("pynq-z2").part == "xc7z020clg400-1"
    assert "example-board" in boards.names()
