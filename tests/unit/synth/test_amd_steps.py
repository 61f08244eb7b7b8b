# SPDX-License-Identifier: Apache-2.0
"""The plan of a vendor flow: its files, its command lines, and every Tcl script in an interpreter that checks it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.hw import boards
from qap2fpga.synth import amd as vendor
from qap2fpga.synth.amd.contents import tcl_settings, tcl_word
from qap2fpga.system.errors import QapError
from tests.conftest import ROOT
from tests.support.vendor import FAKES, TOOLS, behaving, hls_project, needs_tclsh, rtl_design

PYNQ = boards.load("pynq-z2")


def calls(plan: vendor.Plan, **settings: object) -> list[list[str]]:
    """What the scripts of the plan asked the vendors' tools for: step, command, words."""
    record = plan.folder / "calls"
    vendor.run(plan, runner=behaving(calls=record, **settings))
    return [line.split("|") for line in record.read_text().splitlines()]


@needs_tclsh
def test_every_call_of_the_hls_flow(tmp_path: Path) -> None:
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS)
    project = [
        "set_top qap2fpga",
        "add_files firmware/qap2fpga.cpp -cflags -std=c++0x",
        "add_files -tb testbench.cpp -cflags -std=c++0x -DQAP_INPUTS=2 -DQAP_OUTPUTS=1",
        "add_files -tb tb_data",
        "open_solution -reset solution1",
        "set_part xc7z020clg400-1",
        "create_clock -period 10.0 -name default",
        "set_clock_uncertainty 27% default",
        "config_compile -name_max_length 80",
        "config_schedule -enable_dsp_full_reg=false",
    ]
    reopened = ["open_project hls_prj", "open_solution solution1"]
    expected = {
        "csim": ["open_project -reset csim_prj", *project, "csim_design"],
        "csynth": ["open_project -reset hls_prj", *project, "csynth_design"],
        "cosim": [*reopened, "cosim_design -rtl verilog -trace_level none"],
        "export": [*reopened, "export_design -format ip_catalog -version 1.0.0"],
        "synth": [
            "create_project -in_memory -part xc7z020clg400-1",
            "set_msg_config -id Synth 8-4445 -new_severity ERROR",
            "read_verilog hls_prj/solution1/syn/verilog/qap2fpga.v",
            "add_files -norecurse table.dat",
            "read_xdc -mode out_of_context clock.xdc",
            "create_clock -name ap_clk -period 10.0 ap_clk",
            "synth_design -top qap2fpga -part xc7z020clg400-1 -mode out_of_context",
            "write_checkpoint -force synthesized.dcp",
            "report_utilization -file reports/synth_utilization.rpt",
            "report_utilization -hierarchical -file reports/synth_hierarchy.rpt",
            "report_timing_summary -file reports/synth_timing.rpt",
        ],
    }
    results: dict[str, list[str]] = {}
    for step, *words in calls(plan):
        results.setdefault(step, []).append(" ".join(words))
    assert results == expected


@needs_tclsh
def test_every_call_for_a_design_up_to_routing(tmp_path: Path) -> None:
    board = boards.load("zcu104")
    plan = vendor.plan(rtl_design(tmp_path / "rtl"), board, tmp_path / "work", TOOLS, steps=["synth", "route"])
    results = [" ".join(words) for words in calls(plan)]
    assert results == [
        "synth create_project -in_memory -part xczu7ev-ffvc1156-2-e",
        "synth set_msg_config -id Synth 8-4445 -new_severity ERROR",
        "synth read_verilog -sv rom.sv",
        "synth read_verilog top.v",
        "synth add_files -norecurse weights.dat",
        "synth read_xdc -mode out_of_context clock.xdc",
        f"synth create_clock -name ap_clk -period {board.clock_ns} ap_clk",
        "synth synth_design -top top -part xczu7ev-ffvc1156-2-e -mode out_of_context",
        "synth write_checkpoint -force synthesized.dcp",
        "synth report_utilization -file reports/synth_utilization.rpt",
        "synth report_utilization -hierarchical -file reports/synth_hierarchy.rpt",
        "synth report_timing_summary -file reports/synth_timing.rpt",
        "route open_checkpoint synthesized.dcp",
        "route opt_design",
        "route place_design",
        "route phys_opt_design",
        "route route_design",
        "route write_checkpoint -force routed.dcp",
        "route report_utilization -file reports/route_utilization.rpt",
        "route report_utilization -hierarchical -file reports/route_hierarchy.rpt",
        "route report_timing_summary -file reports/route_timing.rpt",
    ]


@needs_tclsh
@pytest.mark.parametrize("old, new", [
    ("csim_design", "csim_desing"), ("-cflags $flags", "-cflag $flags"), ("set_part $part", ""),
    ("open_project -reset $name", "open_project -rest $name"), ("create_clock -period $clock_ns", "create_clock"),
    ("foreach file $hls_sources {", "foreach file $hls_sources"),
    ("add_files -tb $testbench_data", "add_files -tb tb_date"), ("source [file join $here project.tcl]", ""),
])  # fmt: skip
def test_a_fault_in_a_script_is_found_by_the_mocks(tmp_path: Path, old: str, new: str) -> None:
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS, steps=["csim"])
    scripts = [plan.folder / name for name in ("csim.tcl", "project.tcl")]
    for script in scripts:
        script.write_text(script.read_text().replace(old, new))
    assert any(script.read_text() != (ROOT / "flows" / "hls4ml" / script.name).read_text() for script in scripts)
    with pytest.raises(QapError, match=r"Vitis HLS 2023\.2, csim"):
        vendor.run(plan)


@needs_tclsh
def test_all_scripts_are_complete_tcl(tmp_path: Path) -> None:
    scripts = [*(ROOT / "flows").rglob("*.tcl"), *FAKES.glob("*.tcl")]
    assert len(scripts) >= 10
    check = tmp_path / "check.tcl"
    check.write_text("foreach name $argv {set f [open $name]; if {![info complete [read $f]]} {puts $name}; close $f}")
    (tmp_path / "open.tcl").write_text("foreach one {a b {")
    done = subprocess.run(["tclsh", check, *scripts, tmp_path / "open.tcl"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(tmp_path / "open.tcl")]


def test_the_plan_is_shown_before_anything_runs(tmp_path: Path) -> None:
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "a b", TOOLS, time_limits_s={"csim": 60})
    assert plan.text.splitlines() == [
        f"cd '{tmp_path / 'a b'}'",
        f"{FAKES / 'vitis-run'} --mode hls --tcl csim.tcl  # csim, at most 60 s",
        f"{FAKES / 'vitis-run'} --mode hls --tcl csynth.tcl  # csynth, at most 14400 s",
        f"{FAKES / 'vitis-run'} --mode hls --tcl cosim.tcl  # cosim, at most 14400 s",
        f"{FAKES / 'vitis-run'} --mode hls --tcl export.tcl  # export, at most 3600 s",
        f"{FAKES / 'vivado'} -mode batch -nojournal -nolog -notrace -source synth.tcl  # synth, at most 14400 s",
    ]
    assert plan.missing == () and plan.vectors == 3
    assert not (plan.folder / "logs").exists()


def test_a_plan_without_tools_says_what_is_absent(tmp_path: Path) -> None:
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", vendor.Tools())
    assert [line.split()[0] for line in plan.text.splitlines()] == ["cd", *["vitis-run"] * 4, "vivado"]
    assert plan.missing == (vendor.absent(vendor.Kind.HLS), vendor.absent(vendor.Kind.VIVADO))
    with pytest.raises(QapError, match="Vitis HLS is absent") as caught:
        vendor.run(plan)
    assert "settings64.sh" in caught.value.hint and caught.value.exit_code == 2
    only = vendor.plan(rtl_design(tmp_path / "rtl"), PYNQ, tmp_path / "other", vendor.Tools())
    assert only.missing == (vendor.absent(vendor.Kind.VIVADO),)


def test_the_folder_holds_what_is_needed_and_nothing_else(tmp_path: Path) -> None:
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS)
    results = {path.relative_to(plan.folder).as_posix() for path in plan.folder.rglob("*") if path.is_file()}
    scripts = {
        f"{name}.tcl"
        for name in (
            "bitstream",
            "csim",
            "csynth",
            "cosim",
            "export",
            "project",
            "route",
            "settings",
            "synth",
            "system",
        )
    }
    assert results == scripts | {
        "firmware/qap2fpga.cpp", "firmware/qap2fpga.h", "firmware/weights/w2.h", "tb_data/tb_input_features.dat",
        "tb_data/tb_output_predictions.dat", "testbench.cpp", "qap_frame.h",
    }  # fmt: skip
    plan = vendor.plan(rtl_design(tmp_path / "rtl"), PYNQ, tmp_path / "design", TOOLS)
    results = {path.relative_to(plan.folder).as_posix() for path in plan.folder.rglob("*") if path.is_file()}
    assert results == {
        "bitstream.tcl",
        "rom.sv",
        "route.tcl",
        "settings.tcl",
        "synth.tcl",
        "system.tcl",
        "top.v",
        "weights.dat",
    }


def test_the_same_project_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        folder = tmp_path / name
        vendor.plan(hls_project(folder / "made"), PYNQ, folder / "work", TOOLS)
        folders.append({path.name: path.read_bytes() for path in (folder / "work").rglob("*") if path.is_file()})
    assert folders[0] == folders[1]


def test_what_an_earlier_project_left_is_taken_away(tmp_path: Path) -> None:
    project = hls_project(tmp_path / "made")
    (project.folder / "firmware" / "old.h").write_text("")
    vendor.plan(project, PYNQ, tmp_path / "work", TOOLS)
    (project.folder / "firmware" / "old.h").unlink()
    plan = vendor.plan(project, PYNQ, tmp_path / "work", TOOLS)
    assert not (plan.folder / "firmware" / "old.h").exists()
    assert "firmware/old.h" not in plan.steps[0].inputs


@pytest.mark.parametrize("steps, what", [
    (["cosim"], "step 'cosim' works on what 'csynth' makes"), (["csim", "synth"], "step 'synth' works on"),
    (["csynth", "route"], "step 'route' works on what 'synth' makes"), (["synthesis"], "unknown step 'synthesis'"),
])  # fmt: skip
def test_steps_that_cannot_be_done_are_refused(tmp_path: Path, steps: list[str], what: str) -> None:
    with pytest.raises(QapError, match=what):
        vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS, steps=steps)


def test_a_design_has_no_hls_steps(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="unknown step 'csynth'") as caught:
        vendor.plan(rtl_design(tmp_path / "rtl"), PYNQ, tmp_path / "work", TOOLS, steps=["csynth", "synth"])
    assert "synth" in caught.value.hint


def test_a_board_without_a_part_of_amd_is_refused(tmp_path: Path) -> None:
    board = replace(PYNQ, name="ulx3s-85f", part="LFE5U-85F-6BG381C")
    with pytest.raises(QapError, match="ulx3s-85f has the part LFE5U-85F-6BG381C, which is not AMD's"):
        vendor.plan(rtl_design(tmp_path / "rtl"), board, tmp_path / "work", TOOLS)


def test_steps_come_in_their_order_whatever_was_asked(tmp_path: Path) -> None:
    steps = ["route", "synth", "csynth", "csim"]
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS, steps=steps)
    assert [step.name for step in plan.steps] == ["csim", "csynth", "synth", "route"]


def test_a_folder_that_cannot_be_written_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QapError, match="cannot write"):
        vendor.plan(rtl_design(tmp_path / "rtl"), PYNQ, tmp_path / "file" / "work", TOOLS)


@needs_tclsh
def test_settings_reach_tcl_unchanged(tmp_path: Path) -> None:
    values = {"one": 'a [exit] $b "c" {d \\ é', "number": 3.25, "list": ("a b", "{", "*.v", ""), "empty": ()}
    script = tmp_path / "settings.tcl"
    script.write_text(tcl_settings(values))
    show = tmp_path / "show.tcl"
    show.write_text(
        "fconfigure stdout -encoding utf-8\n"
        f"source -encoding utf-8 {{{script}}}\n"
        "puts $one; puts $number; puts [llength $list]; foreach word $list {puts <$word>}; puts [llength $empty]\n"
    )
    done = subprocess.run(["tclsh", show], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [values["one"], "3.25", "4", "<a b>", "<{>", "<*.v>", "<>", "0"]


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_a_word_of_tcl_has_no_open_substitution(text: str) -> None:
    word = tcl_word(text)
    assert word[0] == word[-1] == '"'
    inner = word[1:-1]
    place = 0
    while place < len(inner):
        if inner[place] == "\\":
            place += 2
            continue
        assert inner[place] not in '"$[]'
        place += 1
    assert place == len(inner)
