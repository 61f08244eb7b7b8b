# SPDX-License-Identifier: Apache-2.0
"""Results of other tools in a folder: which reports belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qap2fpga.reports.designs import ImportedDesign, group, plain_part, same_part
from qap2fpga.reports.folder import read_folder
from tests.support import result_folders as make


def grouped(folder: Path) -> dict[str, ImportedDesign]:
    return {one.name: one for one in group(read_folder(folder).reports)}


def test_stages_of_one_hls4ml_project_are_one_design_in_order(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj")
    make.utilization(folder / "impl" / "net_utilization_placed.rpt", 550, state="Routed")
    make.timing(folder / "impl" / "net_timing_routed.rpt")
    (one,) = (design for name, design in grouped(folder).items() if name == "net")
    assert [str(stage) for stage in one.stages] == ["hls", "synthesis"]
    make.utilization(folder / "v.runs" / "impl_1" / "net_utilization_placed.rpt", 550, state="Routed")
    one = grouped(folder)["net"]
    assert [str(stage) for stage in one.stages] == ["hls", "synthesis", "routed"]
    assert plain_part(one.part or "") == "7z020clg4001"


def test_modules_of_an_hls_design_are_no_designs(tmp_path: Path) -> None:
    reports = make.hls_project(tmp_path / "prj") / "net_prj" / "solution1" / "syn" / "report"
    for name in ("net", "dense", "relu"):
        make.csynth(reports / f"{name}_csynth.xml", 1000 if name == "net" else 10, top=name)
    (one,) = grouped(tmp_path / "prj").values()
    assert one.top == "net"
    assert sorted(module.parsed.design or "" for module in one.modules) == ["dense", "relu"]


def test_the_text_report_of_the_top_names_its_modules(tmp_path: Path) -> None:
    reports = tmp_path / "net_prj" / "solution1" / "syn" / "report"
    make.csynth(reports / "dense_csynth.xml", 800, top="dense")
    golden = Path(__file__).parents[2] / "golden" / "reports"
    shutil.copy(golden / "vitis_hls_2023_csynth.rpt", reports / "net_csynth.rpt")
    (one,) = grouped(tmp_path).values()
    assert (one.top, [module.parsed.design for module in one.modules]) == ("net", ["dense"])


def test_the_hls_design_inside_a_block_design_gets_the_synthesis_of_its_ip(tmp_path: Path) -> None:
    folder = make.hls_project(tmp_path / "prj", synthesized=None)
    make.utilization(folder / "v" / "p.runs" / "x_synth_1" / "x_utilization_synth.rpt", 700, top="bd_net_0_0")
    assert [str(stage) for stage in grouped(folder)["net"].stages] == ["hls", "synthesis"]


def test_names_of_files_tell_variants_of_one_top_apart(tmp_path: Path) -> None:
    for name, lut in (("b4", 500), ("b6", 900)):
        make.utilization(tmp_path / "reports" / f"{name}_util.rpt", lut)
        make.timing(tmp_path / "reports" / f"{name}_timing_routed.rpt", lut / 1000)
    assert {name: len(one.reports) for name, one in grouped(tmp_path).items()} == {"net-b4": 2, "net-b6": 2}


def test_two_solutions_of_one_project_are_two_designs(tmp_path: Path) -> None:
    for name, lut in (("solution1", 500), ("solution2", 900)):
        make.csynth(tmp_path / "prj" / name / "syn" / "report" / "csynth.xml", lut)
        make.cosim(tmp_path / "prj" / name / "sim" / "report" / "net_cosim.rpt")
    assert {name: len(one.reports) for name, one in grouped(tmp_path).items()} == {
        "net-prj-solution1": 2, "net-prj-solution2": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("xc7z020-clg400-1", "7z020clg400-1", True),
        ("7z020-clg400", "xc7z020clg400-1", True),
        ("xcu55c", "xcu55c-fsvh2892-2L-e", True),
        (None, "xcu55c", True),
        ("xc7z020-clg400-1", "xc7z020-clg484-1", False),
        ("xc7z020-clg400-1", "xc7z020-clg400-2", False),
    ],
)
def test_parts_in_the_spellings_of_all_tools(one: str | None, other: str | None, same: bool) -> None:
    assert same_part(one, other) is same
    assert same_part(other, one) is same


def test_every_real_report_belongs_to_one_design(real_data: Path) -> None:
    results = read_folder(real_data / "reports")
    designs = group(results.reports)
    used = [one.path for design in designs for one in (*design.reports, *design.modules)]
    assert set(used) == {one.path for one in results.reports}
    twice = sorted({path.name for path in used if used.count(path) > 1})
    assert twice == ["design_1_myproject_axi_0_0_utilization_synth.rpt"], "the IP's is also the HLS design's"
    assert len({one.name for one in designs}) == len(designs)
    assert not any(one.broken for one in results.skipped)
