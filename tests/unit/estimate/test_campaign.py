# SPDX-License-Identifier: Apache-2.0
"""A calibration campaign resumes; what fails is a line."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from qap2fpga.estimate import calibration, campaign, draw
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import read_json_lines
from qap2fpga.system.workers import Workers


def test_a_campaign_resumes_after_what_is_there(tmp_path, monkeypatch):
    """A line that a kill cut off is measured again, a finished one is not."""
    chosen = draw.recipes(4, 1)
    results = tmp_path / "designs.jsonl"
    there = [{"seed": one.seed, "failed": "was there", "recipe": asdict(one)} for one in chosen]
    results.write_text(json.dumps(there[0]) + "\n" + json.dumps(there[1]) + "\n" + json.dumps(there[2])[:40])
    requests = []

    def each(workers, work, jobs, ended):
        requests.extend(jobs)
        for job in jobs[:-1]:
            ended(job, {"seed": job[1].seed, "failed": "new", "recipe": asdict(job[1])})
        ended(jobs[-1], None)

    monkeypatch.setattr(Workers, "each", each)
    result = campaign.run("rtl", chosen, results, Workers(1), lambda text: None)
    assert [recipe.seed for _, recipe, _ in requests] == [chosen[2].seed, chosen[3].seed]
    assert [one["failed"] for one in result] == ["was there", "was there", "new", "its process ended"]
    assert [one["seed"] for one in read_json_lines(results)] == [one.seed for one in chosen]


def test_a_design_of_another_draw_is_measured_again(tmp_path, monkeypatch):
    chosen = draw.recipes(1, 1)
    results = tmp_path / "designs.jsonl"
    results.write_text(json.dumps({"seed": chosen[0].seed, "failed": "old", "recipe": {"kind": "other"}}) + "\n")
    monkeypatch.setattr(Workers, "each", lambda workers, work, jobs, ended: [ended(job, None) for job in jobs])
    assert campaign.run("rtl", chosen, results, Workers(1), lambda text: None)[0]["failed"] == "its process ended"


@pytest.mark.parametrize("backend", ["rtl", "finn"])
def test_expectations_are_of_the_design_that_is_drawn(backend):
    """What a campaign measures and what is fitted to it are of one network, part by part."""
    recipe = draw.recipes(3, 1)[0]
    line = campaign._expect({"seed": recipe.seed, "backend": backend, "recipe": json.loads(json.dumps(asdict(recipe)))})
    assert line["network"] == calibration.layer_sizes(draw.network(recipe))
    assert all(set(node.features) == {"lut", "ff"} for node in line["nodes"])
    assert campaign._expect({"failed": "too large"}) == {}


def test_a_design_that_fails_is_a_line_and_a_bug_is_not(monkeypatch):
    recipe = draw.recipes(1, 1)[0]

    def refuse(*_: object) -> None:
        raise QapError("too large")

    def broken(*_: object) -> None:
        raise CheckFailed("not equal")

    monkeypatch.setattr(campaign, "_measured", refuse)
    assert campaign.measure("rtl", recipe, simulate=False)["failed"] == "too large"
    monkeypatch.setattr(campaign, "_measured", broken)
    with pytest.raises(CheckFailed, match="not equal"):
        campaign.measure("rtl", recipe, simulate=False)
