# SPDX-License-Identifier: Apache-2.0
"""Estimates resume, and one that fails costs no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.explore import estimates
from qap2fpga.explore.estimates import Lowered
from qap2fpga.frontend.checkpoint import writing
from qap2fpga.report import studies
from qap2fpga.system.files import read_json_lines
from qap2fpga.system.workers import Workers
from tests.conftest import ROOT
from tests.support.explorations import candidate
from tests.support.networks import random_model


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, here: dict[str, list[str]]) -> None:
    one, other = candidate("one"), candidate("other")
    chosen = [
        replace(one, name=f"one-{clock}", key=f"k{clock}", target=replace(one.target, options=RtlOptions(clock=clock)))
        for clock in (2, 5, 9)
    ]
    first = estimates.estimate_all([*chosen, other], tmp_path, Workers(2), lambda text: None)
    assert here == {"lowered": ["one", "other"], "estimated": ["one-2", "one-5", "one-9", "other"]}
    assert first.models["sha of one"] == {"bops_paper": 7.0}
    path = tmp_path / estimates.LINES
    path.write_bytes(path.read_bytes()[:-30])
    again = estimates.estimate_all([*chosen, other], tmp_path, Workers(2), lambda text: None)
    assert here["estimated"][4:] == ["other"] and here["lowered"][2:] == []
    assert again == first
    assert [line["name"] for line in read_json_lines(path)] == ["one-2", "one-5", "one-9", "other"]


def test_what_failed_is_a_line_and_does_not_stop_the_rest(tmp_path: Path, here: dict[str, list[str]]) -> None:
    chosen = [candidate("constant"), candidate("bug"), candidate("good")]
    result = estimates.estimate_all(chosen, tmp_path, Workers(1), lambda text: None).lines
    assert result["key of constant"].refused == "nothing is left"
    assert (result["key of bug"].failed or "").startswith("AttributeError")
    estimate = result["key of good"].estimate
    assert estimate is not None and estimate.predictions["lut"].value > 0
    # A refusal is final; what failed may have been the machine's fault.
    estimates.estimate_all(chosen, tmp_path, Workers(1), lambda text: None)
    assert here["estimated"] == ["bug", "good", "bug"] and here["lowered"] == ["constant", "bug", "good"]


def test_a_float_network_is_said_to_be_one(tmp_path: Path, here: dict[str, list[str]]) -> None:
    plain, baseline = candidate("plain"), candidate("baseline")
    summary = replace(baseline.network.summary, weight_bits="32")
    baseline = replace(baseline, network=replace(baseline.network, summary=summary))
    result = estimates.estimate_all([plain, baseline], tmp_path, Workers(1), lambda text: None)
    assert result.lines["key of baseline"].refused == "a float network: there is nothing to build"
    assert here["lowered"] == ["plain"] and list(result.models) == ["sha of plain"]


def test_a_network_that_ends_its_process_fails_alone(
    tmp_path: Path, here: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [candidate("killer"), candidate("good")]
    real = estimates._lower
    monkeypatch.setattr(estimates, "_lower", lambda job: None if job[0].stem == "killer" else real(job))
    result = estimates.estimate_all(chosen, tmp_path, Workers(1), lambda text: None).lines
    assert result["key of killer"].failed == estimates.DIED and result["key of good"].estimate is not None


def test_a_model_file_says_its_accuracy(tmp_path: Path) -> None:
    model = random_model(3, (4, 5, 3))
    plain, trained, silent = tmp_path / "plain.pt", tmp_path / "trained.pt", tmp_path / "silent.pt"
    writing.write(model, plain, model.labels, {})
    where = {"metrics": {"test_accuracy": 0.71}, "data": {"sha256": "abc", "test_rows": 3600}}
    writing.write(model, trained, model.labels, where)
    writing.write(model, silent, None, {"metrics": "good"})
    results = {
        path.stem: estimates._lower((path, tmp_path / f"{path.stem}.npz")).model or {}
        for path in (plain, trained, silent)
    }
    assert (results["trained"]["accuracy"], results["trained"]["accuracy_rows"]) == (0.71, 3600)
    assert results["plain"]["accuracy_rows"] == 64 and results["plain"]["bops_paper"]
    assert results["silent"] and "accuracy" not in results["silent"]
    assert estimates._lower((tmp_path / "none.pt", tmp_path / "none.npz")) == Lowered(
        refused=f"{tmp_path / 'none.pt'} does not exist"
    )


def test_what_a_training_found_is_read_from_a_graph_too() -> None:
    known = estimates._recorded_accuracy(ROOT / "examples" / "digits-cnn.pt")
    assert known["accuracy_from"] == studies.TEST_SET and known["accuracy_rows"] == 450
    assert 0.9 < known["accuracy"] < 1
