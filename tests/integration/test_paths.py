# SPDX-License-Identifier: Apache-2.0
"""Folders and files of any name: no shell sees them, and every tool works below them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from qap2fpga.hw.design import Probe
from qap2fpga.system import programs as tools
from qap2fpga.verify import layers, verilator
from tests.support.command import run
from tests.support.hostile import FOLDER, without_effect
from tests.support.networks import qonnx_graph, random_model
from tests.support.streaming import sums

ODD = [
    " ",
    ";",
    "$HOME",
    "#",
    "'",
    '"',
    "`touch EXECUTED`",
    "$(touch EXECUTED)",
    "ü",
    "日本",
    "-leading dash",
    "\\",
    "%",
    "&",
    "x" * 200,
]


@pytest.mark.parametrize("text", ODD)
def test_verilator_and_the_compiler_see_names_of_our_own_only(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the folders of a design and of its simulation are called."""
    place = tmp_path / (f"{text}of the user's")
    place.mkdir()
    design = sums(place / "design")
    commands: list[tuple[list[str], Path]] = []

    def remember(command: list[object], *, folder: Path, **_: object) -> str:
        commands.append(([str(part) for part in command], folder))
        if str(command[0]) == "verilator":
            (folder / "Vharness_classes.mk").write_text("VM_GLOBAL_FAST += \\\n  verilated \\\n\n")
            (folder / "Vharness.cpp").touch()
        else:
            Path(folder, command[command.index("-o") + 1] if "-o" in command else "version").touch()
        return ""

    monkeypatch.setattr(verilator, "program", lambda: Path("verilator"))
    monkeypatch.setattr(tools, "run", remember)
    sources = [design.folder / name for name in design.sources]
    verilator.build(design, sources, place / "simulation", jobs=1)
    assert [command[0] for command, _ in commands] == ["verilator", *["g++"] * 4]
    for command, folder in commands:
        assert folder == place / "simulation" / "obj"
        assert not [part for part in command if place.name in part or str(tmp_path) in part]
        assert not {"--build", "-C"} & set(command)
    copied = [folder / part for part in commands[0][0] for folder in [commands[0][1]] if part.startswith("inputs/")]
    assert [path.read_bytes() for path in copied[:-1]] == [path.read_bytes() for path in sources]


def test_the_place_of_a_probes_file_is_no_part_of_the_harness(tmp_path: Path) -> None:
    design = replace(sums(tmp_path), probes=(Probe("fc1", "u_l0.y", ((4, False),), cycles=1),))
    text = layers.harness(design)
    assert str(tmp_path) not in text and '$value$plusargs("probe0=%s", probe0_file)' in text


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["finn", "hls4ml", "rtl"])
def test_a_build_below_folders_of_any_name(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model and an output whose names have all that shells, make, Perl, Tcl and C strings stumble over."""
    monkeypatch.chdir(tmp_path)
    Path(FOLDER).mkdir()
    model = Path(FOLDER) / f"{FOLDER}.onnx"
    onnx.save(qonnx_graph(random_model(3, (4, 5, 3), rows=32)).model, model)
    output = f"./{FOLDER}/out {backend}"
    command = (
        "build",
        f"./{model}",
        "--board",
        "pynq-z2",
        "--backend",
        backend,
        "--until",
        "simulate",
        "--output",
        output,
    )
    done = run(*command)
    assert done.code == 0, done.err
    again = run(*command)
    assert again.code == 0 and "already there" in again.err
    without_effect(tmp_path)
