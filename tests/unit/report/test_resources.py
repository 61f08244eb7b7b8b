# SPDX-License-Identifier: Apache-2.0
"""Measured resources against their prediction: what passes, what fails, and what is named as the cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qap2fpga.estimate.prediction import Interval
from qap2fpga.report import resources
from qap2fpga.report.schema.results import LutPerBop, Measurement, Outcome, ResourcePrediction

PREDICTED = ResourcePrediction(
    circuit="rtl", what="resources", stage="estimate", calibrated=True, of_stage="synthesis",
    total={"lut": 1000, "ff": 500},
    intervals={"lut": Interval(1000.0, 900.0, 1100.0), "ff": Interval(500.0, 450.0, 550.0)},
    parts={
        "u_layer0_fc1": {"lut": 400, "ff": 200},
        "u_layer1_fc2": {"lut": 500, "ff": 250},
        "MVAU_rtl_2": {"lut": 100, "ff": 50},
    },
)  # fmt: skip
PARTS: dict[str, dict[str, int | None]] = {
    "u_layer0_fc1": {"lut": 410, "ff": 190},
    "u_layer1_fc2": {"lut": 500, "ff": 250},
    "u_MVAU_rtl_2": {"lut": 80, "ff": 40},
    "u_MVAU_rtl_2_weights": {"lut": 20, "ff": 10},
    "": {"lut": 0, "ff": 0},
}
MEASURED = Measurement(
    circuit="rtl", tool="yosys", version="0.70", stage="synthesis", total={"lut": 1010, "ff": 490}, parts=PARTS
)


def found(changes: dict[str, dict[str, int]]) -> Measurement:
    """A measurement with other parts, and their totals."""
    parts = {name: {**cells, **changes.get(name, {})} for name, cells in PARTS.items()}
    total = {name: sum(part[name] or 0 for part in parts.values()) for name in ("lut", "ff")}
    return replace(MEASURED, parts=parts, total=total)


def test_inside_the_interval_passes():
    checks = resources.checks(PREDICTED, MEASURED)
    assert [(one.name, one.passed, one.why) for one in checks] == [
        ("LUT as predicted", True, ""),
        ("FF as predicted", True, ""),
    ]
    assert checks[0].expected == "1,000 (900 to 1,100)" and checks[0].found == "1,010"


@pytest.mark.parametrize("lut, passed", [(899, False), (900, True), (1100, True), (1101, False)])
def test_the_ends_of_the_interval(lut, passed):
    measured = replace(MEASURED, total={"lut": lut, "ff": 500})
    assert resources.checks(PREDICTED, measured)[0].passed is passed


def test_a_layer_synthesised_dense_is_named():
    first = resources.checks(PREDICTED, found({"u_layer1_fc2": {"lut": 2400}}))[0]
    assert not first.passed
    assert "u_layer1_fc2: 2,400 where about 500 were expected" in first.why
    assert "u_layer0_fc1" not in first.why and "one layer was synthesised dense" in first.why


@pytest.mark.parametrize("lut, dense", [(990, False), (1500, True)])
def test_a_layer_of_more_than_twice_its_size_is_dense(lut, dense):
    first = resources.checks(PREDICTED, found({"u_layer1_fc2": {"lut": lut}}))[0]
    assert ("one layer was synthesised dense" in first.why) is dense


def test_the_part_that_is_off_most_is_named_first():
    grown = {"u_layer0_fc1": {"lut": 1900}, "u_layer1_fc2": {"lut": 2500}}
    why = resources.checks(PREDICTED, found(grown))[0].why
    assert why.index("u_layer1_fc2") < why.index("u_layer0_fc1")


def test_what_a_prediction_rests_on():
    of_others = replace(PREDICTED, tool="hls4ml", calibrated=None)
    assert resources.basis(of_others, None) == "estimated by hls4ml, so LUTs and FFs are not checked"
    stale = replace(PREDICTED, calibrated=False)
    assert "no measured designs of this generator" in resources.basis(stale, "xc7")
    assert "no measured designs for ecp5" in resources.basis(stale, "ecp5")
    ends = {"lut": Interval(1.0, 1.0, 1.0, ("784 inputs",)), "ff": Interval(1.0, 1.0, 1.0)}
    text = resources.basis(replace(PREDICTED, intervals=ends, lut_per_bop=LutPerBop(low=0.1, high=0.25)), "xc7")
    assert "LUT per BOP was 0.100 to 0.250" in text and text.endswith("outside of what was measured: 784 inputs")


def test_a_mask_that_was_ignored_is_off_everywhere():
    everywhere = {"u_layer0_fc1": {"lut": 1900}, "u_layer1_fc2": {"lut": 2100}}
    first = resources.checks(PREDICTED, found(everywhere))[0]
    assert "u_layer0_fc1" in first.why and "u_layer1_fc2" in first.why
    assert "pruned weights came back, or bits are wider" in first.why


def test_wider_weights_are_off_by_a_little_and_found():
    wider = {name: {"lut": round(1.17 * (PARTS[name]["lut"] or 0))} for name in ("u_layer0_fc1", "u_layer1_fc2")}
    assert "bits are wider" in resources.checks(PREDICTED, found(wider))[0].why


def test_a_doubled_pipeline_shows_in_the_registers_alone():
    lut, ff = resources.checks(PREDICTED, found({"u_layer0_fc1": {"ff": 400}, "u_layer1_fc2": {"ff": 500}}))
    assert lut.passed and not ff.passed and "more pipeline stages" in ff.why


def test_a_part_and_its_memory_are_one_node():
    first = resources.checks(PREDICTED, found({"u_MVAU_rtl_2_weights": {"lut": 700}}))[0]
    assert "MVAU_rtl_2: 780 where about 100 were expected" in first.why


def test_a_smaller_design_than_predicted_fails_too():
    first = resources.checks(PREDICTED, found({"u_layer1_fc2": {"lut": 20}}))[0]
    assert not first.passed and "optimised away, or the report is of another design" in first.why


def test_numbers_of_another_stage_are_refused_and_not_compared():
    """csynth numbers handed over as what synthesis found; even where they happen to be in the interval."""
    checks = resources.checks(PREDICTED, replace(MEASURED, stage="hls"))
    assert [(one.passed, one.expected, one.found) for one in checks] == [(False, "after synthesis", "hls")]
    assert "never compared with these" in checks[0].why


def test_without_a_calibration_of_this_generator_nothing_is_gated():
    (one,) = resources.checks(replace(PREDICTED, calibrated=False), found({"u_layer1_fc2": {"lut": 9000}}))
    assert (one.outcome, one.found) == (Outcome.NOT_RUN, None) and "not calibrated" in one.why


def test_what_was_not_synthesised_or_not_counted_is_not_run():
    (one,) = resources.checks(PREDICTED, None)
    assert (one.outcome, one.expected, one.why) == (Outcome.NOT_RUN, "after synthesis", "not synthesised")
    measured = replace(MEASURED, total={"lut": 1000, "ff": None})
    lut, ff = resources.checks(PREDICTED, measured)
    assert lut.passed and (ff.outcome, ff.found) == (Outcome.NOT_RUN, None) and ff.why.endswith("does not count it")
