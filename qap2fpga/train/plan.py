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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import shown
from qap2fpga.train import config as configs
from qap2fpga.train import space
from qap2fpga.train.data import find
from qap2fpga.train.settings import RunConfig
from qap2fpga.train.space import Search
from qap2fpga.train.values import HINT, LONGEST_NAME, changed, check_keys, listed, name_of, slug, whole

KEYS = ("base", "vary", "experiments", "folds", "searches")
EXPERIMENT_KEYS = ("name", "vary", "predict_luts")
# Data that is no file; see `qap2fpga.train.data`.
NAMED_SOURCES = ("openml", "simulated")
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Run:
    """One training of a study.

    `varied`: the values, by dotted path, that tell it from the base; no fold. `point`: the name without the fold.
    `predict_luts`: whether its record is to have the LUTs of every step.
    """

    name: str
    point: str
    experiment: str
    varied: dict[str, object]
    config: RunConfig
    predict_luts: bool = False


@dataclass(frozen=True)
class Study:
    """A checked study; `tree` is the content of its file."""

    tree: dict[str, object]
    runs: tuple[Run, ...]
    searches: tuple[Search, ...]

    def only(self, name: str | None) -> Study:
        """Return the part with this name of an experiment or search; all of it for None."""
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


def from_dict(tree: dict[str, object], where: str = "the study") -> Study:
    """Return the study of plain values; every run's configuration is checked, and that its data is there."""
    check_keys(tree, KEYS, where)
    settings = tree.get("base")
    if not isinstance(settings, dict):
        raise QapError(f"{where}: 'base' is missing", f"give the settings that all runs share; {HINT}")
    base = configs.from_dict(settings, f"{where}: base")
    folds = whole(tree.get("folds", 1), f"{where}: folds", least=1)
    place = f"{where}: an experiment"
    experiments = [check_keys(one, EXPERIMENT_KEYS, place) for one in listed(tree, "experiments", where)]
    if "vary" in tree:
        experiments.insert(0, {"name": "grid", "vary": tree["vary"]})
    runs = tuple(run for one in experiments for run in _runs(one, base, folds, where))
    searches = tuple(space.read(one, base, where) for one in listed(tree, "searches", where))
    if not runs and not searches:
        raise QapError(f"{where}: there is nothing to do", f"give 'vary', 'experiments' or 'searches'; {HINT}")
    _check_names(experiments, searches, where)
    _check_duplicates(runs, where)
    for config in (*(run.config for run in runs), *(search.base for search in searches)):
        _check_data(config, where)
    return Study(tree, runs, searches)


def _runs(experiment: dict[str, object], base: RunConfig, folds: int, where: str) -> Iterator[Run]:
    """Every combination of the varied values, and of each every fold."""
    name = name_of(experiment, f"{where}: an experiment")
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
        point = changed(base, varied, place)
        called = _joined([slug(name), *(_token(path, value) for path, value in varied.items())])
        if folds == 1:
            yield Run(called, called, name, varied, point, luts and not point.model.is_float)
            continue
        for fold in range(1, folds + 1):
            config = changed(point, {"fold": [fold, folds]}, place)
            yield Run(f"{called}-fold{fold}", called, name, varied, config, luts and not config.model.is_float)


def _token(path: str, value: object) -> str:
    """How a run's name tells a value: `6b`, `lottery_ticket`, `no_batch_norm`, `l1_0`, `widths_64x32x32`."""
    last = path.rsplit(".", 1)[-1]
    if isinstance(value, bool):
        return last if value else f"no_{last}"
    if isinstance(value, str):
        return slug(value)
    text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
    return slug(f"{text}b" if path == "model.bits" else f"{last}_{text}")


def _joined(parts: list[str]) -> str:
    name = "-".join(parts)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _check_names(experiments: list[dict[str, object]], searches: tuple[Search, ...], where: str) -> None:
    """Experiments and searches share the names of folders and `--only`."""
    taken: dict[str, str] = {}
    for name in (*(str(one["name"]) for one in experiments), *(one.name for one in searches)):
        if slug(name) in taken:
            raise QapError(f"{where}: '{taken[slug(name)]}' and '{name}' have one name", "choose another")
        taken[slug(name)] = name


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
