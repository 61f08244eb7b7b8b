# SPDX-License-Identifier: Apache-2.0
"""The stages as data: which are wanted of a request, in which order, under which keys. Nothing is built."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qap2fpga.backends.api import Options
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.build import amd, making, mapping, proving, run, simulating, stages
from qap2fpga.build.collect import Results
from qap2fpga.build.folder import BuildFolder
from qap2fpga.build.request import Request
from qap2fpga.build.state import FIELDS, Run
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.synth.amd import CAVEAT, Kind, absent
from qap2fpga.synth.ecp5 import tool
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress

STORED: dict[str, Any] = {
    "model": {"facts": {"outputs": 3}}, "generate": {"design": {"latency_cycles": 3}, "driver": None},
    "synthesize": {"netlist": ["mapped.v"]}, "route": {"achieved_ns": 5.0, "target_ns": 8.0},
    "stand-in": {"design": {}},
}  # fmt: skip
OPTIONS: dict[str, Options] = {"finn": FinnOptions(), "hls4ml": Hls4mlOptions(), "rtl": RtlOptions()}


# What does the work of each stage.
BODIES = {
    "model": (making, "model"), "relax": (making, "relax"), "generate": (making, "generate"),
    "csim": (simulating, "simulate_c"), "simulate": (simulating, "simulate_rtl"), "pins": (simulating, "simulate_pins"),
    "netlist": (simulating, "simulate_netlist"), "dma": (simulating, "simulate_dma"), "vendor": (amd, "run"),
    "synthesize": (mapping, "synthesize"), "time": (mapping, "time"), "route": (mapping, "route"),
    "cross-check": (mapping, "cross_check"), "bitstream": (mapping, "bitstream"), "prove": (proving, "prove"),
    "certify": (proving, "certify"),
}  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What the folder was asked for: the stage, and the files that it would leave."""

    name: str
    title: str
    key: str
    files: tuple[str, ...]
    forgets: bool


class Folder(BuildFolder):
    """It stores nothing, but calls the work of each stage."""

    def __init__(self) -> None:
        self.ran: list[Ran] = []

    def stage(
        self, name: str, title: str, key: str, work: Any, files: Any = (), *, forgets: bool = False, shared: Any = None
    ) -> Any:
        result = work(print)
        self.ran.append(Ran(name, title, key, tuple(files(result)), forgets))
        return result


def under_way(folder: Path, backend: str, board: str = "pynq-z2", **changes: Any) -> Run:
    model = folder / "net.pt"
    model.write_bytes(b"a model")
    request = Request(model, boards.load(board), backend, OPTIONS[backend], folder / "out", Widths())
    return Run(replace(request, **changes), Folder())


def ran(one: Run) -> list[str]:
    run._finish(one)
    assert isinstance(one.folder, Folder)
    # What runs at the same time is begun in any order.
    return [stage.name for stage in one.folder.ran]


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """What the work of each stage was given; AMD's tools have nothing to do."""
    seen: dict[str, tuple[Any, ...]] = {}

    def body(name: str) -> Callable[..., Any]:
        def work(*arguments: Any) -> Any:
            seen[name] = arguments[:-1]
            return STORED.get(name, {"name": name})

        return work

    for name, (module, function) in BODIES.items():
        monkeypatch.setattr(module, function, body(name))
    monkeypatch.setattr(amd, "plan", lambda *given, **options: None)
    monkeypatch.setattr(proving, "is_due", lambda request, generated: bool(request.prove))
    return seen


def test_every_result_of_a_report_is_of_a_stage() -> None:
    every = (stages.HARDWARE, stages.CPLUSPLUS)
    names = {stage.name for groups in every for group in groups for lane in group for stage in lane}
    assert {FIELDS.get(name, name) for name in names} == {one.name for one in fields(Results)}


@pytest.mark.parametrize(("until", "names"), [
    ("model", ["model"]),
    ("generate", ["model", "generate"]),
    ("simulate", ["model", "generate", "simulate"]),
    ("synthesize", ["model", "generate", "synthesize", "netlist", "simulate", "time"]),
    ("route", ["model", "generate", "synthesize", "netlist", "simulate", "time"]),
])  # fmt: skip
@pytest.mark.parametrize("backend", ["finn", "rtl"])
def test_hardware_as_far_as_asked(tmp_path: Path, backend: str, until: str, names: list[str]) -> None:
    assert sorted(ran(under_way(tmp_path, backend, until=until))) == sorted(names)


def asked(one: Run) -> dict[str, Ran]:
    ran(one)
    assert isinstance(one.folder, Folder)
    return {stage.name: stage for stage in one.folder.ran}


def test_what_each_stage_leaves_and_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages_of = asked(under_way(tmp_path, "rtl", "ulx3s-85f", options=RtlOptions(requant_tolerance=2)))
    assert [name for name, stage in stages_of.items() if stage.forgets] == ["model", "generate"]
    files = {name: stage.files for name, stage in stages_of.items() if stage.files}
    assert files == {
        "model": making.MODEL_FILES, "relax": ("network.relaxed.npz",), "generate": ("rtl",),
        "synthesize": ("mapped.v",), "route": ("route/board.config",), "bitstream": ("route/board.bit",),
    }  # fmt: skip
    assert stages_of["relax"].title == "relax: requantizers within 2 of an exact step"
    assert (stages_of["generate"].title, stages_of["route"].title) == ("generate: rtl", "place and route: nextpnr-ecp5")
    assert stages_of["bitstream"].title == "bitstream: ecppack"
    with monkeypatch.context() as patch:
        patch.setitem(STORED, "generate", STORED["generate"] | {"driver": ["driver.py"]})
        assert asked(under_way(tmp_path, "rtl"))["generate"].files == ("rtl", "driver")
    other = asked(under_way(tmp_path, "rtl", cross_check="ecp5"))["cross-check"]
    assert other.title == "place and route: nextpnr-ecp5, on ecp5: another device"
    monkeypatch.setitem(STORED, "route", {"achieved_ns": None, "target_ns": 8.0})
    assert asked(under_way(tmp_path, "rtl", "ulx3s-85f"))["route"].files == ()


def test_what_the_work_is_given(tmp_path: Path, given: dict[str, tuple[Any, ...]]) -> None:
    one = under_way(tmp_path, "rtl", "ulx3s-85f")
    run._finish(one)
    result, mapped = STORED["generate"], STORED["synthesize"]
    assert given["generate"][:4] == (one.request, "rtl", one.request.options, STORED["model"])
    assert given["synthesize"] == given["simulate"] == given["pins"] == (one.request, result)
    assert given["netlist"] == given["route"] == (one.request, result, mapped)
    assert given["model"][0] is one.request


def test_the_order_of_hardware_with_an_open_route(tmp_path: Path) -> None:
    names = ran(under_way(tmp_path, "rtl", "ulx3s-85f"))
    assert names[:2] == ["model", "generate"] and set(names[2:5]) == {"synthesize", "simulate", "netlist"}
    assert names[5:] == ["pins", "route", "bitstream"]
    assert "pins" in ran(under_way(tmp_path, "rtl", "ulx3s-85f", until="simulate"))


@pytest.mark.parametrize("is_proven", [False, True])
def test_a_netlist_is_simulated_where_it_is_not_proven(
    tmp_path: Path, given: dict[str, tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, is_proven: bool
) -> None:
    monkeypatch.setattr(proving, "is_netlist_proven", lambda proven: is_proven)
    monkeypatch.setitem(STORED, "simulate", [{"name": "simulate"}])
    one = under_way(tmp_path, "rtl", prove=True)
    names = ran(one)
    after = [name for name in names[names.index("synthesize") + 1 :] if name not in ("simulate", "time")]
    assert after == ["prove", "certify"] if is_proven else ["prove", "netlist", "certify"]
    assert given["prove"] == (one.request, STORED["generate"], STORED["synthesize"])
    simulations = [{"name": "simulate"}, *([] if is_proven else [{"name": "netlist"}])]
    assert given["certify"] == (one.request.output, {"name": "prove"}, simulations)
    assert asked(under_way(tmp_path, "rtl", prove=True))["certify"].files == ("certificate.json",)
    assert "prove" not in ran(under_way(tmp_path, "rtl", prove=True, until="simulate"))


def test_nothing_more_begins_when_a_stage_beside_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, failed = threading.Event(), threading.Event()

    def fails(*given: Any) -> Any:
        assert begun.wait(60)
        raise QapError("no")

    def waits(*given: Any) -> Any:
        begun.set()
        assert failed.wait(60)
        return STORED["synthesize"]

    monkeypatch.setattr(run, "Event", lambda: failed)
    monkeypatch.setattr(simulating, "simulate_rtl", fails)
    monkeypatch.setattr(mapping, "synthesize", waits)
    one = under_way(tmp_path, "rtl")
    with pytest.raises(QapError, match="no"):
        ran(one)
    assert isinstance(one.folder, Folder)
    assert [stage.name for stage in one.folder.ran] == ["model", "generate", "synthesize"]


def test_no_bitstream_of_what_misses_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORED, "route", {"achieved_ns": 9.0, "target_ns": 8.0})
    assert ran(under_way(tmp_path, "rtl", "ulx3s-85f"))[-1] == "route"


def test_another_device_is_a_stage_of_its_own(tmp_path: Path) -> None:
    names = ran(under_way(tmp_path, "rtl", cross_check="ecp5"))
    assert names[-1] == "cross-check" and "route" not in names


def test_what_an_earlier_build_left_of_later_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = under_way(tmp_path, "rtl", "ulx3s-85f", until="simulate")
    monkeypatch.setattr(Folder, "has", lambda self, name: True)
    monkeypatch.setattr(Folder, "result", lambda self, name, key: STORED.get(name, {"name": name}))
    assert list(run._further(one)) == ["synthesize", "netlist", "route", "bitstream"]
    assert run._further(under_way(tmp_path, "rtl", "ulx3s-85f")) == {}, "all is asked for"
    with monkeypatch.context() as patch:
        patch.setattr(tool, "find", lambda name: None)
        assert list(run._further(one)) == ["synthesize", "netlist"]
    monkeypatch.setattr(Folder, "has", lambda self, name: name != "simulate")
    assert run._further(one) == {}, "the simulation runs again"


def test_a_tolerance_relaxes_first(tmp_path: Path) -> None:
    options = RtlOptions(requant_tolerance=1)
    assert ran(under_way(tmp_path, "rtl", options=options, until="generate")) == ["model", "relax", "generate"]


def planned(*missing: str, steps: tuple[str, ...] = ("synth",)) -> SimpleNamespace:
    """A plan of AMD's tools."""
    named = [SimpleNamespace(name=name) for name in steps]
    return SimpleNamespace(text="run", missing=missing, steps=named, tools=SimpleNamespace(hls=None, vivado=None))


def test_c_is_compared_as_c_and_another_circuit_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, tuple[Any, ...]]
) -> None:
    monkeypatch.setitem(STORED, "generate", {"design": {}, "driver": None})
    real = making.generate

    def generate(request: Request, backend: str, options: Options, model: Any, *more: Any) -> Any:
        if backend != "rtl":
            return real(request, backend, options, model, *more)
        assert options == RtlOptions(output_kind="logits")
        return STORED["stand-in"]

    monkeypatch.setattr(making, "generate", generate)
    names = ran(under_way(tmp_path, "hls4ml"))
    assert given["synthesize"][1] == STORED["stand-in"] | {"why": absent(Kind.HLS)}
    assert names[:4] == ["model", "generate", "csim", "stand-in"]
    assert sorted(names[4:]) == ["netlist", "simulate", "synthesize", "time"]

    def refuses(*given: Any) -> None:
        raise QapError("too large")

    with monkeypatch.context() as patched:
        patched.setattr(making, "generate", lambda *given: refuses() if given[1] == "rtl" else STORED["generate"])
        one = under_way(tmp_path, "hls4ml")
        assert ran(one) == ["model", "generate", "csim", "stand-in"]
        assert one.stored["stand-in"] == {"backend": "rtl", "refused": "too large", "why": absent(Kind.HLS)}
    monkeypatch.setattr(amd, "plan", lambda *given: planned())
    assert ran(under_way(tmp_path, "hls4ml")) == ["model", "generate", "csim", "vendor"]


def test_a_system_is_compared_at_its_words_before_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amd, "plan", lambda *given: planned(steps=("system", "bitstream")))
    one = under_way(tmp_path, "rtl", vendor=("system",))
    assert ran(one)[-2:] == ["dma", "vendor"]
    vendor = asked(one)["vendor"]
    assert vendor.title == "vendor: system, bitstream" and vendor.files == ("driver/network.bit", "driver/network.hwh")
    assert vendor.key == asked(one)["dma"].key != asked(one)["generate"].key
    assert ran(under_way(tmp_path, "rtl", vendor=("synth",)))[-2:] != ["dma", "vendor"]
    monkeypatch.setattr(amd, "plan", lambda *given: planned("Vivado is absent"))
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
    return {stage.name: stage.key for stage in one.folder.ran}


def test_a_stage_is_keyed_by_what_goes_into_it(tmp_path: Path) -> None:
    first, clock = (keys(under_way(tmp_path, "rtl", options=RtlOptions(clock=ns))) for ns in (5.0, 4.0))
    assert first["model"] == clock["model"] and first["generate"] != clock["generate"]
    assert first["generate"] == first["simulate"] == first["synthesize"] == first["netlist"] != first["model"]
    kinds = [keys(under_way(tmp_path, "rtl", options=RtlOptions(output_kind=kind))) for kind in ("class", "values")]
    assert kinds[0]["model"] == first["model"] != kinds[1]["model"], "the scale of values is the network's"
    assert kinds[0]["generate"] != first["generate"]
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
        monkeypatch.setattr(amd, "plan", lambda *given, **options: planned("Vivado is absent"))
        assert run.plan(one.request, progress).splitlines() == ["run", "Vivado is absent", f"Note: {CAVEAT}."]
        with pytest.raises(QapError, match="is no board of AMD's tools"):
            run.plan(replace(one.request, board=boards.load("ulx3s-85f")), progress)
