# SPDX-License-Identifier: Apache-2.0
"""Factors and intervals fitted to measured designs."""

from __future__ import annotations

import pytest

from qap2fpga.estimate import draw, fit
from qap2fpga.system.errors import QapError
from tests.support.measured import fitted, lines


def test_factors_are_found_and_errors_are_of_designs_that_were_not_fitted():
    content, held = fitted()
    assert content["resources"]["lut"]["factors"] == pytest.approx({"a": 1.1, "b": 2.0}, abs=0.01)
    assert content["resources"]["ff"]["factors"] == pytest.approx({"a": 1.0, "b": 1.0}, abs=1e-4)
    assert content["designs"]["fitted"] + content["designs"]["held_back"] == 120 == 40 * 3
    large = [one for one in lines() if one["network"][0]["nonzeros"] >= draw.JET_SIZE]
    assert content["designs"]["held_back_of_jet_size"] == -(-len(large) * 2 // 3)
    assert len({one.seed for one in held}) == content["designs"]["held_back"]
    exact = {"differing": 0, "low": 1.0, "high": 1.0}
    assert content["counted"] == {
        "dsp": {"designs": 120, **exact},
        "bram18": {"designs": 120, **exact},
        "latency_cycles": {"designs": 24, **exact},
        "interval_cycles": {"designs": 24, **exact},
    }


def test_two_of_five_designs_over_images_are_hold_out():
    over_images = [one | {"recipe": one["recipe"] | {"kind": "image"}} for one in lines()]
    content, held = fit.fit("rtl", over_images, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
    assert (content["designs"]["fitted"], content["designs"]["held_back"]) == (72, 48)
    assert {number for number, one in enumerate(over_images) if one["seed"] in {row.seed for row in held}} == {
        number for number in range(120) if number % 5 in (1, 3)
    }


def test_bops_alone_are_said_to_be_worth_little():
    band = fitted()[0]["lut_per_bop"]
    assert 0 < band["low"] < band["median"] < band["high"]
    one = lines()[0]
    alike = fit._per_bop([one])
    layer = one["network"][0]
    total = 16 * 8 * (layer["nonzeros"] / 128 * 16 + 4 + 4 + 4)
    assert alike["median"] == pytest.approx(one["measured"]["lut"] / total, abs=1e-4)


def test_noise_is_in_the_interval_and_in_the_published_error():
    content, held = fitted(noise=0.08)
    part = content["resources"]["lut"]
    assert 3 < part["held_back"]["all"]["mean_percent"] < 12
    for one in part["interval"]:
        assert one["low"] < 0.9 and one["high"] > 1.1
    assert sum(one.inside["lut"] for one in held) >= len(held) - 1
    quiet = fitted(noise=0.001)[0]["resources"]["lut"]["interval"]
    assert all(1.02 > one["high"] > 1 > one["low"] > 0.98 for one in quiet)


def test_an_interval_is_wider_than_what_was_seen_at_both_ends():
    """Also where all that was seen is on one side of the prediction, and hardly differs."""
    [one] = fit._intervals([(5025.0, 5000.0), (5030.0, 5000.0)] * 20)
    assert one["low"] < 0.999 and one["high"] > 1.015


def test_a_difference_in_what_must_be_exact_is_counted():
    changed = lines()
    changed[3]["measured"]["dsp"] = 4
    content, _ = fit.fit("rtl", changed, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
    assert content["counted"]["dsp"] == {"designs": 120, "differing": 1, "low": 1.0, "high": 1.4328}


def test_too_few_designs_are_no_calibration():
    with pytest.raises(QapError, match="too few"):
        fitted(count=40)


def test_failed_designs_are_counted_and_left_out():
    broken = [*lines(), {"seed": 500, "recipe": {"kind": "jet"}, "failed": "too large"}]
    content, _ = fit.fit("rtl", broken, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
    assert content["designs"]["failed"] == 1


def test_a_measured_part_of_no_node_is_an_error():
    changed = lines()
    changed[5]["parts"]["u_c"] = {"lut": 4, "ff": 4}
    with pytest.raises(QapError, match="design 5: nodes and measured parts differ: u_c"):
        fit.fit("rtl", changed, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
