# SPDX-License-Identifier: Apache-2.0
"""Bayesian optimization with Ax: which network to train next, given how the ones before did.

A search begins with the centre of its space and a scrambled Sobol sequence. From then on each trial is the one that
a Gaussian process over all trials, running ones included, finds best: by expected improvement for one objective, as
in Hawks et al. 2021, by the expected gain in dominated volume for several. `search.json` is all that is remembered:
a suggestion is a function of the trials in it and the seed, so a search that was stopped goes on as it would have.
(With several trials at a time, their order of ending, and so the suggestions, can differ from one machine to another.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np

from qap2fpga.report.pareto import front
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.quiet import quiet
from qap2fpga.system.reading import json_object
from qap2fpga.train.manifest import FAILED, FINISHED, RUNNING, WAITING, read_record, run_folder, settings
from qap2fpga.train.predict import train_and_predict
from qap2fpga.train.runner import Job, Runner, Say, train_run
from qap2fpga.train.space import OBJECTIVES, Choice, Parameter, Search
from qap2fpga.train.watch import Watch

if TYPE_CHECKING:
    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
    from ax.generation_strategy.generation_strategy import GenerationStrategy

SCHEMA = 1
# Trials before the first model of the space, as Ax has it for the paper's 20 trials of three widths.
INITIAL = 5


class Result(TypedDict):
    """What a trial came to: its `objectives` by name, and its last `checkpoint` in its folder."""

    objectives: dict[str, float]
    checkpoint: str


@dataclass(frozen=True)
class Trial:
    """One training of a search: its `parameters` by name, and its `objectives` by name when it is finished."""

    search: str
    name: str
    parameters: dict[str, Choice]
    status: str = WAITING
    objectives: dict[str, float] | None = None
    checkpoint: str | None = None
    message: str | None = None


class Trials:
    """`search.json`: the trials of all searches of a study, written anew at every change."""

    def __init__(self, folder: Path, searches: tuple[Search, ...]) -> None:
        """Goes on with what is in `folder`. Raises `QapError` if a search was another one then."""
        self.folder, self.path = folder, folder / "search.json"
        self.searches = {one.name: one for one in searches}
        self.described = {one.name: _describe(one) for one in searches}
        self.trials = self._read()

    def of(self, search: Search) -> list[Trial]:
        """Return the trials of one search, in the order in which they were thought of."""
        return [trial for trial in self.trials if trial.search == search.name]

    def run(self, search: Search, runner: Runner, watch: Watch) -> dict[str, str]:
        """Do all trials that are not finished; the messages of those that failed, by name."""
        work = partial(train_trial, objectives=search.objectives)
        waiting = []
        for trial in self.of(search):
            if trial.status == FINISHED:
                watch.ended(trial.name, "already there")
            else:
                waiting.append(self._put(replace(trial, status=WAITING, message=None)))
        if not self.of(search):
            waiting = [self._add(search, one) for one in initial(search)]

        def fill() -> None:
            while sum(trial.status == RUNNING for trial in self.of(search)) < search.parallel:
                trial = waiting.pop(0) if waiting else self._next(search)
                if trial is None:
                    return
                self._put(replace(trial, status=RUNNING))
                config = settings(search.config(trial.parameters))
                runner.submit(Job(trial.name, config, run_folder(self.folder, trial.name)), work)

        fill()
        for outcome in runner.outcomes():
            trial = next(one for one in self.trials if one.name == outcome.job.name)
            if outcome.error is None:
                result = cast(Result, outcome.result)
                checkpoint = f"runs/{trial.name}/{result['checkpoint']}"
                values = result["objectives"]
                self._put(replace(trial, status=FINISHED, objectives=values, checkpoint=checkpoint))
                watch.ended(trial.name, ", ".join(f"{name} {value:.5g}" for name, value in values.items()))
            else:
                self._put(replace(trial, status=FAILED, message=outcome.error))
                watch.ended(trial.name, outcome.error, failed=True)
            fill()
        if len(self.of(search)) < search.trials:
            watch.note(f"{search.name}: every point of its space was tried, or none could be trained")
        return {one.name: str(one.message) for one in self.of(search) if one.status == FAILED}

    def _next(self, search: Search) -> Trial | None:
        """One more trial; None when there are enough, nothing to learn from yet, or nothing new to try."""
        trials = self.of(search)
        if len(trials) >= min(search.trials, _points(search)) or not any(trial.status == FINISHED for trial in trials):
            return None
        parameters = suggest(search, trials)
        return None if parameters is None else self._add(search, parameters)

    def _add(self, search: Search, parameters: dict[str, Choice]) -> Trial:
        number = len(self.of(search))
        trial = Trial(search.name, f"{search.slug}-trial{number:02d}", parameters)
        self.trials.append(trial)
        self._write()
        return trial

    def _put(self, trial: Trial) -> Trial:
        place = next(index for index, one in enumerate(self.trials) if one.name == trial.name)
        self.trials[place] = trial
        self._write()
        return trial

    def _write(self) -> None:
        best = []
        for name, search in self.searches.items():
            finished = [one for one in self.trials if one.search == name and one.status == FINISHED]
            best += [asdict(one) for one in pareto(finished, search.objectives)]
        content = {
            "schema": SCHEMA,
            "searches": [{"name": name, **described} for name, described in self.described.items()],
            "trials": [{**asdict(one), "folder": f"runs/{one.name}"} for one in self.trials],
            "pareto": [{key: one[key] for key in ("search", "name", "objectives", "checkpoint")} for one in best],
        }
        write_atomically(self.path, json.dumps(content, indent=1))

    def _read(self) -> list[Trial]:
        if not self.path.exists():
            return []
        hint = "choose another folder with --output, or take search.json and its trials' folders away"
        try:
            content: dict[str, Any] = json_object(self.path, hint)
            described = {one.pop("name"): one for one in content["searches"]}
            trials = [Trial(**{key: one[key] for key in Trial.__dataclass_fields__}) for one in content["trials"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise QapError(f"{self.path} is not that of a search: {error}", hint) from error
        for name, before in described.items():
            if name in self.described and before != self.described[name]:
                raise QapError(f"{self.path} holds a search '{name}' with other settings", hint)
        return [trial for trial in trials if trial.search in self.described]


def train_trial(config: dict[str, object], folder: Path, say: Say, objectives: tuple[str, ...]) -> Result:
    """Train on a worker, and return how good the network of the last step is. Raises `QapError` if it is no number."""
    with_luts = "predicted_luts" in objectives
    (train_and_predict if with_luts else train_run)(config, folder, say)
    record = read_record(folder)
    assert record is not None
    last = record["steps"][-1]
    validation = last["metrics"]["validation"]
    values = {
        "validation_loss": validation["loss"],
        "validation_accuracy": validation["accuracy"],
        "bops": last["bops"]["paper"],
    }
    if with_luts:
        estimate = last["estimate"]
        if estimate["lut"] is None:
            raise QapError(f"no LUTs can be predicted: {estimate['message']}", "narrow the space of the search")
        values["predicted_luts"] = estimate["lut"]
    chosen = {name: float(values[name]) for name in objectives}
    for name, value in chosen.items():
        if not math.isfinite(value):
            raise QapError(f"{name} is {value}", "the training diverged: lower the learning rate")
    return {"objectives": chosen, "checkpoint": last["checkpoint"]}


def initial(search: Search) -> list[dict[str, Choice]]:
    """Return the first points: the centre of the space, then a scrambled Sobol sequence of the search's seed."""
    count = int(min(search.trials, max(INITIAL, search.parallel), _points(search)))
    with quiet():
        client = _client(search)
        client.configure_generation_strategy(
            method="random_search", initialization_random_seed=search.seed, initialize_with_center=True
        )
        return _plain(client.get_next_trials(count))


def suggest(search: Search, trials: list[Trial]) -> dict[str, Choice] | None:
    """Return the point to try next, given `trials`, one of them finished at least; None if every point was tried."""
    with quiet():
        from ax.exceptions.core import SearchSpaceExhausted
        from ax.exceptions.generation_strategy import GenerationStrategyRepeatedPoints

        client = _client(search)
        client.set_generation_strategy(_strategy(search))
        for trial in trials:
            number = client.attach_trial(trial.parameters)
            if trial.status == FINISHED:
                client.complete_trial(number, trial.objectives)
            elif trial.status == FAILED:
                client.mark_trial_failed(number)
        try:
            points = _plain(client.get_next_trials(1))
        except (SearchSpaceExhausted, GenerationStrategyRepeatedPoints):
            return None
    return points[0] if points else None


def pareto(trials: list[Trial], objectives: Sequence[str]) -> list[Trial]:
    """Return the finished `trials` than which no other is better in one objective and as good in all others."""

    def costs(trial: Trial) -> tuple[float, ...]:
        assert trial.objectives is not None
        return tuple(trial.objectives[name] * (1 if OBJECTIVES[name] else -1) for name in objectives)

    return [trials[index] for index in front([costs(trial) for trial in trials])]


def _points(search: Search) -> float:
    """How many points the space has."""
    return math.prod(one.values for one in search.parameters)


def _client(search: Search) -> Client:
    """Ax's client with the space and the objectives of `search`."""
    from ax.api.client import Client

    client = Client(random_seed=search.seed)
    client.configure_experiment(parameters=[_ax_parameter(one) for one in search.parameters])
    client.configure_optimization(
        objective=", ".join(f"-{name}" if OBJECTIVES[name] else name for name in search.objectives)
    )
    return client


def _strategy(search: Search) -> GenerationStrategy:
    """A Gaussian process from the first suggestion on: the initial points are there already."""
    from ax.api.utils.generation_strategy_dispatch import choose_generation_strategy
    from ax.api.utils.structs import GenerationStrategyDispatchStruct
    from botorch.acquisition.logei import qLogExpectedImprovement
    from botorch.acquisition.multi_objective import logei

    # Else BoTorch has a compiler make a part of itself for this very processor: its last digits differ from another's,
    # and where a process was killed at that, its lock stays, and every later one waits for it for ever.
    logei._load_attempted = True
    struct = GenerationStrategyDispatchStruct(method="fast", initialization_budget=0, initialize_with_center=False)
    # For several objectives Ax takes expected hypervolume improvement by itself.
    one = len(search.objectives) == 1
    return choose_generation_strategy(struct, botorch_acqf_class=qLogExpectedImprovement if one else None)


def _ax_parameter(parameter: Parameter) -> RangeParameterConfig | ChoiceParameterConfig:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    if parameter.choices:
        kind = type(parameter.choices[0]).__name__
        ordered = kind in ("int", "float")
        return ChoiceParameterConfig(parameter.name, list(parameter.choices), kind, is_ordered=ordered)
    assert parameter.low is not None and parameter.high is not None
    kind = "int" if isinstance(parameter.low, int) else "float"
    return RangeParameterConfig(parameter.name, (parameter.low, parameter.high), kind)


def _plain(trials: Mapping[int, Mapping[str, Choice | np.generic]]) -> list[dict[str, Choice]]:
    """Parameters as JSON has them; numpy's numbers are Python's."""
    return [{name: value.item() if isinstance(value, np.generic) else value for name, value in one.items()}
            for _, one in sorted(trials.items())]  # fmt: skip


def _describe(search: Search) -> dict[str, object]:
    """What may not change between two calls; more trials, and more at a time, are no other search."""
    parameters = {one.name: list(one.ends) for one in search.parameters}
    return {
        "objectives": list(search.objectives),
        "parameters": parameters,
        "seed": search.seed,
        "base": settings(search.base),
    }
