# SPDX-License-Identifier: Apache-2.0
"""What a search varies, as a study's file has it: a space of parameters, put into a configuration trial by trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import shown
from qap2fpga.train.settings import RunConfig
from qap2fpga.train.values import HINT, changed, check_keys, name_of, slug, whole

KEYS = ("name", "set", "parameters", "objectives", "trials", "parallel", "seed")
# What a search may look at, and whether less of it is better. All on validation data: the test set chooses nothing.
OBJECTIVES = {"validation_loss": True, "validation_accuracy": False, "predicted_luts": True, "bops": True}


# What a parameter can be.
Choice = int | float | str | bool


@dataclass(frozen=True)
class Parameter:
    """One number or choice that a search sets: `index` is the place in a list at the dotted `path`, or None.

    `low` and `high` are both whole or both real; `choices` stand instead of them.
    """

    path: str
    index: int | None
    low: float | None = None
    high: float | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        """`model.widths.0`: the path, and the place in the list."""
        return self.path if self.index is None else f"{self.path}.{self.index}"

    @property
    def ends(self) -> tuple[Choice, ...]:
        """The lowest and the highest number, or all choices."""
        if self.low is None or self.high is None:
            return self.choices
        return self.low, self.high

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
        return slug(self.name)

    def config(self, values: Mapping[str, Choice]) -> RunConfig:
        """Return the configuration of a trial with these values of parameters. Raises `QapError` if it is refused."""
        lists: dict[str, dict[int, Choice]] = {}
        settings: dict[str, object] = {}
        for parameter in self.parameters:
            if parameter.index is None:
                settings[parameter.path] = values[parameter.name]
            else:
                lists.setdefault(parameter.path, {})[parameter.index] = values[parameter.name]
        settings |= {path: [places[index] for index in sorted(places)] for path, places in lists.items()}
        return changed(self.base, settings, f"search '{self.name}'")


def read(entry: object, base: RunConfig, where: str) -> Search:
    """Return the search that `entry` describes. Raises `QapError` also where an end of its space is refused."""
    tree = check_keys(entry, KEYS, f"{where}: a search")
    name = name_of(tree, f"{where}: a search")
    place = f"{where}: search '{name}'"
    settings, parameters = tree.get("set", {}), tree.get("parameters")
    if not isinstance(settings, dict):
        raise QapError(f"{place}: set = {shown(settings)}", "give settings with their values")
    if not isinstance(parameters, dict) or not parameters:
        raise QapError(f"{place}: parameters = {shown(parameters)}", f"give settings with the ranges to search; {HINT}")
    objectives = tree.get("objectives", ["validation_loss"])
    if not isinstance(objectives, list) or not objectives or len(set(map(str, objectives))) != len(objectives):
        raise QapError(f"{place}: objectives = {shown(objectives)}", f"give a list of: {', '.join(OBJECTIVES)}")
    for objective in objectives:
        if not isinstance(objective, str) or objective not in OBJECTIVES:
            raise QapError(f"{place}: there is no objective {shown(objective)}", nearest(str(objective), OBJECTIVES))
    search = Search(
        name,
        changed(base, settings, place),
        tuple(one for path, ranges in parameters.items() for one in _parameters(path, ranges, place)),
        tuple(objectives),
        whole(tree.get("trials", 20), f"{place}: trials", least=1),
        whole(tree.get("parallel", 3), f"{place}: parallel", least=1),
        whole(tree.get("seed", 1), f"{place}: seed", least=0),
    )
    if "predicted_luts" in objectives and search.base.model.is_float:
        raise QapError(f"{place}: a float network has no LUTs to predict", "set model.bits to 16 or fewer")
    # The corners of the space are refused now, not after hours.
    for end in (0, -1):
        search.config({one.name: one.ends[end] for one in search.parameters})
    return search


def _parameters(path: str, ranges: object, place: str) -> list[Parameter]:
    """`[8, 64]` is one range; `[[8, 64], [4, 32]]` one for each element of a list; `{choices: [...]}` a choice."""
    if isinstance(ranges, list) and ranges and all(isinstance(one, list | dict) for one in ranges):
        return [_parameter(path, index, one, place) for index, one in enumerate(ranges)]
    return [_parameter(path, None, ranges, place)]


def _parameter(path: str, index: int | None, ends: object, place: str) -> Parameter:
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
