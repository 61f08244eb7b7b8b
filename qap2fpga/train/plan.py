# SPDX-License-Identifier: Apache-2.0
"""What a study is: its YAML file read, checked whole and expanded to named runs and searches; imports nothing heavy.

`docs/studies.md` has the file's layout. Names are readable and depend on nothing but the settings that vary, so that
a study which grows finds its finished runs again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import shown
from qap2fpga.train import config as configs
from qap2fpga.train.config import RunConfig
from qap2fpga.train.data import find

KEYS = ("base", "vary", "experiments", "folds", "searches")
EXPERIMENT_KEYS = ("name", "vary", "predict_luts")
SEARCH_KEYS = ("name", "set", "parameters", "objectives", "trials", "parallel", "seed")
# Data that is no file; see `qap2fpga.train.data`.
NAMED_SOURCES = ("openml", "simulated")
# What a search may look at, and whether less of it is better. All on validation data: the test set chooses nothing.
OBJECTIVES = {"validation_loss": True, "validation_accuracy": False, "predicted_luts": True, "bops": True}
LONGEST_NAME = 100
MOST_RUNS = 10_000
CURE = "docs/studies.md has the layout of a study"


@dataclass(frozen=True)
class Run:
    """One training of a study.

    `varied`: the values, by dotted path, that tell it from the base; no fold. `point`: the name without the fold.
    `predict_luts`: whether its record is to have the LUTs of every step.
    """

    name: str
    point: str
    experiment: str
    varied: dict[str, Any]
    config: RunConfig
    predict_luts: bool = False


@dataclass(frozen=True)
class Parameter:
    """One number or choice that a search sets: `index` is the place in a list at the dotted `path`, or None.

    `low` and `high` are both whole or both real; `choices` stand instead of them.
    """

    path: str
    index: int | None
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """`model.widths.0`: the path, and the place in the list."""
        return self.path if self.index is None else f"{self.path}.{self.index}"

    @property
    def values(self) -> float:
        """How many values it can have."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self.high - self.low + 1
        return len(self.choices) or math.inf


@dataclass(frozen=True)
class Search:
    """One Bayesian optimization: `trials` trainings, `parallel` at a time, with `parameters` put into `base`."""

    name: str
    base: RunConfig
    parameters: tuple[Parameter, ...]
    objectives: tuple[str, ...]
    trials: int
    parallel: int
    seed: int

    @property
    def slug(self) -> str:
        """The name as part of a file's name."""
        return _slug(self.name)

    def config(self, values: dict[str, Any]) -> RunConfig:
        """The configuration of the trial with these values of the parameters. Raises `QapError` if it is refused."""
        lists: dict[str, dict[int, Any]] = {}
        settings: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.index is None:
                settings[parameter.path] = values[parameter.name]
            else:
                lists.setdefault(parameter.path, {})[parameter.index] = values[parameter.name]
        settings |= {path: [places[index] for index in sorted(places)] for path, places in lists.items()}
        return _changed(self.base, settings, f"search '{self.name}'")


@dataclass(frozen=True)
class Study:
    """A checked study; `tree` is the content of its file."""

    tree: dict[str, Any]
    runs: tuple[Run, ...]
    searches: tuple[Search, ...]

    def only(self, name: str | None) -> Study:
        """The part with this name of an experiment or search; all of it for None."""
        if name is None:
            return self
        known = {run.experiment for run in self.runs} | {search.name for search in self.searches}
        if name not in known:
            raise QapError(f"the study has no experiment or search '{name}'", nearest(name, known))
        runs = tuple(run for run in self.runs if run.experiment == name)
        return replace(self, runs=runs, searches=tuple(one for one in self.searches if one.name == name))


def load(path: Path) -> Study:
    """Read, check and expand a study file. Raises `QapError` for the first thing that is wrong in it."""
    return from_dict(configs.read_yaml(path), str(path))


def from_dict(tree: dict[str, Any], where: str = "the study") -> Study:
    """The study of plain values; every run's configuration is checked, and that its data is there."""
    _check_keys(tree, KEYS, where)
    if not isinstance(tree.get("base"), dict):
        raise QapError(f"{where}: 'base' is missing", f"give the settings that all runs share; {CURE}")
    base = configs.from_dict(tree["base"], f"{where}: base")
    folds = _whole(tree.get("folds", 1), f"{where}: folds", least=1)
    experiments = [*_listed(tree, "experiments", where)]
    if "vary" in tree:
        experiments.insert(0, {"name": "grid", "vary": tree["vary"]})
    runs = tuple(run for one in experiments for run in _runs(one, base, folds, where))
    searches = tuple(_search(one, base, where) for one in _listed(tree, "searches", where))
    if not runs and not searches:
        raise QapError(f"{where}: there is nothing to do", f"give 'vary', 'experiments' or 'searches'; {CURE}")
    _check_names(experiments, searches, where)
    _check_duplicates(runs, where)
    for config in (*(run.config for run in runs), *(search.base for search in searches)):
        _check_data(config, where)
    return Study(tree, runs, searches)


def _runs(experiment: dict[str, Any], base: RunConfig, folds: int, where: str) -> Iterator[Run]:
    """Every combination of the varied values, and of each every fold."""
    _check_keys(experiment, EXPERIMENT_KEYS, f"{where}: an experiment")
    name = _name(experiment, f"{where}: an experiment")
    place = f"{where}: experiment '{name}'"
    vary = experiment.get("vary", {})
    if not isinstance(vary, dict):
        raise QapError(f"{place}: vary = {shown(vary)}", "give settings, each with a list of values")
    for path, values in vary.items():
        if not isinstance(values, list) or not values:
            raise QapError(f"{place}: {path} = {shown(values)}", f"give a list of values: {path}: [...]")
    luts = experiment.get("predict_luts", False)
    if not isinstance(luts, bool):
        raise QapError(f"{place}: predict_luts = {shown(luts)}", "give true or false")
    count = folds * math.prod(len(values) for values in vary.values())
    if count > MOST_RUNS:
        raise QapError(f"{place} has {count:,} runs", f"vary less: {MOST_RUNS:,} runs at most")
    for values in itertools.product(*vary.values()):
        varied = dict(zip(vary, values, strict=True))
        point = _changed(base, varied, place)
        called = _joined([_slug(name), *(_token(path, value) for path, value in varied.items())])
        if folds == 1:
            yield Run(called, called, name, varied, point, luts and not point.model.is_float)
            continue
        for fold in range(1, folds + 1):
            config = _changed(point, {"fold": [fold, folds]}, place)
            yield Run(f"{called}-fold{fold}", called, name, varied, config, luts and not config.model.is_float)


def _search(tree: dict[str, Any], base: RunConfig, where: str) -> Search:
    _check_keys(tree, SEARCH_KEYS, f"{where}: a search")
    name = _name(tree, f"{where}: a search")
    place = f"{where}: search '{name}'"
    settings, parameters = tree.get("set", {}), tree.get("parameters")
    if not isinstance(settings, dict):
        raise QapError(f"{place}: set = {shown(settings)}", "give settings with their values")
    if not isinstance(parameters, dict) or not parameters:
        raise QapError(f"{place}: parameters = {shown(parameters)}", f"give settings with the ranges to search; {CURE}")
    objectives = tree.get("objectives", ["validation_loss"])
    if not isinstance(objectives, list) or not objectives or len(set(map(str, objectives))) != len(objectives):
        raise QapError(f"{place}: objectives = {shown(objectives)}", f"give a list of: {', '.join(OBJECTIVES)}")
    for objective in objectives:
        if not isinstance(objective, str) or objective not in OBJECTIVES:
            raise QapError(f"{place}: there is no objective {shown(objective)}", nearest(str(objective), OBJECTIVES))
    found = Search(
        name,
        _changed(base, settings, place),
        tuple(one for path, ranges in parameters.items() for one in _parameters(path, ranges, place)),
        tuple(objectives),
        _whole(tree.get("trials", 20), f"{place}: trials", least=1),
        _whole(tree.get("parallel", 3), f"{place}: parallel", least=1),
        _whole(tree.get("seed", 1), f"{place}: seed", least=0),
    )
    if "predicted_luts" in objectives and found.base.model.is_float:
        raise QapError(f"{place}: a float network has no LUTs to predict", "set model.bits to 16 or fewer")
    # The corners of the space are refused now, not after hours.
    for end in (0, -1):
        found.config({one.name: _ends(one)[end] for one in found.parameters})
    return found


def _parameters(path: str, ranges: Any, place: str) -> list[Parameter]:
    """`[8, 64]` is one range; `[[8, 64], [4, 32]]` one for each element of a list; `{choices: [...]}` a choice."""
    if isinstance(ranges, list) and ranges and all(isinstance(one, list | dict) for one in ranges):
        return [_parameter(path, index, one, place) for index, one in enumerate(ranges)]
    return [_parameter(path, None, ranges, place)]


def _parameter(path: str, index: int | None, ends: Any, place: str) -> Parameter:
    if isinstance(ends, dict) and list(ends) == ["choices"]:
        choices = ends["choices"]
        kinds = {type(choice) for choice in choices} if isinstance(choices, list) else set()
        if len(kinds) == 1 and kinds <= {int, float, str, bool} and len(set(choices)) == len(choices) >= 2:
            return Parameter(path, index, choices=tuple(choices))
    if isinstance(ends, list) and len(ends) == 2 and all(type(end) in (int, float) for end in ends):
        low, high = ends if all(type(end) is int for end in ends) else map(float, ends)
        if low < high:
            return Parameter(path, index, low, high)
    hint = "give [lowest, highest], a list of such pairs, or {choices: [two or more of one kind]}"
    raise QapError(f"{place}: {path} = {shown(ends)} is no range", hint)


def _ends(parameter: Parameter) -> tuple[Any, ...]:
    return parameter.choices or (parameter.low, parameter.high)


def _changed(config: RunConfig, settings: dict[str, Any], place: str) -> RunConfig:
    """The configuration with other settings, checked; an error says where in the study it comes from."""
    try:
        for path, value in settings.items():
            config = configs.replace(config, str(path), value)
        configs.check(config)
    except QapError as error:
        raise QapError(f"{place}: {error.message}", error.hint) from error
    return config


def _token(path: str, value: Any) -> str:
    """How a run's name tells a value: `6b`, `lottery_ticket`, `no_batch_norm`, `l1_0`, `widths_64x32x32`."""
    last = path.rsplit(".", 1)[-1]
    if isinstance(value, bool):
        return last if value else f"no_{last}"
    if isinstance(value, str):
        return _slug(value)
    text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
    return _slug(f"{text}b" if path == "model.bits" else f"{last}_{text}")


def _slug(text: str) -> str:
    """`text` as part of a file's name; '-' stands between the parts."""
    return re.sub(r"[^A-Za-z0-9.+]+", "_", text).strip("_.") or "_"


def _joined(parts: list[str]) -> str:
    name = "-".join(parts)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _check_keys(tree: Any, legal: tuple[str, ...], where: str) -> None:
    if not isinstance(tree, dict):
        raise QapError(f"{where} is {shown(tree)}", f"give keys and values: {', '.join(legal)}")
    for key in tree:
        if key not in legal:
            raise QapError(f"{where}: unknown key {shown(key)}", nearest(str(key), legal))


def _listed(tree: dict[str, Any], key: str, where: str) -> list[Any]:
    found = tree.get(key, [])
    if not isinstance(found, list):
        raise QapError(f"{where}: {key} = {shown(found)}", f"give a list; {CURE}")
    return found


def _name(tree: dict[str, Any], place: str) -> str:
    name = tree.get("name")
    if not isinstance(name, str) or not name.strip():
        raise QapError(f"{place} has the name {shown(name)}", "give each a name that tells what it is about")
    if len(name) > LONGEST_NAME:
        raise QapError(f"{place} has a name of {len(name)} characters", f"{LONGEST_NAME} are allowed")
    return name


def _whole(value: Any, place: str, least: int) -> int:
    if type(value) is not int or value < least:
        raise QapError(f"{place} = {shown(value)}", f"give a whole number of {least} or more")
    return value


def _check_names(experiments: list[dict[str, Any]], searches: tuple[Search, ...], where: str) -> None:
    """Experiments and searches share the names of folders and `--only`."""
    taken: dict[str, str] = {}
    for name in (*(one["name"] for one in experiments), *(one.name for one in searches)):
        if _slug(name) in taken:
            raise QapError(f"{where}: '{taken[_slug(name)]}' and '{name}' have one name", "choose another")
        taken[_slug(name)] = name


def _check_duplicates(runs: tuple[Run, ...], where: str) -> None:
    known: dict[str, Run] = {}
    for run in runs:
        key = json.dumps(configs.to_dict(run.config), sort_keys=True)
        if key in known:
            what = f"{where}: '{known[key].name}' and '{run.name}' are the same training"
            raise QapError(what, "take one of them out: figures find a run by its settings, not by its experiment")
        known[key] = run
    taken: dict[str, Run] = {}
    for run in runs:
        if run.name in taken:
            what = f"{where}: {taken[run.name].varied} and {run.varied} would both be called '{run.name}'"
            raise QapError(what, "give them to experiments of different names")
        taken[run.name] = run


def _check_data(config: RunConfig, where: str) -> None:
    try:
        find(config.data.source)
    except QapError as error:
        raise QapError(f"{where}: {error.message}", error.hint) from error
    if "shared_checkpoint" in config.paper_code:
        what = f"{where}: runs side by side that share a checkpoint would take each other's networks"
        raise QapError(what, "train with paper_code: [shared_checkpoint] alone: qap2fpga train")
