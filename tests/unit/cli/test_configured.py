# SPDX-License-Identifier: Apache-2.0
"""Options of a build from a file: the same names, the command line first, and what no option has is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.build import run as run_of_builds
from qap2fpga.build.request import Request
from qap2fpga.system.errors import QapError
from tests.support.command import run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What a build would be asked for, which then ends."""
    requests: list[Request] = []

    def build(request: Request, *_: object) -> None:
        requests.append(request)
        raise QapError("asked")

    monkeypatch.setattr(run_of_builds, "build", build)
    return requests


def configured(folder: Path, text: str) -> Path:
    path = folder / "build.yaml"
    path.write_text(text)
    return path


def test_all_options_have_their_names_and_the_command_line_comes_first(tmp_path: Path, asked: list[Request]) -> None:
    path = configured(tmp_path, """\
model: net.onnx
board: zcu102
backend: rtl
weight-bits: [6, 6, 4]
clock: 4.5
allow-oversize: true
until: generate
output: here
""")  # fmt: skip
    assert run("build", "--config", path, "--board", "pynq-z2").err == "qap2fpga: asked\n"
    (request,) = asked
    assert (request.model, request.output) == (tmp_path / "net.onnx", tmp_path / "here")
    assert (request.board.name, request.backend, request.until) == ("pynq-z2", "rtl", "generate")
    assert request.widths.weight == (6, 6, 4) and request.options.allow_oversize
    assert request.asked["clock"] == 4.5
    assert request.command.startswith("qap2fpga build --config ")


@pytest.mark.parametrize(("text", "what", "hint"), [
    ("untill: model", "unknown option 'untill'", "did you mean 'until'?"),
    ("config: other.yaml", "unknown option 'config'", "known: "),
    ("quiet: 3", "quiet is 3", "give true or false"),
    ("bits: true", "bits is True", "give a number"),
    ("board: {a: 1}", "board is", "give a number"),
    ("board: []", "board is []", "give a number"),
    ("- a", "build.yaml", "give options by their names"),
])  # fmt: skip
def test_what_no_option_has(tmp_path: Path, asked: list[Request], text: str, what: str, hint: str) -> None:
    done = run("build", "--config", configured(tmp_path, text))
    assert done.code == 2 and what in done.err and hint in done.err and not asked


def test_a_number_that_is_not_whole_is_not_made_so(tmp_path: Path, asked: list[Request]) -> None:
    done = run("build", "net.onnx", "--config", configured(tmp_path, "board: pynq-z2\nbits: 4.5"))
    assert done.code == 2 and "'--bits'" in done.err and "integer" in done.err and not asked


def test_a_stage_that_is_not_known_has_a_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    done = run("build", tmp_path / "net.onnx", "--board", "pynq-z2", "--until", "modle", "--output", tmp_path / "o")
    assert done.code == 2 and "did you mean 'model'?" in done.err
    done = run("build", tmp_path / "net.onnx", "--board", "pynq-z2", "--check", "fial")
    assert done.code == 2 and "did you mean 'fail'?" in done.err
