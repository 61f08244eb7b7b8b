# SPDX-License-Identifier: Apache-2.0
"""Results of other tools: what they say, and each contradiction that must be found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.hw import boards
from qap2fpga.report import content
from qap2fpga.report.imported.run import ImportRequest, import_reports
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import Outcome
from qap2fpga.system.errors import QapError
from tests.support import result_folders as make
from tests.support.command import build, run, save
from tests.unit.reports.test_readers import GOLDEN


def imported(folder: Path, **options: Any) -> dict[str, Any]:
    """The report of the only design in `folder`."""
    request = ImportRequest(folder, output=folder.parent / "out", **options)
    ((place, report),) = import_reports(request, lambda text: None)
    assert content.load(place) == report, "what is written is what is returned"
    return tree(report)


def tree(report: Report) -> dict[str, Any]:
    """The report as the file has it."""
    result: dict[str, Any] = json.loads(content.dump(report))
    return result


def failed(report: dict[str, Any]) -> list[str]:
    return [one["name"] for one in report["checks"] if one["outcome"] == Outcome.FAILED]


def warnings(report: dict[str, Any], word: str) -> list[str]:
    return [text for text in report["design"]["warnings"] if word in text]


# ---- what the report says


def test_without_the_tops_report_modules_stand_alone_and_are_warned_of(tmp_path: Path) -> None:
    reports = tmp_path / "prj" / "net_prj" / "solution1" / "syn" / "report"
    for name in ("dense", "relu"):
        make.csynth(reports / f"{name}_csynth.xml", 10 + len(name), top=name)
    result = import_reports(ImportRequest(tmp_path / "prj", output=tmp_path / "out"), lambda text: None)
    assert {place.name.rpartition("-")[2] for place, _ in result} == {"dense", "relu"}
    assert all(warnings(tree(report), "another top") for _, report in result)


def test_black_boxes_belong_to_the_design_around_them(tmp_path: Path) -> None:
    runs = tmp_path / "v.runs"
    make.utilization(runs / "synth_1" / "wrap_utilization_synth.rpt", 5, 6, "wrap", boxes=("ip_0", "ip_1"))
    make.utilization(runs / "ip_0_synth_1" / "ip_0_utilization_synth.rpt", 20, 30, "ip_0")
    report = imported(tmp_path)
    assert "LUT" not in warnings(report, "black boxes")[0], "the cells of one of them are not known"
    make.utilization(runs / "ip_1_synth_1" / "ip_1_utilization_synth.rpt", 100, 200, "ip_1")
    report = imported(tmp_path)
    assert "LUT 125, FF 236, summed here" in warnings(report, "black boxes")[0]
    assert report["measurements"][-1]["total"]["lut"] == 5, "Vivado's own total stays as it is"
    assert [one["about"] for one in report["imported"]["files"]] == ["design", "module", "module"]


def test_sound_results_pass_and_say_what_stage_each_number_is_of(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    make.cosim(folder / "net_prj" / "solution1" / "sim" / "report" / "net_cosim.rpt")
    make.timing(folder / "timing_synth.rpt", state="Synthesized")
    report = imported(folder)
    assert failed(report) == []
    assert report["model"] is None and report["interface"] is None
    stages = [(one["stage"], one["tool"], one["total"]["lut"]) for one in report["measurements"]]
    assert stages == [("hls", "vitis_hls", 1000), ("synthesis", "vivado", 600)]
    assert report["fits"]["verdict"] == "fits" and report["fits"]["stage"] == "synthesis"
    assert report["board"]["lut"] == 53200 and report["board"]["bram18"] == 280, "from the reports' own columns"
    assert report["timing"]["latency_cycles"] == {"predicted": 12, "measured": 12}
    assert report["timing"]["latency_ns"] == 60
    (ratio,) = report["imported"]["ratios"]
    assert (ratio["of"], ratio["to"], ratio["lut"], ratio["ff"]) == ("hls", "synthesis", 1.6667, 1.3333)
    assert "LUT 1.6667" in warnings(report, "two stages")[0]
    assert warnings(report, "no report of the routed design")


def test_finn_folder(tmp_path: Path) -> None:
    report = imported(make.finn(tmp_path / "out_tfc"))
    assert failed(report) == []
    assert [(one["stage"], one["total"]["lut"]) for one in report["measurements"]] == [("routed", 893)]
    estimates = [one for one in report["predictions"] if one["what"] == "resources"]
    assert [one["total"]["lut"] for one in estimates] == [380]
    assert report["timing"]["latency_cycles"] == {"predicted": 60, "measured": 54}
    assert report["timing"]["interval_cycles"] == {"predicted": 14, "measured": None}, "one frame measures none"
    assert report["fits"] is None and report["board"]["part"] == "not stated", "nothing states the part"
    assert [one["kind"] for one in report["imported"]["skipped"]] == ["finn-time-per-step"]
    report = imported(tmp_path / "out_tfc", board=boards.load("pynq-z2"))
    assert report["fits"]["verdict"] == "fits"


@pytest.mark.slow
def test_a_model_puts_bops_beside_the_numbers(tmp_path: Path) -> None:
    model, folder = save(tmp_path / "net.pt"), make.hls_project(tmp_path / "prj")
    assert build(model, tmp_path / "built").code == 0
    from_file, from_build = (imported(folder, model=place) for place in (model, tmp_path / "built"))
    assert from_file["model"] == from_build["model"]
    done = run("report", tmp_path / "out")
    assert f"LUT per BOP {600 / from_file['model']['bops']['paper']:.4f}" in done.out
    assert failed(from_file) == []


def test_an_imported_report_has_no_model_to_give(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    imported(folder)
    with pytest.raises(QapError, match="has no model itself"):
        imported(folder, model=tmp_path / "out")


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make.hls_project(tmp_path / "prj" / "one")
    done = run("import-report", "prj", "--name", "mine")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "builds" / "mine-imported" / "report.json").is_file()
    assert "fits (synthesis)" in done.out and "LUT per BOP –" in done.out
    assert run("report").out.splitlines()[2:] == done.out.splitlines()[2:]
    make.hls_project(tmp_path / "prj" / "two", 70000, synthesized=60000)
    done = run("import-report", "prj", "--output", "several")
    assert done.code == 1 and "fits" in done.err and "60,000 of 53,200" in done.err
    assert sorted(path.name for path in (tmp_path / "several").iterdir()) == ["one", "two"]
    assert run("import-report", "prj", "--check", "warn", "--quiet").code == 0
    assert run("report", "several/one", "several/two").code == 0


def test_an_estimate_of_finn_alone_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a prediction without intervals, and without a board: neither has something to check."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "finn").mkdir()
    shutil.copy(GOLDEN / "estimate_layer_resources.json", tmp_path / "finn")
    done = run("import-report", "finn")
    assert (done.code, done.err) == (0, "")
    assert "395" in done.out and "none was run, 4 not run" in done.out
    assert run("report", "builds/finn-imported", "--html", "page.html").code == 0
    assert "395" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "does not exist"),
        (["prj/vivado_synth.rpt"], "is a file"),
        (["empty"], "no report in"),
        (["broken"], "x_csynth.xml: "),
        (["prj", "--check", "maybe"], "known: fail, warn"),
        (["prj", "--board", "none"], "unknown board"),
        (["prj", "--model", "net.pth"], "does not describe its network in full"),
        (["prj", "--model", "gone.pt"], "gone.pt does not exist"),
        (["prj", "--name", "/"], "is no name for a folder"),
        (["prj", "--output", "build"], "holds a build"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str) -> None:
    monkeypatch.chdir(tmp_path)
    make.hls_project(tmp_path / "prj")
    (tmp_path / "empty").mkdir()
    (tmp_path / "build" / ".qap2fpga").mkdir(parents=True)
    make.write(tmp_path / "broken" / "x_csynth.xml", "<profile>")
    make.write(tmp_path / "net.pth", "")
    done = run("import-report", *arguments)
    assert done.code == 2 and told in done.err
    assert not (tmp_path / "builds").exists()


# ---- contradictions: each is planted, found, and not there without the fault


def test_two_reports_of_one_design_at_one_stage_that_disagree(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    make.utilization(folder / "net_utilization_synth.rpt", 600)
    report = imported(folder)
    assert failed(report) == []
    make.utilization(folder / "net_utilization_synth.rpt", 601)
    report = imported(folder)
    assert failed(report) == ["resources of all synthesis reports agree"]
    (bad,) = (one for one in report["checks"] if one["outcome"] == Outcome.FAILED)
    assert "LUT 601 in net_utilization_synth.rpt, 600 in vivado_synth.rpt" in bad["found"]


def test_times_of_one_stage_that_disagree(tmp_path: Path) -> None:
    reports = make.hls_project(tmp_path / "prj") / "net_prj" / "solution1" / "syn" / "report"
    make.csynth(reports / "net_csynth.xml", latency=13)
    report = imported(tmp_path / "prj")
    assert failed(report) == ["times of all hls reports agree"]


def test_identical_reports_of_designs_that_are_said_to_differ(tmp_path: Path) -> None:
    for name, lut in (("reuse1", 500), ("reuse2", 900)):
        make.hls_project(tmp_path / "all" / name, lut, synthesized=None)
    request = ImportRequest(tmp_path / "all", output=tmp_path / "out")
    assert not any(failed(tree(report)) for _, report in import_reports(request, lambda text: None))
    shutil.rmtree(tmp_path / "all" / "reuse2")
    shutil.copytree(tmp_path / "all" / "reuse1", tmp_path / "all" / "reuse2")
    results = [failed(tree(report)) for _, report in import_reports(request, lambda text: None)]
    assert results == [["differs from reuse2"], ["differs from reuse1"]]


def test_csynth_numbers_passed_as_post_synthesis(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    make.utilization(folder / "vivado_synth.rpt", 1000, 400)
    assert failed(imported(folder)) == ["vivado_synth.rpt was measured"]


def test_a_report_of_another_part_or_top(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    make.utilization(folder / "vivado_synth.rpt", 600, part="xcku115flvf1924-2")
    result = import_reports(ImportRequest(folder, output=tmp_path / "out"), lambda text: None)
    assert [failed(tree(report)) for _, report in result] == [["one part in one project"]] * 2
    make.utilization(folder / "vivado_synth.rpt", 600)
    make.utilization(folder / "other.rpt", 700, top="other")
    result = import_reports(ImportRequest(folder, output=tmp_path / "out"), lambda text: None)
    assert [bool(warnings(tree(report), "another top")) for _, report in result] == [True, True]


def test_a_board_with_another_part_or_too_small_a_part(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    assert failed(imported(folder, board=boards.load("pynq-z2"))) == []
    assert failed(imported(folder, board=boards.load("zcu104"))) == ["made for zcu104"]
    make.utilization(folder / "vivado_synth.rpt", 53201)
    assert failed(imported(folder)) == ["fits xc7z020-clg400-1 (synthesis)"]


def test_c_synthesis_cannot_tell_whether_it_fits(tmp_path: Path) -> None:
    report = imported(make.hls_project(tmp_path / "prj", 53201, synthesized=None), board=boards.load("pynq-z2"))
    assert failed(report) == [] and report["fits"]["verdict"] == "does not fit"
    assert warnings(report, "by C synthesis it does not fit (LUT 53,201 of 53,200)")


def test_the_clock_of_the_last_stage_counts(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    reports = folder / "net_prj" / "solution1" / "syn" / "report"
    make.csynth(reports / "csynth.xml", period=5.5)
    assert failed(imported(folder)) == ["clock met (hls)"]
    make.timing(folder / "timing.rpt", 0.0)
    report = imported(folder)
    assert failed(report) == [] and not warnings(report, "no report of the routed design")
    make.timing(folder / "timing.rpt", -0.01)
    assert failed(imported(folder)) == ["clock met (routed)"]


def test_simulation_against_what_was_said_before(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    place = folder / "net_prj" / "solution1" / "sim" / "report" / "net_cosim.rpt"
    make.cosim(place, 24)
    assert failed(imported(folder)) == ["latency by simulation (net_cosim.rpt)"]
    make.cosim(place, 12, "Fail")
    assert failed(imported(folder)) == ["co-simulation (net_cosim.rpt)"]
    assert failed(imported(make.finn(tmp_path / "finn", bound=53))) == [
        "latency by simulation (rtlsim_performance.json)"
    ]


def test_a_report_that_is_cut_off_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    text = (folder / "vivado_synth.rpt").read_text()
    make.write(folder / "vivado_synth.rpt", text[: text.index("3. DSP\n------")])
    make.write(folder / "notes.json", "{}")
    report = imported(folder)
    assert failed(report) == ["vivado_synth.rpt can be read"]
    assert [(one["path"], one["broken"]) for one in report["imported"]["skipped"]] == [
        ("notes.json", False), ("vivado_synth.rpt", True),
    ]  # fmt: skip


# ---- real results


def test_real_results(real_data: Path, tmp_path: Path) -> None:
    """The numbers and contradictions that were found by eye in folders of others."""
    place = real_data / "reports"
    results = {}
    for repository in ("fastmachinelearning+hls4ml", "uw-acme+HLS4ML_VS_MANUAL", "Hector-Plata+hls4ml-tutorial",
                       "alhusseingamal+finn-brevitas-pynq-labs", "LiuHanpei+hls4ML_template"):  # fmt: skip
        request = ImportRequest(place / repository, output=tmp_path / repository)
        results[repository] = {
            one["imported"]["name"]: one for one in (tree(report) for _, report in import_reports(request, print))
        }
    (report,) = results["fastmachinelearning+hls4ml"].values()
    assert [one["total"]["lut"] for one in report["measurements"]] == [2532, 1526]
    assert failed(report) == []
    manual = results["uw-acme+HLS4ML_VS_MANUAL"]
    copied = {name: names for name, report in manual.items() if (names := failed(report))}
    assert {name.rpartition("handmade-")[2] for name in copied} == {"10_4_SA3_4", "10_4_SA3_5", "10_4_MinpipeNegmax"}
    pynq = [report for report in results["Hector-Plata+hls4ml-tutorial"].values() if len(report["measurements"]) == 2]
    assert [[one["total"]["lut"] for one in report["measurements"]] for report in pynq] == [[40461, 17267], [0, 19879]]
    late = results["alhusseingamal+finn-brevitas-pynq-labs"]
    assert {name[-8:]: len(failed(report)) for name, report in late.items()} == {
        "put_auto": 0, "custom_0": 1, "custom_2": 2,
    }  # fmt: skip
    (report,) = results["LiuHanpei+hls4ML_template"].values()
    assert failed(report) == ["latency by simulation (mem_streaming_cosim.rpt)"]
