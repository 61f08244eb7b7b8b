# SPDX-License-Identifier: Apache-2.0
"""Searches: what is tried next, what is remembered, and which trials are best."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga import backends
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.hw import boards
from qap2fpga.system.errors import QapError
from qap2fpga.system.quiet import quiet
from qap2fpga.train import plan, search
from qap2fpga.train.manifest import FAILED, FINISHED, RUNNING, WAITING
from qap2fpga.train.predict import predict_luts
from qap2fpga.train.runner import Job, Outcome, Work
from qap2fpga.train.search import Trial, Trials
from qap2fpga.train.space import Search
from qap2fpga.train.watch import Watch

TREE: dict[str, Any] = {
    "name": "widths",
    "set": {"pruning.schedule": "none"},
    "parameters": {"model.widths": [[8, 64], [4, 32]], "pruning.sparsity": [0.0, 0.9]},
    "trials": 7,
    "parallel": 2,
}


def spec(**changes: Any) -> Search:
    """`TREE` with changes."""
    study = {"base": {"data": {"source": "simulated"}, "model": {"widths": [8, 8]}}, "searches": [TREE | changes]}
    return plan.from_dict(study).searches[0]


def objective(config: dict[str, Any]) -> float:
    """A bowl with its lowest point at widths 40 and 10 and sparsity 0.5."""
    first, second = config["model"]["widths"]
    return ((first - 40) / 30) ** 2 + ((second - 10) / 15) ** 2 + (config["pruning"]["sparsity"] - 0.5) ** 2


class Here:
    """A runner that does no training: the oldest job ends first, with its objectives by formula."""

    def __init__(self, failing: tuple[str, ...] = (), stop_after: int | None = None) -> None:
        self.failing, self.stop_after = failing, stop_after
        self.jobs: list[Job] = []
        self.done: list[str] = []
        self.most = 0

    def submit(self, job: Job, work: Work) -> None:
        self.jobs.append(job)
        self.most = max(self.most, len(self.jobs))

    def outcomes(self) -> Iterator[Outcome]:
        while self.jobs:
            if len(self.done) == self.stop_after:
                raise KeyboardInterrupt
            job = self.jobs.pop(0)
            self.done.append(job.name)
            if job.name in self.failing:
                yield Outcome(job, error="it diverged")
                continue
            loss, luts = objective(job.config), float(sum(job.config["model"]["widths"]))
            values = {"validation_loss": loss, "validation_accuracy": 1 - loss, "predicted_luts": luts}
            wanted = self.objectives if hasattr(self, "objectives") else ("validation_loss",)
            found = {name: values[name] for name in wanted}
            yield Outcome(job, {"objectives": found, "checkpoint": "step-00.pt"})


def do(folder: Path, one: Search, runner: Here) -> dict[str, str]:
    return Trials(folder, (one,)).run(one, runner, Watch(quiet=True))  # type: ignore[arg-type]


def stored(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "search.json").read_text())["trials"]


of_one_search = pytest.mark.xdist_group("search")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of one objective, to its end."""
    folder = tmp_path_factory.mktemp("search")
    runner = Here()
    assert do(folder, spec(), runner) == {}
    assert (runner.most, len(runner.done)) == (2, 7)
    return folder


@pytest.mark.slow
@of_one_search
def test_trials_are_in_the_space_and_all_different(whole: Path) -> None:
    trials = stored(whole)
    assert [one["name"] for one in trials] == [f"widths-trial{number:02d}" for number in range(7)]
    points = {json.dumps(one["parameters"]) for one in trials}
    assert len(points) == 7
    for one in trials:
        first, second, sparsity = one["parameters"].values()
        assert (type(first), type(second), type(sparsity)) == (int, int, float)
        assert 8 <= first <= 64 and 4 <= second <= 32 and 0 <= sparsity <= 0.9
    assert list(trials[0]["parameters"].values()) == [36, 18, 0.45]  # the centre of the space
    assert {one["status"] for one in trials} == {FINISHED}
    assert trials[3]["folder"] == "runs/widths-trial03"
    assert trials[3]["checkpoint"] == "runs/widths-trial03/step-00.pt"


@pytest.mark.slow
@of_one_search
def test_the_best_trial_of_one_objective_is_the_pareto_set(whole: Path) -> None:
    content = json.loads((whole / "search.json").read_text())
    losses = {one["name"]: one["objectives"]["validation_loss"] for one in content["trials"]}
    (best,) = content["pareto"]
    assert best["name"] == min(losses, key=losses.__getitem__)
    assert best["checkpoint"] == f"runs/{best['name']}/step-00.pt"


@pytest.mark.slow
@of_one_search
def test_a_stopped_search_goes_on_as_it_would_have(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        do(tmp_path, spec(), Here(stop_after=5))
    assert {one["status"] for one in stored(tmp_path)} == {RUNNING, FINISHED}
    do(tmp_path, spec(), Here())
    assert stored(tmp_path) == stored(whole)


@pytest.mark.slow
@of_one_search
def test_a_finished_search_may_get_more_trials(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text((whole / "search.json").read_text())
    runner = Here()
    do(tmp_path, spec(trials=8), runner)
    assert runner.done == ["widths-trial07"]
    assert stored(tmp_path)[:7] == stored(whole)


@pytest.mark.slow
def test_failed_trials_are_noted_left_out_and_tried_again(tmp_path: Path) -> None:
    failing = ("widths-trial01", "widths-trial05")
    assert do(tmp_path, spec(trials=6), Here(failing)) == dict.fromkeys(failing, "it diverged")
    assert [one["status"] for one in stored(tmp_path)].count(FAILED) == 2
    runner = Here()
    assert do(tmp_path, spec(trials=6), runner) == {}
    assert runner.done == list(failing)


def test_a_search_that_only_fails_ends(tmp_path: Path) -> None:
    names = tuple(f"widths-trial{number:02d}" for number in range(7))
    assert len(do(tmp_path, spec(), Here(names))) == search.INITIAL


@pytest.mark.slow
def test_a_space_that_is_used_up_ends_the_search(tmp_path: Path) -> None:
    one = spec(parameters={"model.batch_norm": {"choices": [True, False]}, "model.input_bits": [7, 8]}, trials=6)
    do(tmp_path, one, Here())
    points = {tuple(trial["parameters"].values()) for trial in stored(tmp_path)}
    assert points == {(norm, bits) for norm in (True, False) for bits in (7, 8)}
    assert len(stored(tmp_path)) == 4


@pytest.mark.slow
def test_two_objectives_give_a_pareto_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with quiet():  # what is first to import BoTorch hears what torch says of it
        from botorch.acquisition.multi_objective import logei

    compiled: list[Any] = []
    monkeypatch.setattr(logei, "_load_attempted", False)
    monkeypatch.setattr("torch.utils.cpp_extension.load", lambda *given, **options: compiled.append(given))
    one = spec(objectives=["validation_accuracy", "predicted_luts"], trials=6)
    runner = Here()
    runner.objectives = one.objectives  # type: ignore[attr-defined]
    do(tmp_path, one, runner)
    assert not compiled, "a process that is killed while a compiler runs leaves a lock that others wait for"
    content = json.loads((tmp_path / "search.json").read_text())
    points = [tuple(trial["objectives"].values()) for trial in content["trials"]]
    best = {tuple(trial["objectives"].values()) for trial in content["pareto"]}
    for accuracy, luts in points:
        beaten = any(a >= accuracy and b <= luts and (a, b) != (accuracy, luts) for a, b in points)
        assert ((accuracy, luts) in best) == (not beaten)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_pareto(points: list[tuple[int, int]]) -> None:
    names = ["validation_accuracy", "bops"]
    trials = [
        Trial("s", str(number), {}, FINISHED, dict(zip(names, map(float, point), strict=True)))
        for number, point in enumerate(points)
    ]
    best = [points[int(trial.name)] for trial in search.pareto(trials, names)]
    assert best
    for accuracy, bops in best:
        assert not [1 for a, b in points if a > accuracy and b <= bops]
        assert not [1 for a, b in points if a >= accuracy and b < bops]
    for accuracy, bops in set(points) - set(best):
        assert [1 for a, b in best if a >= accuracy and b <= bops]


@pytest.mark.slow
@of_one_search
def test_another_search_of_the_same_name_is_refused(whole: Path, tmp_path: Path) -> None:
    text = (whole / "search.json").read_text()
    (tmp_path / "search.json").write_text(text)
    for changes in ({"seed": 2}, {"objectives": ["bops"]}, {"set": {"pruning.schedule": "fine_tuning"}}):
        with pytest.raises(QapError, match="a search 'widths' with other settings"):
            Trials(tmp_path, (spec(**changes),))
    (tmp_path / "search.json").write_text(text[:-20])
    with pytest.raises(QapError, match=r"search.json is no sound JSON: .*: line"):
        Trials(tmp_path, (spec(),))


@pytest.mark.slow
@of_one_search
def test_what_waits_or_runs_counts_for_the_next_suggestion(whole: Path) -> None:
    one, trials = spec(), [Trial(**{key: t[key] for key in Trial.__dataclass_fields__}) for t in stored(whole)[:6]]
    pending = [*trials[:5], replace(trials[5], status=WAITING, objectives=None)]
    suggested = search.suggest(one, pending)
    assert suggested == search.suggest(one, pending)
    assert suggested not in [trial.parameters for trial in pending]


@pytest.mark.slow
def test_predicted_luts_are_those_of_a_build(example: Path) -> None:
    network = prepare(Source(example, Widths()), lambda text: None).network
    expected = backends.get("rtl").expect(network, boards.load("vu13p"), RtlOptions(allow_oversize=True))
    assert predict_luts(example) == pytest.approx(expected.total["lut"], rel=0.2)
    assert expected.total["lut"] > 1000
