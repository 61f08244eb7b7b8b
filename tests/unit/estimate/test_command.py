# SPDX-License-Identifier: Apache-2.0
"""Estimates that a backend makes, and those that none can make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qap2fpga import backends
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.estimate import draw, estimate
from qap2fpga.estimate.command import estimate_all
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.system.errors import QapError

PYNQ = boards.load("pynq-z2")


def test_what_finn_expects_needs_no_finn_and_says_what_does_not_fit():
    network = draw.network(draw.recipes(12, 7)[1])
    expected = backends.get("finn").expect(network, PYNQ, FinnOptions())
    assert expected.interval_cycles >= 1 and expected.total["lut"] == sum(
        node.estimate["lut"] for node in expected.nodes
    )
    tiny = estimate.estimate(network, "finn", replace(PYNQ, dsp=1), FinnOptions())
    assert tiny.refused and tiny.fits is None
    assert estimate.estimate(network, "finn", PYNQ, FinnOptions()).fits


def test_an_estimate_that_cannot_be_made_is_refused(tmp_path):
    model = tmp_path / "model.pt"
    model.write_bytes(b"")
    with pytest.raises(QapError, match="the finn backend has no option --strategy"):
        estimate_all(model, Widths(), None, None, "finn", [PYNQ], {"strategy": "latency"})
    with pytest.raises(QapError, match="unknown backend 'fin'"):
        estimate_all(model, Widths(), None, None, "fin", [PYNQ], {})
    with pytest.raises(QapError, match="does not exist"):
        estimate_all(tmp_path / "none.pt", Widths(), None, None, None, [PYNQ], {})
