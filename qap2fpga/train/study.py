# SPDX-License-Identifier: Apache-2.0
"""A study: many trainings and searches of one file, done in parallel, resumable, and kept in one folder.

    STUDY/study.json       what the study is and how far each run got, written in one step at every change
    STUDY/runs/NAME/       one run each, see `qap2fpga.train.run`; trials of a search are runs too
    STUDY/search.json      the trials of all searches, see `qap2fpga.train.search`

A run is finished when its own record says so; a study that is called again does what is not, and tries again what
failed. A study may grow: its file may get further runs, but a run's settings may not change under its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qap2fpga.system.errors import QapError
from qap2fpga.system.locks import locked
from qap2fpga.train import plan
from qap2fpga.train.manifest import FAILED, FINISHED, WAITING, Manifest, read_record, run_folder, settings
from qap2fpga.train.predict import train_and_predict
from qap2fpga.train.runner import Job, Runner, Work, open_runner, train_run
from qap2fpga.train.watch import Watch

EXTRA = "pip install 'qap2fpga[train]'"


class RunsFailed(QapError):
    """Some runs of a study ended with an error; all others are done."""

    exit_code = 1


@dataclass(frozen=True)
class Result:
    """What a study left: its folder, what was asked for, and by name the messages of what failed."""

    folder: Path
    study: plan.Study
    failures: dict[str, str]

    def check(self) -> None:
        """Raise `RunsFailed` if something failed."""
        if self.failures:
            count = len(self.study.runs) + sum(one.trials for one in self.study.searches)
            lines = "\n".join(f"  {name}: {message}" for name, message in self.failures.items())
            what = f"{len(self.failures)} of {count} runs failed, the others are done:\n{lines}"
            raise RunsFailed(what, "a further call tries them again")


def study(
    path: Path,
    output: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    only: str | None = None,
    quiet: bool = False,
) -> Result:
    """Do all runs and searches of the study file `path` in the folder `output`.

    `only`: the name of one experiment or search. Raises `QapError`, before any work, for a mistake in the file and
    for a package or a cluster that is missing.
    """
    whole = plan.load(path)
    chosen = whole.only(only)
    _require(chosen)
    with locked(output):
        manifest = Manifest(output, whole)
        try:
            with Watch(quiet=quiet) as watch:
                failures = _do_all(manifest, chosen, watch, scheduler, workers)
        finally:
            manifest.stopped()
    return Result(output, chosen, failures)


def do_runs(
    manifest: Manifest, runs: tuple[plan.Run, ...], runner: Runner, watch: Watch, work: Callable[[plan.Run], Work]
) -> dict[str, str]:
    """Do `runs`, side by side, by the `work` of each; the messages of those that failed, by name."""
    failures = {}
    for run in runs:
        manifest.set(run.name, WAITING)
        runner.submit(Job(run.name, settings(run.config), run_folder(manifest.folder, run.name)), work(run))
    for outcome in runner.outcomes():
        name = outcome.job.name
        manifest.set(name, FINISHED if outcome.error is None else FAILED, outcome.error)
        if outcome.error is not None:
            failures[name] = outcome.error
        watch.ended(name, outcome.error or _result(outcome.job.folder), failed=outcome.error is not None)
    return failures


def _do_all(
    manifest: Manifest, chosen: plan.Study, watch: Watch, scheduler: str | None, workers: int | None
) -> dict[str, str]:
    def heard(name: str, message: str) -> None:
        manifest.begun(name)
        watch.heard(name, message)

    watch.begin(len(chosen.runs) + sum(one.trials for one in chosen.searches))
    todo = tuple(run for run in chosen.runs if manifest.statuses[run.name].status != FINISHED)
    for run in chosen.runs:
        if run not in todo:
            watch.ended(run.name, "already there")
    if not todo and not chosen.searches:
        return {}
    with open_runner(manifest.folder / "study.json", heard, scheduler, workers) as runner:
        failures = do_runs(manifest, todo, runner, watch, _work)
        if chosen.searches:
            from qap2fpga.train.search import Trials

            trials = Trials(manifest.folder, manifest.study.searches)
            for search in chosen.searches:
                failures |= trials.run(search, runner, watch)
    return failures


def _work(run: plan.Run) -> Work:
    return train_and_predict if run.predict_luts else train_run


def _require(chosen: plan.Study) -> None:
    """What the study needs beyond the program's own packages."""
    needed = [("distributed", "dask"), *([("ax-platform", "Ax")] if chosen.searches else [])]
    for package, name in needed:
        try:
            version(package)
        except PackageNotFoundError as error:
            raise QapError(f"{name} is not installed, which this study needs", EXTRA) from error


def _result(folder: Path) -> str:
    record = read_record(folder)
    if record is None or not record["steps"]:
        return "done"
    last = record["steps"][-1]
    return f"accuracy {last['metrics']['test']['accuracy']:.4f}, {last['integer_sparsity']:.0%} zeros"
