# SPDX-License-Identifier: Apache-2.0
"""AMD's tools: found where they may be, asked for their version once, and described where they are absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qap2fpga.cli import doctor
from qap2fpga.synth.amd import Kind, Tool, Tools, absent, find
from qap2fpga.synth.amd import tool as module
from qap2fpga.synth.amd.tool import Places
from tests.unit.system.test_programs import program

VARIABLES = ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO")
Look = Callable[..., Places]


@pytest.fixture
def places(tmp_path: Path) -> Look:
    """Where tools are looked for: nowhere, but where a test says."""

    def look(**environment: object) -> Places:
        variables = {"PATH": tmp_path / "nothing", **environment}
        return Places({name: str(value) for name, value in variables.items()}, tmp_path / "opt")

    return look


def install(folder: Path, *programs: str, text: str = "exit 1") -> Path:
    """An installation with `programs`; its `bin` folder."""
    place = folder / "bin"
    place.mkdir(parents=True, exist_ok=True)
    for name in programs:
        program(place / name, text)
    return place


def test_nothing_is_found_where_nothing_is(places: Look) -> None:
    assert find(places()) == Tools(None, None)


@pytest.mark.parametrize("name", ["vitis-run", "vitis_hls", "vivado_hls"])
def test_every_name_of_the_hls_tool_is_found_on_the_path(tmp_path: Path, places: Look, name: str) -> None:
    place = install(tmp_path / "Vitis" / "2023.2", name)
    assert find(places(PATH=place)) == Tools(Tool(name, place / name, "2023.2", Kind.HLS), None)


def test_the_newest_name_is_taken(tmp_path: Path, places: Look) -> None:
    place = install(tmp_path / "2024.1", "vivado_hls", "vitis_hls", "vitis-run", "vivado")
    tools = find(places(PATH=place))
    assert tools.hls is not None and tools.hls.program == "vitis-run"
    assert tools.vivado == tools.of(Kind.VIVADO) == Tool("vivado", place / "vivado", "2024.1", Kind.VIVADO)


def test_a_vitis_run_that_is_too_old_for_hls_is_passed_by(tmp_path: Path, places: Look) -> None:
    result = find(places(PATH=install(tmp_path / "2022.2", "vitis_hls", "vitis-run"))).hls
    assert result is not None and (result.program, result.version) == ("vitis_hls", "2022.2")
    assert find(places(PATH=install(tmp_path / "2023.1", "vitis-run"))).hls is None


@pytest.mark.parametrize("variable", VARIABLES)
def test_installations_that_the_environment_names(tmp_path: Path, places: Look, variable: str) -> None:
    place = install(tmp_path / "Xilinx" / "2025.1" / "Vitis", "vitis-run", "vivado")
    tools = find(places(**{variable: place.parent}))
    assert tools.hls is not None and (tools.hls.path, tools.hls.version) == (place / "vitis-run", "2025.1")
    assert tools.vivado is not None and tools.vivado.path == place / "vivado"


def test_the_path_comes_before_the_environment(tmp_path: Path, places: Look) -> None:
    on_path = install(tmp_path / "2019.2", "vivado_hls")
    result = find(places(PATH=on_path, XILINX_HLS=install(tmp_path / "2024.1", "vitis-run").parent)).hls
    assert result is not None and result.path == on_path / "vivado_hls"


@pytest.mark.parametrize("newest, older", [
    ("Vitis_HLS/2023.1", "Vitis_HLS/2020.2"), ("2025.1/Vitis", "Vitis/2024.2"), ("Vitis/2024.1", "Vitis_HLS/2023.1"),
])  # fmt: skip
def test_the_newest_installation_is_found_where_a_container_has_it(
    tmp_path: Path, places: Look, newest: str, older: str
) -> None:
    install(tmp_path / "opt" / older, "vitis_hls")
    place = install(tmp_path / "opt" / newest, "vitis_hls", "vivado")
    tools = find(places())
    assert tools.hls is not None and tools.hls.path == place / "vitis_hls" and tools.hls.version in newest
    assert tools.vivado is not None and tools.vivado.path == place / "vivado"


def test_one_release_may_be_mounted_alone(tmp_path: Path, places: Look) -> None:
    place = install(tmp_path / "opt", "vitis_hls", text="echo 'Vitis HLS v2022.1 (64-bit)'")
    result = find(places()).hls
    assert result is not None and (result.path, result.version) == (place / "vitis_hls", "2022.1")


def test_what_is_named_comes_before_what_is_installed(tmp_path: Path, places: Look) -> None:
    install(tmp_path / "opt" / "Vitis" / "2025.2", "vitis-run")
    named = install(tmp_path / "mine" / "2024.1", "vitis-run")
    result = find(places(XILINX_VITIS=named.parent)).hls
    assert result is not None and result.path == named / "vitis-run"


def test_an_empty_file_in_its_place_is_no_installation(tmp_path: Path, places: Look) -> None:
    (tmp_path / "opt").write_text("")
    assert find(places()) == Tools()


def test_an_empty_or_a_wrong_variable_does_no_harm(tmp_path: Path, places: Look) -> None:
    assert find(places(XILINX_HLS="", XILINX_VITIS=tmp_path / "gone")) == Tools()


def test_the_version_is_asked_for_where_no_folder_says_it(tmp_path: Path, places: Look) -> None:
    text = 'echo x >> "$0.asked"; [ "$1" = -version ] && echo "Vivado v2022.2.1 (64-bit)"'
    place = install(tmp_path / "amd", "vivado", text=text)
    for _ in range(2):
        result = find(places(PATH=place)).vivado
        assert result is not None and (result.version, result.title) == ("2022.2.1", "Vivado 2022.2.1")
    assert (place / "vivado.asked").read_text() == "x\n", "a slow program is asked once"


@pytest.mark.parametrize("text", ["exit 1", "echo version unknown", "exec sleep 60"])
def test_a_tool_that_does_not_say_its_version_is_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: Look, text: str
) -> None:
    monkeypatch.setattr(module, "VERSION_LIMIT_S", 0.3)
    result = find(places(XILINX_VIVADO=install(tmp_path / "amd", "vivado", text=text).parent)).vivado
    assert result is not None and (result.version, result.title) == ("", "Vivado")


def test_the_version_is_that_of_the_installation_that_a_link_names(tmp_path: Path, places: Look) -> None:
    place = install(tmp_path / "Vivado" / "2021.1", "vivado")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "vivado").symlink_to(place / "vivado")
    result = find(places(PATH=tmp_path / "links")).vivado
    assert result is not None and (result.path, result.version) == (tmp_path / "links" / "vivado", "2021.1")


@pytest.mark.parametrize(
    ("name", "kind", "arguments"),
    [
        ("vitis-run", Kind.HLS, ("--mode", "hls", "--tcl", "a.tcl")),
        ("vitis_hls", Kind.HLS, ("-f", "a.tcl")),
        ("vivado_hls", Kind.HLS, ("-f", "a.tcl")),
        ("vivado", Kind.VIVADO, ("-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", "a.tcl")),
    ],
)
def test_command_lines(name: str, kind: Kind, arguments: tuple[str, ...]) -> None:
    assert Tool(name, Path("/opt") / name, "", kind).command("a.tcl") == (f"/opt/{name}", *arguments)


def test_what_is_absent_is_said_in_one_sentence(tmp_path: Path, places: Look) -> None:
    message = absent(Kind.HLS, places(XILINX_VITIS=tmp_path))
    for part in ("Vitis HLS is absent", "no vitis-run, vitis_hls or vivado_hls on PATH", "XILINX_HLS (not set)",
                 f"XILINX_VITIS ({tmp_path / 'bin'})", f", {tmp_path / 'opt'}.", "install AMD Vitis",
                 "co-simulation"):  # fmt: skip
        assert part in message
    assert message.endswith(".") and "\n" not in message
    other = absent(Kind.VIVADO, places())
    assert other.startswith("Vivado is absent") and "no vivado on PATH" in other


def test_doctor_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(module, "INSTALLED", tmp_path / "opt")
    listed = {one.name: one for one in doctor.examine()}
    for name in ("vitis_hls", "vivado"):
        assert not listed[name].found and not listed[name].needed and "settings64.sh" in listed[name].hint
    monkeypatch.setenv("PATH", str(install(tmp_path / "2024.2", "vitis-run", "vivado")))
    listed = {one.name: one for one in doctor.examine()}
    for name in ("vitis-run", "vivado"):
        assert listed[name].found and listed[name].version == "2024.2"
    assert "co-simulation" in listed["vitis-run"].purpose and "timing" in listed["vivado"].purpose
