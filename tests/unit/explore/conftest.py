# SPDX-License-Identifier: Apache-2.0
"""A trained study, an exploration's folder with estimates that need no process, and builds that are not run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.explore import builds, candidates, estimates
from qap2fpga.explore.choose import Point
from qap2fpga.explore.estimates import Line, Lowered
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.ir import storage
from qap2fpga.passes.compaction import compact
from qap2fpga.system.progress import Progress
from qap2fpga.system.workers import Workers
from tests.support.explorations import built
from tests.support.networks import qonnx_graph, random_model
from tests.unit.report.test_studies import step, write_run


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two runs of three checkpoints."""
    folder = tmp_path / "study"
    first = step(0, 0.76, 5000.0)
    first["metrics"]["test"]["mean_auc"] = 0.91
    write_run(folder, "a", first, step(1, 0.75, 3000.0))
    write_run(folder, "b", step(0, 0.74, 2000.0))
    runs = [{"name": name, "folder": f"runs/{name}", "status": "finished"} for name in ("a", "b")]
    (folder / "study.json").write_text(json.dumps({"schema": 1, "runs": runs}))
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Work is done in this process, and lowering is but noted; what was lowered and estimated, by name."""
    done: dict[str, list[str]] = {"lowered": [], "estimated": []}

    def each(_: Workers, work: Callable[[Any], Any], items: list[Any], ended: Callable[[Any, Any], None]) -> None:
        for item in items:
            ended(item, work(item))

    def lowered(job: tuple[Path, Path]) -> dict[str, Any]:
        path, place = job
        done["lowered"].append(path.stem)
        if path.stem == "constant":
            return Lowered(refused="nothing is left")
        network = compact(lower(read(qonnx_graph(random_model(3, (4, 5, 3), rows=8)))))
        storage.save(network, place)
        return Lowered(model={"bops_paper": 7.0})

    def estimate(job: tuple[candidates.Candidate, Path]) -> Line:
        done["estimated"].append(job[0].name)
        if job[0].name == "bug":
            job = (replace(job[0], target=replace(job[0].target, options=None)), job[1])
        return ESTIMATE(job)

    monkeypatch.setattr(Workers, "each", each)
    monkeypatch.setattr(estimates, "_lower", lowered)
    monkeypatch.setattr(estimates, "_estimate", estimate)
    return done


ESTIMATE = estimates._estimate


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], dict[str, int | str]]:
    """(waves of builds, by name the LUTs that a build measures, or why it fails)."""
    waves: list[list[str]] = []
    outcomes: dict[str, int | str] = {}

    def build_some(some: list[Point], processes: int, progress: Progress) -> list[tuple[Point, str]]:
        waves.append([one.candidate.name for one in some])
        for one in some:
            lut = outcomes.get(one.candidate.name, 100)
            if isinstance(lut, int):
                built(tmp_path, one.candidate.name, lut=lut)
        return [(one, str(outcomes.get(one.candidate.name, 1)) * isinstance(outcomes.get(one.candidate.name), str))
                for one in some]  # fmt: skip

    monkeypatch.setattr(builds, "_build_some", build_some)
    return waves, outcomes
