# SPDX-License-Identifier: Apache-2.0
"""The stages as data: which are wanted of a request, in which order, under which keys. Nothing is built."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.backends.api import Options
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.build import amd, run, stages
from qap2fpga.build.collect import Results
from qap2fpga.build.folder import BuildFolder
from qap2fpga.build.request import Request
from qap2fpga.build.stages import Run
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.synth.amd import CAVEAT
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress

STORED: dict[str, Any] = {
    "model": {"facts": {"outputs": 3}}, "generate": {"design": {"latency_cycles": 3}}, "synthesize": {"netlist": []},
    "route": {"achieved_ns": 5.0, "target_ns": 8.0}, "stand-in": {"design": {}},
}  # fmt: skip
OPTIONS: dict[str, Options] = {"finn": FinnOptions(), "hls4ml": Hls4mlOptions(), "rtl": RtlOptions()}


class Folder(BuildFolder):
    """It stores nothing: a stage has run when its name is in `ran`."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []

    def stage(self, name: str, title: str, key: str, *given: Any, **options: Any) -> Any:
        self.ran.append((name, key))
        return STORED.get(name, {"name": name})


def under_way(folder: Path, backend: str, board: str = "pynq-z2", **changes: Any) -> Run:
    model = folder / "net.pt"
    model.write_bytes(b"a model")
    request = Request(model, boards.load(board), backend, OPTIONS[backend], folder / "out", Widths())
    return Run(replace(request, **changes), Folder())


def ran(one: Run) -> list[str]:
    run._finish(one)
    assert isinstance(one.folder, Folder)
    # What runs at the same time is begun in any order.
    return [name for name, _ in one.folder.ran]


@pytest.fixture(autouse=True)
def nothing_for_amd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amd, "plan", lambda *given, **options: None)


def test_every_result_of_a_report_is_of_a_stage() -> None:
    names = {stage.name for groups in (stages.HARDWARE, stages.CPLUSPLUS) for group in groups for stage in group}
    assert {stages.FIELDS.get(name, name) for name in names} == {one.name for one in fields(Results)}


@pytest.mark.parametrize(("until", "names"), [
    ("model", ["model"]),
    ("generate", ["model", "generate"]),
    ("simulate", ["model", "generate", "simulate"]),
    ("synthesize", ["model", "generate", "synthesize", "netlist", "simulate"]),
    ("route", ["model", "generate", "synthesize", "netlist", "simulate"]),
])  # fmt: skip
@pytest.mark.parametrize("backend", ["finn", "rtl"])
def test_hardware_as_far_as_asked(tmp_path: Path, backend: str, until: str, names: list[str]) -> None:
    assert sorted(ran(under_way(tmp_path, backend, until=until))) == sorted(names)


def test_the_order_of_hardware_with_an_open_route(tmp_path: Path) -> None:
    names = ran(under_way(tmp_path, "rtl", "ulx3s-85f"))
    assert names[:3] == ["model", "generate", "synthesize"] and set(names[3:5]) == {"simulate", "netlist"}
    assert names[5:] == ["pins", "route", "bitstream"]
    assert "pins" in ran(under_way(tmp_path, "rtl", "ulx3s-85f", until="simulate"))


def test_no_bitstream_of_what_misses_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORED, "route", {"achieved_ns": 9.0, "target_ns": 8.0})
    assert ran(under_way(tmp_path, "rtl", "ulx3s-85f"))[-1] == "route"


def test_another_device_is_a_stage_of_its_own(tmp_path: Path) -> None:
    names = ran(under_way(tmp_path, "rtl", cross_check="ecp5"))
    assert names[-1] == "cross-check" and "route" not in names


def test_a_tolerance_relaxes_first(tmp_path: Path) -> None:
    options = RtlOptions(requant_tolerance=1)
    assert ran(under_way(tmp_path, "rtl", options=options, until="generate")) == ["model", "relax", "generate"]


class Planned:
    """A plan of AMD's tools."""

    text, missing, steps = "run", (), ()

    class tools:
        hls = vivado = None


def test_c_is_compared_as_c_and_another_circuit_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {**STORED["generate"], "design": {}}
    monkeypatch.setitem(STORED, "generate", made)
    names = ran(under_way(tmp_path, "hls4ml"))
    assert names[:5] == ["model", "generate", "csim", "stand-in", "synthesize"]
    assert sorted(names[5:]) == ["netlist", "simulate"]
    monkeypatch.setitem(STORED, "stand-in", {"refused": "too large"})
    assert ran(under_way(tmp_path, "hls4ml")) == ["model", "generate", "csim", "stand-in"]
    monkeypatch.setattr(amd, "plan", lambda *given: Planned())
    assert ran(under_way(tmp_path, "hls4ml")) == ["model", "generate", "csim", "vendor"]


def test_a_system_is_compared_at_its_words_before_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Planned()
    monkeypatch.setattr(amd, "plan", lambda *given: plan)
    assert ran(under_way(tmp_path, "rtl", vendor=("system",)))[-2:] == ["dma", "vendor"]
    assert ran(under_way(tmp_path, "rtl", vendor=("synth",)))[-2:] != ["dma", "vendor"]
    plan.missing = ("Vivado is absent",)
    assert "dma" not in ran(under_way(tmp_path, "rtl", vendor=("system",)))


def test_classes_are_asked_for_also_where_the_model_is_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STORED, "model", {"facts": {"outputs": 1}})
    with pytest.raises(QapError, match="class"):
        ran(under_way(tmp_path, "rtl", options=RtlOptions(output_kind="class")))


def keys(one: Run) -> dict[str, str]:
    ran(one)
    assert isinstance(one.folder, Folder)
    return dict(one.folder.ran)


def test_a_stage_is_keyed_by_what_goes_into_it(tmp_path: Path) -> None:
    first, clock = (keys(under_way(tmp_path, "rtl", options=RtlOptions(clock=ns))) for ns in (5.0, 4.0))
    assert first["model"] == clock["model"] and first["generate"] != clock["generate"]
    assert first["generate"] == first["simulate"] == first["synthesize"] == first["netlist"] != first["model"]
    board = keys(under_way(tmp_path, "rtl", "kv260", options=RtlOptions(clock=5.0)))
    assert board["model"] == first["model"] and board["generate"] != first["generate"]
    (tmp_path / "data.npz").write_bytes(b"rows")
    data = keys(under_way(tmp_path, "rtl", data=tmp_path / "data.npz", options=RtlOptions(clock=5.0)))
    assert data["model"] != first["model"] and data["generate"] != first["generate"]
    routed = keys(under_way(tmp_path, "rtl", "ulx3s-85f"))
    assert routed["route"] == routed["bitstream"] != routed["synthesize"] == routed["pins"]
    other = keys(under_way(tmp_path, "rtl", cross_check="ecp5"))
    assert len({other[name] for name in ("model", "generate", "cross-check")}) == 3


def test_a_plan_is_shown_with_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = under_way(tmp_path, "rtl")
    monkeypatch.setattr(run, "build", lambda *given: None)
    monkeypatch.setattr(run, "stored", lambda *given: {})
    with Progress(quiet=True) as progress:
        assert run.plan(one.request, progress) == "AMD's tools have nothing to do"
        plan = Planned()
        plan.missing = ("Vivado is absent",)
        monkeypatch.setattr(amd, "plan", lambda *given, **options: plan)
        assert run.plan(one.request, progress).splitlines() == ["run", "Vivado is absent", f"Note: {CAVEAT}."]
        with pytest.raises(QapError, match="is no board of AMD's tools"):
            run.plan(replace(one.request, board=boards.load("ulx3s-85f")), progress)
