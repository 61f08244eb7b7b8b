# SPDX-License-Identifier: Apache-2.0
"""What becomes of the stages' results in the report: nothing that did not run, and nothing that is only for us."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.build.collect import Results, collect
from qap2fpga.build.request import Request
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, HlsProject, Stream, Trace
from qap2fpga.system.codec import encode
from tests.support.reports import MODEL as FACTS

BOARD = boards.load("pynq-z2")
MODEL: dict[str, Any] = {
    "facts": {key: value for key, value in encode(FACTS).items() if key != "sha256"},
    "simulations": [{"engine": "torch", "version": "2", "compared": "layers", "vectors": 9, "mismatches": 0,
                     "rounding_ties": None, "note": ""}],
}  # fmt: skip
NODE = {"name": "u_l0", "layer": "fc1", "estimate": {"lut": 7, "ff": 5}, "features": [1, 2]}
PORT = Stream("in0", 2, 2, 4, True)
DESIGN: dict[str, Any] = asdict(
    Design(
        "rtl", Path("rtl"), "qap2fpga", ("l0.v",), (), PORT, PORT, interval_cycles=2, latency_cycles=6, clock_ns=8.0,
        nodes=(NODE, {"name": "top", "estimate": {"lut": 1, "ff": 1}}), estimate={"lut": 8}, details={"tool": "1.0"},
    )
)  # fmt: skip
PROJECT: dict[str, Any] = asdict(
    HlsProject(
        "hls4ml", Path("hls4ml"), "qap2fpga", ("firmware/qap2fpga.cpp",), (), PORT, PORT, interval_cycles=1,
        clock_ns=8.0, part="xc7z020", configs={"fc1": "config2"}, strategy="latency",
        traces=(Trace("dense0", "fc1", 2),), details={"hls4ml_version": "1.3.0"},
    )
)  # fmt: skip
# As the folder of a stage has them.
DESIGN, PROJECT = ({**one, "folder": str(one["folder"])} for one in (DESIGN, PROJECT))
END = {"name": "in0", "elements": 3, "bits": 8, "signed": True}
INTERFACE = {"clock": "ap_clk", "input": END, "output": END}
GENERATED = {
    "design": DESIGN, "backend": "rtl", "interface": INTERFACE, "driver": None, "output_kind": "logits",
    "accuracy": {"output": "logits", "rows": 9, "value": 0.9}, "predicted": {"calibrated": False},
}  # fmt: skip
STEP = {
    "step": "synth", "tool": "vivado", "wns_ns": None, "latency_max": None, "interval_max": None, "period_ns": None,
    "simulation": None,
    "measurement": {"tool": "vivado", "version": "2", "stage": "synthesis",
                    "total": {"lut": 9, "ff": 9, "dsp": 0, "bram18": 0}},
}  # fmt: skip
SIMULATED = {
    "engine": "Verilator", "version": "5", "compared": "RTL", "vectors": 9, "mismatches": 0, "rounding_ties": None,
    "note": "", "latency_cycles": None, "interval_cycles": None,
}  # fmt: skip


def report(**results: Any) -> dict[str, Any]:
    request = Request(Path("net.pt"), BOARD, "rtl", RtlOptions(), Path("out"), Widths())
    tree: dict[str, Any] = encode(collect(request, "f00d", Results(MODEL, **results), {"qap2fpga": "1"}))
    return tree


def test_what_did_not_run_is_none_or_nothing() -> None:
    content = report()
    absent = ("relaxed", "design", "interface", "driver", "stand_in", "timing", "vendor", "routed", "cross_check")
    assert [content[name] for name in absent] == [None] * len(absent)
    assert (content["measurements"], content["predictions"]) == ([], [])
    assert content["simulations"] == [{"circuit": None, **MODEL["simulations"][0]}]
    facts = {key: value for key, value in MODEL["facts"].items() if key != "file"}
    assert content["model"] == {"file": "net.pt", "sha256": "f00d", **facts}
    assert "pins" not in content["board"]


def test_a_design_stands_without_what_only_this_program_reads() -> None:
    content = report(generated=GENERATED)
    assert content["design"]["nodes"][0] == {key: NODE[key] for key in ("name", "layer", "estimate")}
    assert set(content["design"]) == {
        "folder", "top", "sources", "data", "interval_cycles", "latency_cycles", "clock_ns", "nodes", "estimate",
        "probes", "tool", "output_kind", "accuracy",
    }  # fmt: skip
    assert (content["design"]["output_kind"], content["design"]["accuracy"]["value"]) == ("logits", 0.9)
    assert content["interface"] == INTERFACE
    cycles, resources = content["predictions"]
    assert (cycles["circuit"], cycles["latency_cycles"], cycles["interval_cycles"]) == ("rtl", 6, 2)
    assert resources["parts"] == {"u_l0": {"lut": 7, "ff": 5}, "top": {"lut": 1, "ff": 1}}
    assert (resources["total"], resources["layer_of"]) == ({"lut": 8}, {"u_l0": "fc1"})


def test_a_project_stands_as_a_project() -> None:
    content = report(generated={**GENERATED, "design": PROJECT, "backend": "hls4ml"})
    assert set(content["design"]) == {
        "folder", "top", "sources", "interval_cycles", "clock_ns", "part", "strategy", "warnings", "configs",
        "hls4ml_version", "output_kind", "accuracy", "streams_positions",
    }  # fmt: skip
    assert content["design"]["configs"] == ["config2"]
    assert content["timing"] is None


@pytest.mark.parametrize(
    ("measured", "latency", "interval"),
    [((None, None), 6, 2), ((9, None), 9, 2), ((9, 4.0), 9, 4)],
)
def test_times_are_of_measured_cycles_where_there_are_any(
    measured: tuple[Any, Any], latency: int, interval: int
) -> None:
    one = SIMULATED | {"latency_cycles": measured[0], "interval_cycles": measured[1]}
    timing = report(generated=GENERATED, simulated=[SIMULATED, one])["timing"]
    assert timing["latency_cycles"] == {"predicted": 6, "measured": measured[0]}
    assert timing["interval_cycles"] == {"predicted": 2, "measured": measured[1]}
    assert (timing["clock_ns"], timing["latency_ns"]) == (8.0, latency * 8.0)
    assert timing["frames_per_second"] == pytest.approx(1e9 / (interval * 8))
    assert timing["clock_note"] == "the clock asked for, which no place-and-route has confirmed"


def test_steps_of_vendor_tools_are_told_apart_from_what_they_measured() -> None:
    content = report(generated=GENERATED, vendor=[STEP])
    assert content["vendor"] == [{key: STEP[key] for key in STEP if key not in ("measurement", "simulation")}]
    assert content["measurements"] == [{"circuit": "rtl", **STEP["measurement"]}]
    assert report(generated=GENERATED, vendor=[])["vendor"] == []


def test_a_stand_in_that_was_refused_leaves_no_hardware() -> None:
    refused = {"backend": "rtl", "why": "no tool", "refused": "too large"}
    content = report(generated=GENERATED, stand_in=refused)
    assert content["stand_in"] == refused
    assert (content["timing"], content["predictions"]) == (None, [])
