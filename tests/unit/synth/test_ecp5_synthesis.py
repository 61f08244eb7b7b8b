# SPDX-License-Identifier: Apache-2.0
"""Cells of an ECP5 counted as LUTs, and no calibration for them."""

from __future__ import annotations

from qap2fpga import backends
from qap2fpga.estimate.estimate import estimate
from qap2fpga.hw.resources import Resources
from qap2fpga.synth.ecp5 import synthesis
from tests.support.ecp5 import ULX3S
from tests.unit.backends.test_rtl import network


def test_an_estimate_for_an_ecp5_is_not_calibrated() -> None:
    small = network(1)
    estimated = estimate(small, "rtl", ULX3S, backends.get("rtl").make_options())
    assert not estimated.calibrated and estimated.predictions["lut"].value > 0
    refused = estimate(small, "finn", ULX3S, backends.get("finn").make_options())
    assert "the finn backend makes no hardware for ulx3s" in refused.refused


def test_cells_are_counted_as_luts() -> None:
    cells = {"LUT4": 10, "CCU2C": 3, "PFUMX": 5, "L6MUX21": 1, "TRELLIS_FF": 7, "MULT18X18D": 2, "DP16KD": 1}
    assert synthesis.count(cells) == Resources(lut=16, ff=7, dsp=2, bram18=1, carry=3)
