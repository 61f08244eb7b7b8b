# SPDX-License-Identifier: Apache-2.0
"""The report: what fails a check, what is only shown, and that an unknown number is a dash and never 0."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.frontend.graph import read as read_graph
from qap2fpga.frontend.integer import lower
from qap2fpga.hw.beats import unpack
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.vectors import extremes
from qap2fpga.passes.compaction import compact
from qap2fpga.report import check, content, interface
from qap2fpga.report.schema.results import Check, Use
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError
from tests.support.networks import qonnx_graph, random_model
from tests.support.reports import closed, failures, finished, read, row, shown, sound

# ---- checks


def test_a_good_design_passes_every_check() -> None:
    report = finished()
    assert failures(report) == []
    names = [one["name"] for one in report["checks"]]
    assert names == [
        "torch: layer by layer",
        "Verilator: RTL",
        "initiation interval",
        "latency",
        "DSP blocks",
        "LUT, FF as predicted",
        "clock",
        "fits pynq-z2",
    ]
    left = [(one.name, one.found, one.why) for one in check.not_run(read(report))]
    assert left == [
        ("LUT, FF as predicted", None, "the estimate is not calibrated for this generator and board"),
        ("clock", None, "nothing was placed and routed"),
    ]
    assert len(check.run(read(report))) == 6


def test_one_mismatch_fails() -> None:
    report = finished()
    report["simulations"][1]["mismatches"] = 1
    assert failures(report) == ["Verilator: RTL"]
    failed = check.failed(read(report))[0]
    assert (failed.expected, failed.found) == ("0 mismatches", "1 in 2164 vectors")


def test_what_was_not_simulated_is_said_and_not_failed() -> None:
    report = finished()
    left_out = Simulation("netlist", "", "gates", 0, 0, note="no model of this cell")
    report["simulations"].append({"circuit": "finn", **asdict(left_out)})
    assert failures(report) == []
    one = next(one for one in report["checks"] if one["name"] == "netlist: gates")
    assert (one["found"], one["outcome"], one["why"]) == (None, "not run", "no model of this cell")
    assert "no model of this cell" in shown(report)


@pytest.mark.parametrize(("found", "wanted"), [(12, 11), (11, 12), (0, 12), (12, 0)])
def test_other_dsps_than_predicted_fail(found: int, wanted: int) -> None:
    report = finished(dsp=found)
    report["predictions"][1]["total"]["dsp"] = wanted
    assert failures(report) == ["DSP blocks"]
    failed = check.failed(read(report))[0]
    assert (failed.expected, failed.found) == (str(wanted), str(found))


def test_dsps_not_measured_are_not_checked_and_those_not_predicted_are_no_check() -> None:
    assert ("DSP blocks", "12", None) in left_out(finished(dsp=None))
    report = finished()
    report["predictions"][1]["total"]["dsp"] = None
    assert "DSP blocks" not in [one["name"] for one in closed(report)["checks"]]


def left_out(report: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Return name, expected and found of the checks that are not run."""
    return [(one.name, one.expected, one.found) for one in check.not_run(read(closed(report)))]


@pytest.mark.parametrize(("key", "name"), [("latency_cycles", "latency"), ("interval_cycles", "initiation interval")])
def test_other_cycles_than_predicted_fail(key: str, name: str) -> None:
    for measured in (63, 1000, 64.5):
        report = finished()
        report["timing"][key]["measured"] = measured
        assert failures(report) == [name]
        assert "FIFO" in check.failed(read(report))[0].why


def test_cycles_that_are_not_known_are_not_checked() -> None:
    report = finished()
    report["timing"]["latency_cycles"]["predicted"] = None
    report["timing"]["interval_cycles"]["measured"] = None
    assert failures(report) == []
    assert [one for one in left_out(report) if "clock" not in one[0] and "FF" not in one[0]] == [
        ("initiation interval", "64 cycles", None),
        ("latency", "–", "137 cycles"),
    ]
    report["timing"] = None
    assert failures(report) == []


@pytest.mark.parametrize(
    ("name", "used", "verdict"),
    [
        ("lut", 53201, "does not fit"),
        ("lut", 53200, "fits"),
        ("ff", 106401, "does not fit"),
        ("dsp", 221, "does not fit"),
        ("bram18", 281, "does not fit"),
        ("bram18", 280, "fits"),
    ],
)
def test_a_design_larger_than_the_board_fails(name: str, used: int, verdict: str) -> None:
    report = finished(**{name: used})
    report["predictions"][1]["total"]["dsp"] = report["measurements"][0]["total"]["dsp"]
    expected = ["fits pynq-z2"] if verdict == "does not fit" else []
    assert failures(report) == expected
    assert report["fits"]["verdict"] == verdict
    assert verdict in shown(report)
    if expected:
        failed = check.failed(read(report))[0]
        assert failed.found == f"{name.upper()} {used} of {report['board'][name]}"
        assert "--max-utilization" in failed.why


def test_oversize_can_be_allowed_and_is_still_said() -> None:
    report = finished(lut=60000)
    assert failures(report, allow_oversize=True) == []
    assert report["fits"]["verdict"] == "does not fit"
    one = next(one for one in report["checks"] if one["name"] == "fits pynq-z2")
    assert (one["found"], one["outcome"]) == ("LUT 60000 of 53200", "not run")
    assert one["why"].startswith("a larger design is allowed; ")


def test_percent_of_the_board() -> None:
    fits = check.fits(sound(lut=5320))
    assert fits is not None and fits.use["lut"] == Use(used=5320, available=53200, percent=10.0)
    assert fits.use["bram18"].percent == 1.43


def test_nothing_measured_is_no_verdict() -> None:
    nothing = finished(lut=None, ff=None, dsp=None, bram18=None)
    assert check.fits(read(nothing)) is None
    for report in (nothing, {**finished(), "measurements": []}):
        assert "fits pynq-z2" not in failures(report)
        assert report["fits"] is None
        assert [line for line in shown(report).splitlines() if "fits" in line.split()] == [
            "– fits pynq-z2: not run, not synthesised"
        ]


def test_the_last_measurement_counts() -> None:
    report = finished()
    routed = deepcopy(report["measurements"][0]) | {"tool": "Vivado", "stage": "routed"}
    routed["total"]["lut"] = 53201
    report["measurements"].append(routed)
    assert failures(report) == ["fits pynq-z2"]
    assert (report["fits"]["tool"], report["fits"]["stage"]) == ("Vivado", "routed")


# ---- what is shown


def test_one_build_is_shown_with_where_its_numbers_are_from() -> None:
    text = shown(finished())
    assert row(text, "LUT") == ["4,900", "5,000", "53,200", "9.4 %"]
    assert row(text, "DSP") == ["12", "12", "220", "5.5 %"]
    assert row(text, "latency") == ["137", "137", "1,370 ns"]
    assert row(text, "interval") == ["64", "64", "1,562,500 frames/s"]
    assert row(text, "fc1") == ["16×64", "16×60", "6", "8", "15", "80.0 %", "28,100", "9,840"]
    assert "yosys 0.70, synthesis" in text
    assert f"LUT per BOP {5000 / 28100.25:.4f}" in text
    assert "Checks 6 of 6 passed" in text
    assert "76.15 % of 499 rows" in text


def test_text_of_others_is_shown_as_it_is() -> None:
    """Brackets are no markup: a file, a board, a note may have them."""
    report = finished()
    report["board"]["title"] = "My board [rev 2]"
    report["simulations"][0]["compared"] = "all [/of] it"
    text = shown(report)
    for wanted in ("net[v2].pt", "My board [rev 2]", "a note [with brackets]", "all [/of] it"):
        assert wanted in text
    assert "net[v2].pt" in shown(report, report)


def test_unknown_is_a_dash_and_never_0() -> None:
    report = finished(lut=None, dsp=None, bram18=None, lutram=None)
    report["timing"]["latency_cycles"] = {"predicted": None, "measured": None}
    report["timing"]["latency_ns"] = report["timing"]["frames_per_second"] = None
    report["predictions"] = report["predictions"][:1]
    report["model"]["accuracy"] = None
    text = shown(closed(report))
    assert row(text, "LUT") == ["–", "–", "53,200", "–"]
    assert row(text, "FF") == ["–", "6,000", "106,400", "5.6 %"]
    assert row(text, "BRAM18") == ["–", "–", "280", "–"]
    assert row(text, "latency") == ["–", "–", "–"]
    assert "LUT per BOP –" in text
    assert "of the LUTs – hold memory" in text
    assert "accuracy" not in text


def test_a_measured_0_is_0() -> None:
    report = finished(dsp=0)
    report["predictions"][1]["total"]["dsp"] = 0
    report["predictions"][1]["intervals"]["dsp"] = {"value": 0.0, "low": 0.0, "high": 0.0, "outside": []}
    assert row(shown(closed(report)), "DSP") == ["0", "0", "220", "0.0 %"]


def test_a_build_that_has_not_come_so_far() -> None:
    report = finished()
    report |= {"design": None, "timing": None, "measurements": [], "predictions": []}
    report["simulations"] = report["simulations"][:1]
    text = shown(closed(report))
    assert "Resources" not in text
    assert "Checks 1 of 1 passed" in text


def test_failed_checks_are_shown_with_the_reason() -> None:
    report = finished(lut=60000)
    report["simulations"][1]["mismatches"] = 3
    text = shown(closed(report))
    assert "Checks 4 of 6 passed" in text
    assert "✗ Verilator: RTL: expected 0 mismatches, found 3 in 2164 vectors" in text
    assert "✗ fits pynq-z2: expected within the board, found LUT 60000 of 53200; choose a larger board" in text


def test_builds_stand_side_by_side() -> None:
    early = finished()
    early |= {"design": None, "timing": None, "measurements": [], "predictions": []}
    early["model"]["accuracy"] = None
    large = finished(lut=60000)
    large["simulations"][1]["mismatches"] = 3
    text = shown(finished(), closed(large), closed(early))
    assert row(text, "model") == ["net[v2].pt"] * 3
    assert row(text, "accuracy") == ["76.15 %", "76.15 %", "–"]
    assert row(text, "LUT") == ["5,000", "60,000", "–"]
    assert row(text, "measured by") == ["yosys, synthesis", "yosys, synthesis", "–"]
    assert row(text, "latency") == ["137 cycles", "137 cycles", "–"]
    assert row(text, "interval") == ["64 cycles", "64 cycles", "–"]
    assert row(text, "mismatches") == ["0", "3", "0"]
    assert row(text, "verdict") == ["fits", "does not fit", "–"]
    assert row(text, "checks") == ["passed, 2 not run", "2 failed, 2 not run", "passed"]


def test_the_cost_of_an_added_quantizer_is_a_line_of_its_own() -> None:
    report = finished()
    cost = {"rows": 256, "same_class": 0.984375, "largest_difference": 0.2, "accuracy_raw": 0.78, "accuracy": 0.77}
    report["model"]["input_quantizer_cost"] = cost
    text = shown(report)
    assert "same class as the raw model on 98.44 % of 256 rows, accuracy 78.00 % → 77.00 %" in text


# ---- report.json


def test_a_report_is_written_and_read_whole(tmp_path: Path) -> None:
    whole = sound()
    (tmp_path / "report.json").write_text(content.dump(whole))
    assert content.load(tmp_path) == content.load(tmp_path / "report.json") == whole
    assert content.dump(content.load(tmp_path)) == content.dump(whole)
    (tmp_path / "report.json").write_text(content.dump(replace(whole, schema=1)))
    with pytest.raises(QapError, match="not a report of this version"):
        content.load(tmp_path)


@pytest.mark.parametrize(("changes", "message"), [
    ({"model": {"output": {"scale": "1/512.5"}}}, "model.output.scale = '1/512.5'"),
    ({"model": {"output": {"scale": "-1/2"}}}, "model.output.scale = '-1/2'"),
    ({"model": {"output": {"scale": "1/0"}}}, "model.output.scale = '1/0'"),
    ({"model": {"output": {"scale": "2**-9"}}}, re.escape("model.output.scale = '2**-9'")),
    ({"model": {"layers": []}}, "the model has no layers"),
    ({"design": {"layers": [{"how": "a loop"}]}}, re.escape("'design.layers[0].layer' is missing")),
    ({"relaxed": {"layers": [], "tolerance": 1, "accuracy": 0.5}}, "'relaxed.accuracy_exact' is missing"),
])  # fmt: skip
def test_a_report_that_does_not_fit_its_network_is_refused(changes: dict[str, Any], message: str) -> None:
    tree = finished()
    for part, content_of in changes.items():
        tree[part] = (tree.get(part) or {}) | content_of
    with pytest.raises(QapError, match=f"report.json: {message}"):
        read(tree)
    assert read(finished()).model is not None


@pytest.mark.parametrize("scale", ["1/512", "0", "3", "137/1000"])
def test_a_scale_is_a_fraction(scale: str) -> None:
    tree = finished()
    tree["model"]["output"] = {"scale": scale}
    model = read(tree).model
    assert model is not None and model.output is not None and Fraction(model.output.scale) == Fraction(scale)


def streamed(network: Graph) -> Design:
    """A design that takes a value per beat and gives all outputs at once."""
    out_bits = max(network.ranges[-1].output_bits, 2)
    return Design(
        "test", Path("x"), "top", (), (),
        Stream("in0", network.inputs, 1, network.input.bits, True),
        Stream("out0", network.outputs, network.outputs, out_bits, True),
        interval_cycles=5,
    )  # fmt: skip


def test_a_frame_that_is_too_long_to_be_read_is_no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    network = compact(lower(read_graph(qonnx_graph(random_model(3)))))
    arrays, values = {"recorded": extremes(network)}, network.inputs + network.outputs
    for most, is_there in ((values, True), (values - 1, False)):
        monkeypatch.setattr(interface, "MOST_SHOWN", most)
        assert (interface.describe(streamed(network), network, "logits", arrays).example is not None) == is_there


def test_the_interface_says_the_bytes_of_one_vector() -> None:
    """A worked example for whoever feeds the stream: unpacked by the stream's layout it is the vector again."""
    model = random_model(3)
    network = compact(lower(read_graph(qonnx_graph(model))))
    design = streamed(network)
    recorded = network.input.quantize(model.example)
    arrays = {"recorded": recorded, "random": extremes(network), "first_input": model.example[0]}
    result = encode(interface.describe(design, network, "logits", arrays))
    example = result["example"]
    assert example["integers"] == recorded[0].tolist()
    assert example["real"] == [float(value) for value in model.example[0]]
    expected = network.run(recorded[:1])[0]
    assert example["output_integers"] == expected.tolist()
    assert example["output_values"] == [value * float(network.output_scale) for value in expected]
    for name, stream, values in (("input_bytes", design.input, recorded[0]), ("output_bytes", design.output, expected)):
        beats = [[int(beat, 16) >> 32 * place & 0xFFFFFFFF for place in range(2)] for beat in example[name]]
        assert len(beats) == stream.beats
        words = np.array(beats, np.uint32)[:, : -(-stream.beat_bits // 32)]
        assert unpack(words, stream)[0].reshape(-1).tolist() == values.tolist()
    quantizer = result["input"]["quantizer"]
    assert (quantizer["scale"], quantizer["low"], quantizer["high"]) == (list(network.input.scale), -8, 7)
    json.dumps(result)


def test_a_check_is_plain() -> None:
    assert encode(Check.of("a", "b", "c", True)) == {
        "name": "a",
        "expected": "b",
        "found": "c",
        "outcome": "passed",
        "why": "",
    }
