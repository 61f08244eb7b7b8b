# SPDX-License-Identifier: Apache-2.0
"""Reports of C synthesis against their prediction: planted faults are found, and nothing fails that is not known."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.report import check, csynth, show
from qap2fpga.report.imported.run import ImportRequest, import_reports
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import Outcome
from tests.support import result_folders as folders
from tests.support.reports import closed, finished, read, row, shown
from tests.unit.report.test_page import rendered


def interval(value: float, low: float, high: float, *outside: str) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "outside": list(outside)}


def layer(number: int, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": f"dense{number}", "layer": name, "config": f"config{2 + 3 * number}", "calibrated": True,
        "outside": [], "missing": {"ff": "27 designs measured"},
        "predictions": {"lut": interval(1000.0, 800.0, 1250.0), "dsp": interval(0.0, 0.0, 0.6),
                        "bram18": interval(0.0, 0.0, 0.0)},
        **changes,
    }  # fmt: skip


PREDICTED = {
    "circuit": "hls4ml", "what": "csynth", "tool": "qap2fpga", "version": "1", "stage": "estimate", "of_stage": "hls",
    "calibrated": False, "top": "net", "part": folders.PART, "clock_ns": 5.0,
    "errors": ["LUT: mean error 7 %"],
    "observed": ["observed only, of pairs: 2 to 4 (n = 3)"],
    "total": {"lut": interval(2000.0, 1700.0, 3000.0, "whole networks: 9 measured, 30 are needed")},
    "layers": [layer(0, "fc1"), layer(1, "fc2")],
}  # fmt: skip
PARTS = {
    "grp_dense_latency_ap_int_16_ap_int_24_config2_s_fu_97": {"lut": 900, "ff": 20, "dsp": 0, "bram18": 0},
    "step_ap_int_24_ap_uint_4_config4_s_U0": {"lut": 90, "ff": 20, "dsp": 0, "bram18": 0},
    "grp_dense_latency_ap_uint_4_ap_int_11_config5_s_fu_123": {"lut": 1100, "ff": 20, "dsp": 0, "bram18": 0},
    # Of another layer, whose number begins alike.
    "grp_dense_latency_ap_uint_4_ap_int_11_config25_s_fu_7": {"lut": 99999, "ff": 20, "dsp": 99, "bram18": 9},
}
STATED = {
    "circuit": "hls4ml", "tool": "vitis_hls", "version": "2023.2", "stage": "hls", "note": "",
    "total": {"lut": 2500, "ff": 300, "dsp": 0, "bram18": 0}, "parts": PARTS,
}  # fmt: skip
SYNTHESIS = {**STATED, "tool": "vivado", "stage": "synthesis", "total": {"lut": 1100, "ff": 250, "dsp": 0}, "parts": {}}
BOPS = {"paper": 10_000.0, "paper_code": 12_000.0, "paper_code_rounded": 12_000.0, "nonzero_products": 73_728}


def tree(*measurements: dict[str, Any], predicted: dict[str, Any] = PREDICTED) -> dict[str, Any]:
    """A report of an hls4ml build, as JSON."""
    sizes = {"inputs": 32, "outputs": 32}
    layers = [
        {"name": name, **sizes, "weight_bits": 6, "input_bits": 6, "weights": 1024, "zeros": 0,
         "bops": {"paper": 4000.0, "nonzero_products": 36864},
         "hardware": {**sizes, "accumulator_bits": 16, "nonzeros": 1024}}
        for name in dict.fromkeys(("fc1", "fc2", *(one["layer"] for one in predicted["layers"])))
    ]  # fmt: skip
    whole = finished()
    own = {"backend": "hls4ml", "design": None, "timing": None, "fits": None, "checks": [], "simulations": []}
    whole["model"] |= {"file": "m.pt", "layers": layers, "bops": BOPS, "notes": []}
    return deepcopy({**whole, **own, "predictions": [predicted], "measurements": list(measurements)})


def report(*measurements: dict[str, Any], predicted: dict[str, Any] = PREDICTED) -> Report:
    """The same as it is read."""
    return read(tree(*measurements, predicted=predicted))


def test_layers_inside_pass():
    result = csynth.check_layers(report(STATED))
    assert [(one.name, one.found, one.passed) for one in result] == [
        (f"{name} of layer {layer} by C synthesis, as predicted", cells, True)
        for layer, lut in (("fc1", "900"), ("fc2", "1,100"))
        for name, cells in (("LUT", lut), ("DSP", "0"), ("BRAM18", "0"))
    ]
    assert result[0].expected == "1,000 (800 to 1,250)" and all(one.why == "" for one in result)
    assert csynth.check_stages(report(STATED, SYNTHESIS)) == []


@pytest.mark.parametrize(
    ("cells", "name", "why"),
    [
        ({"lut": 5000}, "LUT of layer fc2", "5.00 times the prediction; likely pruned weights came back, or bits are"),
        ({"lut": 1251}, "LUT of layer fc2", "1.25 times the prediction"),
        ({"lut": 799}, "LUT of layer fc2", "0.80 times the prediction; likely a part was optimised away"),
        ({"dsp": 32}, "DSP of layer fc2", "32.00 times the prediction; likely weights or inputs are wider than stated"),
        ({"bram18": 2}, "BRAM18 of layer fc2", "likely the weights went to memory"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found_in_its_layer(cells, name, why):
    planted = tree(STATED)
    planted["measurements"][0]["parts"]["grp_dense_latency_ap_uint_4_ap_int_11_config5_s_fu_123"].update(cells)
    failed = [one for one in csynth.check_layers(read(planted)) if not one.passed]
    assert [one.name for one in failed] == [f"{name} by C synthesis, as predicted"]
    assert failed[0].why.startswith(why)


@pytest.mark.parametrize("changes", [{"calibrated": False}, {"predictions": {}}, {"config": "config9"}])
def test_what_is_not_calibrated_or_not_reported_fails_nothing(changes):
    """The second layer takes fifty times its prediction."""
    planted = tree(STATED, predicted={**PREDICTED, "layers": [layer(0, "fc1"), layer(1, "fc2", **changes)]})
    planted["measurements"][0]["parts"]["grp_dense_latency_ap_uint_4_ap_int_11_config5_s_fu_123"]["lut"] = 50_000
    result = csynth.check_layers(read(planted))
    *first, second = result
    assert len(first) == 3 and all(one.passed and "fc1" in one.name for one in first)
    assert (second.name, second.outcome) == ("cells of layer fc2 by C synthesis, as predicted", Outcome.NOT_RUN)
    assert second.why in ("unlike measured layers", "the report names no function of this layer")
    (only,) = csynth.check_layers(report(SYNTHESIS))
    assert (only.outcome, only.why) == (Outcome.NOT_RUN, "no C synthesis was run"), (
        "Vivado's numbers are of another kind"
    )
    assert csynth.check_layers(read({**tree(STATED), "predictions": []})) == []


def test_a_network_far_from_its_sum_fails_nothing():
    planted = tree(STATED)
    planted["measurements"][0]["total"]["lut"] = 10**7
    assert all(one.passed for one in csynth.check_layers(read(planted)))


@pytest.mark.parametrize("tool", csynth.TOOLS)
def test_numbers_of_an_hls_tool_are_never_those_of_a_later_stage(tool):
    failed = csynth.check_stages(report({**STATED, "tool": tool, "stage": "synthesis"}))
    assert [(one.passed, one.expected, one.found) for one in failed] == [(False, "after hls", "synthesis")]
    assert "never compared with" in failed[0].why


@pytest.mark.parametrize("stage", ["synthesis", "routed"])
def test_csynth_numbers_passed_as_vivados(stage):
    copied = {**SYNTHESIS, "stage": stage, "total": dict(STATED["total"])}
    failed = csynth.check_stages(report(STATED, copied))
    assert [one.passed for one in failed] == [False] and failed[0].found.startswith("LUT 2,500 and FF 300")
    copied["total"]["ff"] += 1
    assert csynth.check_stages(report(STATED, copied)) == []


def test_rows_put_predicted_and_stated_beside_bops():
    unlike = layer(1, "fc2", calibrated=False, outside=["pruned"])
    unlike["predictions"]["lut"]["outside"] = ["pruned"]
    predicted = {**PREDICTED, "layers": [layer(0, "fc1"), unlike]}
    rows = csynth.rows(report(predicted=predicted))
    assert [row.layer for row in rows] == ["fc1", "fc2", "network"]
    assert rows[0].cells[0] == ("1,000 (800 to 1,250)", "–") and rows[0].lut_per_bop == 1000 / 4000
    assert rows[1].cells[0] == ("800 to 1,250", "–") and rows[1].lut_per_bop is None
    assert rows[2].cells[:2] == (("1,700 to 3,000", "–"), ("–", "–")) and rows[2].lut_per_bop is None
    measured = csynth.rows(report(STATED, predicted=predicted))
    assert measured[1].cells[0] == ("800 to 1,250", "1,100") and measured[1].lut_per_bop == 1100 / 4000
    assert measured[2].cells[1] == ("–", "300") and measured[2].lut_per_bop == 2500 / 10_000
    assert csynth.rows(read({**tree(STATED), "predictions": []})) == []


def test_the_ratio_to_a_later_stage_is_told_of_the_same_circuit():
    assert csynth.ratios(report(STATED, SYNTHESIS, {**SYNTHESIS, "tool": "yosys", "circuit": "rtl"})) == [
        "of this design: C synthesis / vivado synthesis, LUT 2.27, FF 1.2"
    ]
    assert csynth.ratios(report(SYNTHESIS)) == csynth.ratios(report(STATED)) == []


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0.0, 0.6, "0"), (0.0, 1.0, "0 to 1"), (899.2, 1100.9, "900 to 1,100"), (5.0, 5.0, "5"), (3.2, 3.4, "3")],
)
def test_ends_are_whole_numbers_that_pass(low, high, told):
    assert show.ends(low, high) == told


def build(folder: Path, predicted: dict[str, Any]) -> Path:
    """A build that predicted this, as far as an import looks at it."""
    return folders.write(folder / "report.json", json.dumps(tree(predicted=predicted))).parent


def test_an_import_is_compared_with_the_build_that_it_came_from(tmp_path):
    path = folders.csynth(tmp_path / "results" / "net_prj" / "solution1" / "syn" / "report" / "csynth.xml", dsp=0)
    modules = "".join(
        f"<Module><Name>{name}</Name><AreaEstimates><Resources><LUT>{lut}</LUT><DSP>0</DSP></Resources></AreaEstimates>"
        "</Module>" for name, lut in (("dense_latency_a_config2_s", 900), ("dense_latency_b_config5_s", 4000))
    )  # fmt: skip
    instances = "".join(
        f"<Instance><InstName>grp_{name}_fu_1</InstName><ModuleName>{name}</ModuleName></Instance>"
        for name in ("dense_latency_a_config2_s", "dense_latency_b_config5_s")
    )
    path.write_text(path.read_text().replace("</profile>",
        f"<RTLDesignHierarchy><TopModule><InstancesList>{instances}</InstancesList></TopModule></RTLDesignHierarchy>"
        f"<ModuleInformation>{modules}</ModuleInformation></profile>"))  # fmt: skip

    def imported(predicted: dict[str, Any]) -> Report:
        place = build(tmp_path / "build", predicted)
        request = ImportRequest(tmp_path / "results", model=place, output=tmp_path / "out")
        return import_reports(request, lambda text: None)[0][1]

    result = imported(PREDICTED)
    failed = check.failed(result)
    assert [one.name for one in failed] == ["LUT of layer fc2 by C synthesis, as predicted"]
    assert failed[0].why.startswith("4.00 times the prediction")
    # The same results say nothing of a build for another clock, top or part.
    for changes, why in (({"clock_ns": 4.0}, "made for 5 ns, predicted for 4 ns"),
                         ({"top": "other"}, "a report of net, predicted for other"),
                         ({"part": "xcvu13p-flga2577-2-e"}, "predicted for xcvu13p")):  # fmt: skip
        other = imported({**PREDICTED, **changes})
        about = [one for one in other.checks if "as predicted" in one.name]
        assert about and {one.outcome for one in about} == {Outcome.NOT_RUN} and all(why in one.why for one in about)
        assert other.csynth is not None and why in other.csynth.layers[0].outside[0]


def test_both_reports_show_predicted_beside_stated(tmp_path):
    whole = finished()
    whole["predictions"].append({**PREDICTED, "layers": [layer(0, "fc1")]})
    whole["measurements"].append(STATED)
    # LUTs predicted and stated, FFs, DSPs and block RAMs, BOPs, LUTs per BOP.
    cells = ["1,000 (800 to 1,250)", "900", "–", "20", "0", "0", "0", "0", "28,100", "0.0320"]
    text = shown(closed(whole))
    assert row(text[text.index("C synthesis, layer by layer") :], "fc1") == cells
    assert "1 of 1 layers are like measured ones" in text and "observed only, of pairs: 2 to 4 (n = 3)" in text
    page = rendered(tmp_path, build=closed(whole)).shown
    assert "C synthesis, layer by layer" in page and " ".join(["fc1", *cells]) in page
    assert "LUT: mean error 7 %" in page and "no prediction of FF: 27 designs measured" in page
    assert "C synthesis" not in rendered(tmp_path, build=closed(finished())).shown


def test_real_results_against_a_build(real_data: Path, tmp_path):
    """A published jet tagger of four layers, whose first takes 28,413 LUTs and 59 DSPs by C synthesis."""
    place = real_data / "reports" / "Lrozzy+hls4ml_OpenML" / "model_3.1_1" / "hls4ml_prj"
    stated = {3: 28413, 8: 35886, 13: 16400, 18: 4211}
    intervals = {**{number: interval(lut, 0.9 * lut, 1.1 * lut) for number, lut in stated.items()},
            13: interval(6000, 5000, 7000)}  # fmt: skip
    layers = [
        layer(0, f"fc{number}", config=f"config{number}", predictions={"lut": lut}) for number, lut in intervals.items()
    ]
    predicted = {**PREDICTED, "layers": layers, "top": "myproject", "part": "xcu50-fsvh2104-2-e"}
    request = ImportRequest(place, model=build(tmp_path / "build", predicted), output=tmp_path / "out")
    checks = import_reports(request, lambda text: None)[0][1].checks
    results = {one.name: one for one in checks if "as predicted" in one.name}
    assert [one.outcome for one in results.values()] == ["passed", "passed", "failed", "passed"]
    assert results["LUT of layer fc13 by C synthesis, as predicted"].found == "16,400"
