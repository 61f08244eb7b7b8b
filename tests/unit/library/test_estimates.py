# SPDX-License-Identifier: Apache-2.0
"""Estimates that a backend makes, those that none can make, and how a table of them looks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import qap2fpga
from qap2fpga import backends
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.estimate import draw
from qap2fpga.estimate.estimate import estimate
from qap2fpga.hw import boards
from qap2fpga.library.estimates import Estimates
from qap2fpga.system.errors import QapError
from tests.support.command import save

PYNQ = boards.load("pynq-z2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("estimates") / "net.pt")


def test_what_finn_expects_needs_no_finn_and_says_what_does_not_fit() -> None:
    network = draw.network(draw.recipes(12, 7)[1])
    expected = backends.get("finn").expect(network, PYNQ, FinnOptions())
    assert expected.interval_cycles is not None and expected.interval_cycles >= 1
    assert expected.total["lut"] == sum(node.estimate["lut"] or 0 for node in expected.nodes)
    tiny = estimate(network, "finn", replace(PYNQ, dsp=1), FinnOptions())
    assert tiny.refused and tiny.fits is None
    assert estimate(network, "finn", PYNQ, FinnOptions()).fits


def test_an_estimate_that_cannot_be_made_is_refused_before_the_model_is_read(tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(b"")
    with pytest.raises(QapError, match="the finn backend has no option --strategy") as caught:
        qap2fpga.estimate(model, PYNQ, "finn", strategy="latency")
    assert "--target-fps" in caught.value.hint
    with pytest.raises(QapError, match="no backend has an option --strategi"):
        qap2fpga.estimate(model, PYNQ, strategi="latency")
    with pytest.raises(QapError, match="unknown backend 'fin'"):
        qap2fpga.estimate(model, PYNQ, "fin")
    with pytest.raises(QapError, match="unknown board 'pynq-z3'"):
        qap2fpga.estimate(model, "pynq-z3")
    with pytest.raises(QapError, match="does not exist"):
        qap2fpga.estimate(tmp_path / "none.pt", PYNQ)


def test_a_table_has_a_row_per_backend_and_board(model: Path) -> None:
    network = qap2fpga.load(model, compare=False, quiet=True)
    estimates = qap2fpga.estimate(network, "pynq-z2")
    assert [one.backend for one in estimates] == list(backends.BACKENDS)
    assert len(estimates) == len(estimates.table) == 3
    assert estimates[0].board == PYNQ
    row = estimates.table[2]
    interval = estimates[2].predictions["lut"]
    assert (row["backend"], row["lut"], row["lut_low"]) == ("rtl", round(interval.value), math.ceil(interval.low))
    assert repr(estimates) == "<Estimates net.pt: 3 estimates, 2 fit their board, 1 not known>"
    assert "<td>pynq-z2</td>" in estimates._repr_html_()
    frame = estimates.to_pandas()
    assert list(frame["backend"]) == list(backends.BACKENDS)


def test_boards_may_be_several(model: Path) -> None:
    both = qap2fpga.estimate(model, ["pynq-z2", boards.load("zcu104")], "rtl")
    assert [one.board.name for one in both] == ["pynq-z2", "zcu104"]


def test_the_heading_counts_what_does_not_fit_and_what_was_refused(model: Path) -> None:
    (one,) = qap2fpga.estimate(model, "pynq-z2", "rtl")
    several = (one, replace(one, board=replace(PYNQ, lut=1)), replace(one, refused="a reason"))
    assert Estimates("net.pt", {}, several).heading == "net.pt: 3 estimates, 1 fits its board, 1 may not, 1 refused"
    assert Estimates("net.pt", {}, (one,)).heading == "net.pt: 1 estimate, 1 fits its board"


def test_a_file_is_estimated_as_the_network_in_it(model: Path) -> None:
    network = qap2fpga.load(model, compare=False, quiet=True)
    of_file, of_network = (qap2fpga.estimate(one, "pynq-z2", "rtl", clock=4.0) for one in (model, network))
    assert of_file.table == of_network.table
    assert list(of_file.layers) == ["fc1", "fc2", "fc3"]


def test_an_option_that_one_backend_knows_is_for_that_one(model: Path) -> None:
    fast, slow = (qap2fpga.estimate(model, "zcu104", clock=clock).table for clock in (1.5, 20.0))
    assert fast[0] == slow[0]
    assert fast[2]["latency_cycles"] > slow[2]["latency_cycles"]  # type: ignore[operator]
