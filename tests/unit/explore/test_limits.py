# SPDX-License-Identifier: Apache-2.0
"""Limits: which are taken, and what certainly breaks one."""

from __future__ import annotations

import pytest

from qap2fpga.estimate.prediction import Interval
from qap2fpga.explore.choose import DROPPED, RANKED
from qap2fpga.explore.limits import Limits, broken, intervals
from qap2fpga.system.errors import QapError
from tests.support.explorations import NO_LIMITS, PYNQ, estimated, point


def test_limits_are_the_smaller_of_the_users_and_the_boards() -> None:
    most = Limits(max_lut=1e9, max_ff=50, max_latency_ns=100).most(PYNQ)
    assert most["lut"] == (PYNQ.lut, "pynq-z2") and most["ff"] == (50, "--max-ff")
    assert most["latency_ns"] == (100, "--max-latency-ns")
    assert "latency_ns" not in NO_LIMITS.most(PYNQ)


def test_the_worst_limit_comes_first_and_a_limit_itself_is_kept() -> None:
    limits = Limits(max_lut=100, max_dsp=0, max_latency_ns=50, min_accuracy=0.8)
    assert broken({"lut": 100.0, "dsp": 0, "latency_ns": 50}, 0.8, limits, PYNQ) == []
    assert broken({"lut": None}, None, limits, PYNQ) == []
    excesses = broken({"lut": 150.0, "dsp": 1, "latency_ns": 60}, 0.4, limits, PYNQ)
    assert [one.text for one in excesses] == [
        "1 DSP blocks (--max-dsp 0)", "accuracy 40.00 % (--min-accuracy 0.8)", "150 LUTs (--max-lut 100)",
        "60 ns of latency (--max-latency-ns 50)",
    ]  # fmt: skip
    assert [one.ratio for one in excesses[1:]] == [2.0, 1.5, 1.2]


@pytest.mark.parametrize("wrong", [{"max_lut": -1}, {"max_latency_ns": float("nan")}, {"min_accuracy": 70}])
def test_a_limit_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(QapError, match=f"--{name.replace('_', '-')}"):
        Limits(**wrong)


def test_what_is_not_calibrated_is_not_certain() -> None:
    estimate = estimated(1000, 12, calibrated=False).estimate
    assert estimate is not None
    result = intervals(estimate, 5.0)
    assert result["lut"] == Interval(1000, 500, 2000)
    assert result["latency_ns"] == Interval(60, 60, 60) and result["dsp"] == Interval(0, 0, 0)
    limits = Limits(max_lut=600)
    assert point("one", 1000, limits=limits, calibrated=False).status == RANKED
    assert point("one", 1300, limits=limits, calibrated=False).status == DROPPED
    assert point("one", 601, limits=limits).status == DROPPED
