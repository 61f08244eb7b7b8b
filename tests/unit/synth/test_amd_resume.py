# SPDX-License-Identifier: Apache-2.0
"""Vendor flows run with mocks of AMD's tools: what is found, every way to fail, and what a second run repeats."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.hw import boards
from qap2fpga.hw.design import Stage
from qap2fpga.reports import Cells, Refused
from qap2fpga.synth import amd as vendor
from qap2fpga.synth.amd.outcome import judge
from qap2fpga.synth.amd.result import read, same_part
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.programs import Ended
from tests.support.vendor import FAKES, TOOLS, VIVADO, behaving, hls_project, needs_tclsh, rtl_design, write

pytestmark = needs_tclsh
PYNQ = boards.load("pynq-z2")


def hls_plan(folder: Path, steps: Sequence[str] | None = None, tools: vendor.Tools = TOOLS, **options) -> vendor.Plan:
    return vendor.plan(hls_project(folder / "made"), PYNQ, folder / "work", tools, steps=steps, **options)


def design_plan(folder: Path, steps: Sequence[str] = ("synth", "route"), **options) -> vendor.Plan:
    return vendor.plan(rtl_design(folder / "rtl"), PYNQ, folder / "work", TOOLS, steps=steps, **options)


class Lines(list[str]):
    """What the run said, and which steps it really ran."""

    def __call__(self, line: str) -> None:
        self.append(line)

    @property
    def ran(self) -> list[str]:
        return [line.split(":")[0] for line in self if re.search(r": (Vitis|Vivado)", line)]


def ran(plan: vendor.Plan) -> list[str]:
    lines = Lines()
    vendor.run(plan, progress=lines)
    return lines.ran


def test_what_the_hls_flow_finds(tmp_path: Path) -> None:
    csim, csynth, cosim, export, synth = vendor.run(hls_plan(tmp_path))
    assert csim.simulation is not None and cosim.simulation is not None
    assert (csim.simulation.engine, csim.simulation.version) == ("Vitis HLS C simulation", "2023.2")
    assert (csim.simulation.vectors, csim.simulation.mismatches, csim.measurement) == (3, 0, None)
    assert csynth.measurement is not None and csynth.simulation is None
    measured = csynth.measurement
    assert (measured.tool, measured.version, measured.stage) == ("vitis_hls", "2023.2", Stage.HLS)
    assert measured.total == Cells(lut=1000, ff=400, dsp=5, bram18=0, uram=2)
    assert measured.parts["grp_dense_fu_1"].lut == 800 and measured.parts["grp_dense_fu_1"].bram18 is None
    assert (csynth.latency_min, csynth.latency_max, csynth.interval_min, csynth.interval_max) == (11, 12, 1, 2)
    assert (csynth.target_ns, csynth.period_ns, csynth.wns_ns) == (10.0, 2.917, None)
    assert (cosim.simulation.latency_cycles, cosim.simulation.interval_cycles) == (12, 2)
    assert cosim.measurement is None and "RTL simulation of Verilog by xsim" in cosim.simulation.note
    assert export == vendor.Result("export", "Vitis HLS 2023.2", "2023.2")
    assert synth.measurement is not None and synth.measurement.stage is Stage.SYNTHESIS
    assert synth.reports == tuple(f"reports/synth_{kind}.rpt" for kind in ("utilization", "hierarchy", "timing"))
    for result in (csynth, synth):
        assert result.measurement is not None and vendor.CAVEAT in result.measurement.note


def test_what_vivado_finds_in_a_design(tmp_path: Path) -> None:
    synth, route = vendor.run(design_plan(tmp_path))
    for result, stage in ((synth, Stage.SYNTHESIS), (route, Stage.ROUTED)):
        assert result.measurement is not None
        assert (result.measurement.tool, result.measurement.version) == ("vivado", "2023.2")
        assert result.measurement.stage is stage and "out of context" in result.measurement.note
        assert result.measurement.total == Cells(lut=1232, ff=900, dsp=0, bram18=4, lutram=32, carry=53, uram=1)
        assert result.measurement.parts["dense_0"].lut == 60
        assert (result.target_ns, result.wns_ns, result.period_ns) == (10.0, -1.054, 11.054)
        assert result.latency_max is None


@pytest.mark.parametrize("name", ["vitis_hls", "vivado_hls"])
def test_the_older_hls_tools(tmp_path: Path, name: str) -> None:
    """Vivado HLS names the report by the top function."""
    tool = vendor.Tool(name, FAKES / name, "2019.2", vendor.Kind.HLS)
    result = vendor.run(hls_plan(tmp_path, tools=vendor.Tools(tool, VIVADO)))
    assert result[1].reports == ("reports/csynth.xml",) and result[1].latency_max == 12
    assert result[0].simulation is not None and result[0].simulation.engine.endswith("HLS C simulation")


# mode, message, hint, in one step of each tool.
FAILURES = [
    ("fail", "failed (1): ERROR: [HLS 214-157] Top function not found: there is no function named 'qap'", ""),
    ("fail0", "failed (0): ERROR: [HLS 214-157] Top function not found", ""),
    ("crash", "it crashed (signal 11) after: INFO: [HLS 200-10] Starting hardware synthesis ...", "build again"),
    ("killed", "it crashed (signal 9) after: INFO: Phase 4 Technology Mapping", "too little memory"),
    ("abnormal", "it crashed after: Abnormal program termination (11)", "build again"),
    ("stop", "it ended half-way without an error; it last said: INFO: [HLS 200-111] Finished Compiling", ""),
    ("licence", "no licence: ERROR: [Common 17-345] A valid license was not found for", "XILINXD_LICENSE_FILE"),
    ("part", "the part xc7z020clg400-1 is not installed: ", "Add Design Tools or Devices"),
    (
        "disk",
        "the disk is full: ERROR: [Common 17-49] Internal Data Exception: write failed: No space left",
        "make room",
    ),
    ("silent", "it ended with code 1: it printed nothing", "by hand"),
    ("nothing", "it ended with code 0: it printed nothing", "by hand"),
    ("noreport", "it ended without an error, but wrote no report (", "elsewhere"),
]


@pytest.mark.parametrize("step", ["csynth", "synth"])
@pytest.mark.parametrize(("mode", "what", "hint"), FAILURES, ids=[mode for mode, *_ in FAILURES])
def test_every_failure_is_one_message_and_the_next_run_resumes(
    tmp_path: Path, mode: str, what: str, hint: str, step: str
) -> None:
    plan = hls_plan(tmp_path, ["csim", "csynth", "synth"])
    for _ in range(2):
        with pytest.raises(QapError) as caught:
            vendor.run(plan, runner=behaving(mode=f"{step}:{mode}"))
        error = caught.value
        assert error.exit_code == 2 and not isinstance(error, Refused)
        tool = "Vivado" if step == "synth" else "Vitis HLS"
        assert error.message.startswith(f"{tool} 2023.2, {step}: {what}")
        assert hint in error.hint and str(plan.folder / "logs" / f"{step}.log") in error.hint
        assert "\n" not in error.message
    assert ran(plan) == {"csynth": ["csynth", "synth"], "synth": ["synth"]}[step]
    assert ran(plan) == []


@pytest.mark.parametrize("line, what", [
    ("ERROR: [HLS 200-70] Compilation of /home/me/license-plate/net.cpp failed", "failed (1)"),
    ("ERROR: [Common 17-69] Command failed: Part 'xc7k410tfbg676-1' not found", "not installed"),
    ("FLEXnet Licensing error:-15,570", "no licence"), ("No license available for VIVADO_HLS", "no licence"),
    ("ERROR: the license of the server has expired", "no licence"),
    ("INFO: [Common 17-349] Got license for feature 'Synthesis'", "failed (1)"),
    ("cp: error writing 'a': No space left on device", "the disk is full"),
    ("java.lang.OutOfMemoryError: out of memory", "it crashed"), ("", "it ended with code 1"),
])  # fmt: skip
def test_what_a_line_means(tmp_path: Path, line: str, what: str) -> None:
    plan = design_plan(tmp_path)
    with pytest.raises(QapError) as caught:
        judge(plan, plan.steps[0], VIVADO, Ended(f"{line}\n", 1), tmp_path / "log")
    assert what in caught.value.message and line in caught.value.message


@pytest.mark.parametrize("code, what", [(139, "it crashed (signal 11)"), (-6, "it crashed (signal 6)"),
                                        (255, "failed (255)"), (0, "it ended half-way")])  # fmt: skip
def test_what_an_exit_code_means(tmp_path: Path, code: int, what: str) -> None:
    plan = design_plan(tmp_path)
    with pytest.raises(QapError) as caught:
        judge(plan, plan.steps[0], VIVADO, Ended("begun\n", code), tmp_path / "log")
    assert caught.value.message.startswith(f"Vivado 2023.2, synth: {what}") and caught.value.message.endswith(": begun")


def test_a_tool_that_fails_after_the_last_line_failed(tmp_path: Path) -> None:
    plan = design_plan(tmp_path)
    with pytest.raises(QapError, match=r"it crashed \(signal 11\) after: qap2fpga: synth finished"):
        judge(plan, plan.steps[0], VIVADO, Ended("qap2fpga: synth finished\n", 139), tmp_path / "log")


@pytest.mark.parametrize("step", ["csynth", "synth"])
def test_a_tool_that_hangs_is_stopped(tmp_path: Path, step: str) -> None:
    plan = hls_plan(tmp_path, ["csynth", "synth"], time_limits_s={step: 1.0})
    begin = time.monotonic()
    with pytest.raises(QapError) as caught:
        vendor.run(plan, runner=behaving(mode=f"{step}:hang"))
    assert time.monotonic() - begin < 60
    assert "it took more than 1 s and was stopped; it last said: INFO: Phase 2 Global Placement" in caught.value.message
    assert f"allow '{step}' more time" in caught.value.hint


@pytest.mark.parametrize("step, mode", [("csim", "mismatch"), ("cosim", "mismatch"), ("cosim", "rtlfail"),
                                        ("csim", "fewer")])  # fmt: skip
def test_a_simulation_that_differs_is_a_failed_check(tmp_path: Path, step: str, mode: str) -> None:
    plan = hls_plan(tmp_path, ["csim", "csynth", "cosim"])
    with pytest.raises(CheckFailed) as caught:
        vendor.run(plan, runner=behaving(mode=f"{step}:{mode}"))
    messages = {
        "mismatch": "differs from the integer network: vector 3, output 1 is 7, expected -2",
        "rtlfail": "the RTL does not do what the C++ does (status Fail)",
        "fewer": "3 equal vectors were expected, the testbench says 2 vectors and 0 differences",
    }
    assert messages[mode] in caught.value.message and caught.value.exit_code == 1
    assert step in ran(plan), "a failed check is made again"


@pytest.mark.parametrize("step", ["csynth", "synth", "route"])
@pytest.mark.parametrize("mode, what", [
    ("wrongtop", "is of 'another', not of 'qap2fpga'"), ("wrongclock", "states a clock of 77 ns, not 10 ns"),
    ("wrongpart", "is for the part xc7k160tfbg484-3, not for xc7z020clg400-1"),
])  # fmt: skip
def test_a_report_of_something_else_is_a_failed_check(tmp_path: Path, mode: str, what: str, step: str) -> None:
    plan = hls_plan(tmp_path, ["csynth", "synth", "route"])
    with pytest.raises(CheckFailed) as caught:
        vendor.run(plan, runner=behaving(mode=f"{step}:{mode}"))
    assert what in caught.value.message and "reports/" in caught.value.message
    assert step in ran(plan)


def test_a_report_of_another_stage_is_a_failed_check(tmp_path: Path) -> None:
    plan = design_plan(tmp_path)
    vendor.run(plan)
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(plan.folder / "reports" / "synth_utilization.rpt", kept / "route_utilization.rpt")
    (plan.folder / "reports" / "route_timing.rpt").unlink()
    with pytest.raises(CheckFailed, match="is of stage 'synthesis', not 'routed'"):
        vendor.run(plan, runner=behaving(reports=kept))


def test_a_design_that_is_placed_only_is_not_routed(tmp_path: Path) -> None:
    plan = design_plan(tmp_path)
    vendor.run(plan)
    kept = plan.folder / "reports" / "route_utilization.rpt"
    planted = write(tmp_path / "kept", {kept.name: kept.read_text().replace("State : Routed", "State : Fully Placed")})
    kept.unlink()
    with pytest.raises(CheckFailed, match=r"route_utilization\.rpt is of a design that is placed, not routed"):
        vendor.run(plan, runner=behaving(reports=planted))


@pytest.mark.parametrize("step", ["csynth", "cosim", "synth"])
def test_half_a_report_is_refused(tmp_path: Path, step: str) -> None:
    plan = hls_plan(tmp_path, ["csynth", "cosim", "synth"])
    with pytest.raises(Refused, match="cut off"):
        vendor.run(plan, runner=behaving(mode=f"{step}:half"))
    assert step in ran(plan)


def test_memory_contents_that_are_not_found_stop_vivado(tmp_path: Path) -> None:
    """Vivado itself would go on with zeros for weights."""
    with pytest.raises(QapError, match=r"a memory's content was not found: .*'weights.dat'"):
        vendor.run(design_plan(tmp_path), runner=behaving(mode="synth:memory"))


# ---- resume


def test_a_finished_flow_is_not_repeated(tmp_path: Path) -> None:
    plan = hls_plan(tmp_path)
    first = vendor.run(plan)
    lines = Lines()
    assert vendor.run(hls_plan(tmp_path), progress=lines) == first
    assert lines == [f"{step.name}: done before" for step in plan.steps]


@pytest.mark.parametrize("change, repeated", [
    ("source", ["csim", "csynth", "cosim", "export", "synth"]),
    ("vectors", ["csim", "csynth", "cosim", "export", "synth"]),
    ("clock", ["csim", "csynth", "cosim", "export", "synth"]),
    ("part", ["csim", "csynth", "cosim", "export", "synth"]),
    ("script", ["cosim"]), ("vivado", ["synth"]), ("hls", ["csim", "csynth", "cosim", "export", "synth"]),
    ("report", ["csynth", "export"]), ("mark", ["export"]), ("log", ["csim"]), ("checkpoint", ["synth"]),
    ("time limit", []),
])  # fmt: skip
def test_what_changed_is_repeated(tmp_path: Path, change: str, repeated: list[str]) -> None:
    """C synthesis begins with an empty project, so the exported block goes with it."""
    plan = hls_plan(tmp_path)
    vendor.run(plan)
    project, tools, limits = hls_project(tmp_path / "made"), TOOLS, {}
    if change == "source":
        (project.folder / "firmware" / "qap2fpga.h").write_text("// another\n")
    elif change == "vectors":
        (project.folder / "tb_data" / "tb_output_predictions.dat").write_text("3\n7\n2\n")
    elif change == "clock":
        project = replace(project, clock_ns=5.0)
    elif change == "part":
        project = replace(project, part="xc7z020clg484-1")
    elif change == "vivado":
        tools = replace(TOOLS, vivado=replace(VIVADO, version="2024.1"))
    elif change == "hls":
        tools = replace(TOOLS, hls=vendor.Tool("vitis_hls", FAKES / "vitis_hls", "2023.2", vendor.Kind.HLS))
    elif change == "time limit":
        limits = {"csim": 9.0}
    plan = vendor.plan(project, PYNQ, tmp_path / "work", tools, time_limits_s=limits)
    if change == "script":
        script = plan.folder / "cosim.tcl"
        script.write_text(script.read_text() + "# changed\n")
    elif change == "report":
        report = plan.folder / "reports" / "csynth.xml"
        report.write_text(report.read_text().replace("<LUT>1000<", "<LUT>1<"))
    elif change == "mark":
        (plan.folder / ".done" / "export.json").write_text("{")
    elif change in ("log", "checkpoint"):
        (plan.folder / {"log": "logs/csim.log", "checkpoint": "synthesized.dcp"}[change]).unlink()
    lines = Lines()
    result = vendor.run(plan, progress=lines)
    assert lines.ran == repeated
    measured = result[1].measurement
    assert measured is not None and measured.total.lut == 1000, "the planted number is gone"


def test_a_later_step_does_not_undo_an_earlier_one(tmp_path: Path) -> None:
    """The HLS tools write their project's reports again."""
    plan = hls_plan(tmp_path)
    vendor.run(plan)
    (plan.folder / "hls_prj" / "solution1" / "syn" / "report" / "csynth.xml").write_text("changed by the export")
    assert ran(plan) == []


def test_reports_of_a_killed_run_are_not_taken_for_new_ones(tmp_path: Path) -> None:
    plan = hls_plan(tmp_path, ["csynth"])
    vendor.run(plan)
    shutil.rmtree(plan.folder / ".done")
    with pytest.raises(QapError, match="wrote no report"):
        vendor.run(plan, runner=behaving(mode="csynth:noreport"))
    assert not (plan.folder / "reports" / "csynth.xml").exists()


def test_a_log_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    plan = hls_plan(tmp_path, ["csim"])
    (plan.folder / "logs").write_text("")
    with pytest.raises(QapError, match="cannot write"):
        vendor.run(plan)


@pytest.mark.parametrize(("stated", "wanted", "same"), [
    ("7z020clg400-1", "xc7z020clg400-1", True), ("7z020-clg400", "xc7z020clg400-1", True),
    ("xc7z020-clg400-1", "xc7z020clg400-1", True), ("xcvu13p-fhga2104", "xcvu13p-fhga2104-3-e", True),
    ("xcvu9pflgb2104-2", "xcvu9p-flgb2104-2-i", True), ("7z020clg400-2", "xc7z020clg400-1", False),
    ("7z020clg484-1", "xc7z020clg400-1", False), ("7z010clg400-1", "xc7z020clg400-1", False),
    ("xcu250-figd2104-2L-e", "xcu250-figd2104-2-e", False), ("", "xc7z020clg400-1", False),
])  # fmt: skip
def test_parts_as_reports_write_them(stated: str, wanted: str, same: bool) -> None:
    assert same_part(stated, wanted) is same


# ---- the tools' own reports


def replay(folder: Path, report: Path, top: str, part: str, clock_ns: float) -> vendor.Result:
    """The real csynth report through the whole flow of a project that it could be of."""
    (folder / "real").mkdir()
    shutil.copy(report, folder / "real" / "csynth.xml")
    project = hls_project(folder / "made", top=top, part=part, clock_ns=clock_ns)
    plan = vendor.plan(project, PYNQ, folder / "work", TOOLS, steps=["csynth"])
    return vendor.run(plan, runner=behaving(reports=folder / "real"))[0]


def test_a_real_synthesis_report(real_data: Path, tmp_path: Path) -> None:
    place = next((real_data / "reports").glob("ArgyKokk*/**/CARDIO/**/DSP_reuse1/**/csynth.xml"))
    result = replay(tmp_path, place, "myproject", "xc7z007s-clg225-2", 10 / 3)
    assert result.measurement is not None
    assert result.measurement.total == Cells(lut=2579, ff=3684, dsp=36, bram18=3, uram=0)
    assert (result.version, result.latency_max, result.interval_max) == ("2021.1", 29, 1)


def test_a_real_report_of_another_design_is_a_failed_check(real_data: Path, tmp_path: Path) -> None:
    place = next((real_data / "reports").glob("ArgyKokk*/**/CARDIO/**/DSP_reuse1/**/csynth.xml"))
    with pytest.raises(CheckFailed) as caught:
        replay(tmp_path, place, "qap2fpga", "xc7z020clg400-1", 10.0)
    for part in ("of 'myproject', not of 'qap2fpga'", "xc7z007s-clg225-2", "3.33 ns, not 10 ns"):
        assert part in caught.value.message


@pytest.mark.parametrize("step, reports, top, clock_ns, expected", [
    ("synth", ("Keb-L*/**/core/model4/vsynth/myproject_utilization_synth.rpt",
               "Keb-L*/**/core/model4/vsynth/myproject_timing_synth.rpt"),
     "myproject", 5.0, (60776, "2018.2", 1.048, Stage.SYNTHESIS)),
    ("route", ("Duchstf*/**/JSC_OpenML/**/post_impl_util.rpt", "Duchstf*/**/JSC_OpenML/**/post_impl_timing.rpt"),
     "top", 1.0, (1232, "2024.1", -0.013, Stage.ROUTED)),
])  # fmt: skip
def test_real_reports_of_vivado(
    real_data: Path, tmp_path: Path, step: str, reports: tuple[str, str], top: str,
    clock_ns: float, expected: tuple[int, str, float, Stage],
) -> None:  # fmt: skip
    """A flat and a timing report of one run; the one by hierarchy, which it has not, is ours."""
    (tmp_path / "real").mkdir()
    for pattern, kind in zip(reports, ("utilization", "timing"), strict=True):
        shutil.copy(next((real_data / "reports").glob(pattern)), tmp_path / "real" / f"{step}_{kind}.rpt")
    design = rtl_design(tmp_path / "rtl")
    (design.folder / "top.v").write_text(f"module {top} (input ap_clk);\nendmodule\n")
    board = replace(PYNQ, part="xcvu9p-flgb2104-2-i", clock_ns=clock_ns)
    steps = ["synth", "route"][: 1 + (step == "route")]
    plan = vendor.plan(replace(design, top=top), board, tmp_path / "work", TOOLS, steps=steps)
    result = vendor.run(plan, runner=behaving(reports=tmp_path / "real"))[-1]
    assert result.measurement is not None
    assert (result.measurement.total.lut, result.version, result.wns_ns, result.measurement.stage) == expected


@pytest.mark.slow
def test_a_generated_design_goes_through_the_flow(tmp_path: Path) -> None:
    """The sources of the rtl backend: the mock looks for the top, its clock and memory contents in them."""
    from tests.unit.backends.test_rtl import generated, network

    design = generated(network(1), tmp_path)
    outcome = vendor.run(vendor.plan(design, PYNQ, tmp_path / "work", TOOLS))
    assert [result.step for result in outcome] == ["synth"]


# ---- the testbench


@pytest.mark.slow
def test_the_testbench_in_the_hls_flow_compares_every_output(tmp_path: Path) -> None:
    """The project is hls4ml's own, the compiler g++ with hls4ml's types instead of the HLS tool's."""
    from tests.unit.backends.test_hls4ml import made, small

    _, network = small(4, 0.5)
    project = made(network, tmp_path)
    types = project.folder / "firmware" / "ap_types"
    plan = vendor.plan(project, PYNQ, tmp_path / "work", TOOLS, steps=["csim"])
    result = vendor.run(plan, runner=behaving(compile=f"-w -I{types}"))[0].simulation
    assert result is not None and (result.vectors, result.mismatches) == (5, 0)
    answers = project.folder / "tb_data" / "tb_output_predictions.dat"
    right = answers.read_text()
    rows = [line.split() for line in right.splitlines()]
    truth = int(rows[3][2])
    rows[3][2] = str(truth + 1)
    changes = {
        f"vector 3, output 2 is {truth}, expected {truth + 1}": "\n".join(" ".join(row) for row in rows),
        "the answer to vector 4 is cut off": right.rstrip().rsplit(" ", 1)[0],
    }
    for said, text in changes.items():
        answers.write_text(text)
        plan = vendor.plan(project, PYNQ, tmp_path / "work", TOOLS, steps=["csim"])
        with pytest.raises(QapError) as caught:
            vendor.run(plan, runner=behaving(compile=f"-w -I{types}"))
        assert caught.value.message.endswith(said)
        assert isinstance(caught.value, CheckFailed) == ("expected" in said)


def test_a_report_without_resources_is_a_failed_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(path: Path):
        parsed = read(path)
        return replace(parsed, resources=None) if path.name == "synth_utilization.rpt" else parsed

    monkeypatch.setattr("qap2fpga.synth.amd.result.read", without)
    with pytest.raises(CheckFailed, match=r"synth_utilization\.rpt states no resources"):
        vendor.run(design_plan(tmp_path))
