# SPDX-License-Identifier: Apache-2.0
"""Which runs make a curve: runs are told apart by the values of their configurations, never by their names.

Runs whose configurations differ only in fold and seed are repetitions of one `Setting`. A figure varies some
fields of the setting and wants the others equal, so that nothing but what it is about differs between its curves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qap2fpga.train import config as configuration
from qap2fpga.train.figures.records import Run
from qap2fpga.train.settings import FLOAT_BITS, RunConfig

FINE_TUNING = "fine_tuning"
SCHEDULES = {
    FINE_TUNING: "fine-tuning",
    "lottery_ticket": "lottery ticket",
    "learning_rate_rewinding": "learning-rate rewinding",
}
# The width at which the paper shows what does not depend on the width.
FOCUS_BITS = 6


@dataclass(frozen=True)
class Setting:
    """A configuration without fold and seed, parted into what figures vary and the rest.

    `bits` is None where weights and activations, or layers, differ. `scales` and `detail` (input and bias bits) are
    None for a float network, which has none. `rest` is all that is left, as JSON.
    """

    bits: int | None
    schedule: str
    batch_norm: bool
    l1: float
    randomize: float
    quantization: str
    scales: str | None
    detail: tuple[int | None, int | None] | None
    rest: str


Groups = dict[Setting, list[Run]]


def setting_of(config: RunConfig) -> Setting:
    """Return the `Setting` of a run."""
    model = config.model
    widths = {*model.layer_weight_bits, *model.layer_activation_bits}
    rest: dict[str, Any] = configuration.to_dict(config)
    del rest["fold"], rest["seed"], rest["data"]["randomize"]
    for name in ("l1", "quantization", "device"):
        del rest["training"][name]
    del rest["pruning"]["schedule"]
    rest["model"] = {"widths": rest["model"]["widths"]}
    if model.is_float:
        bits: int | None = FLOAT_BITS
    else:
        bits = widths.pop() if len(widths) == 1 else None
        if bits is None:
            rest["model"]["bits"] = [model.layer_weight_bits, model.layer_activation_bits]
    return Setting(
        bits=bits,
        schedule=config.pruning.schedule,
        batch_norm=model.batch_norm,
        l1=config.training.l1,
        randomize=config.data.randomize,
        quantization="aware" if model.is_float else config.training.quantization,
        scales=None if model.is_float else model.scales,
        detail=None if model.is_float else (model.input_bits, model.bias_bits),
        rest=json.dumps(rest, sort_keys=True),
    )


def group(runs: Iterable[Run]) -> Groups:
    """Runs by setting; repetitions in the order of fold and seed."""
    groups: Groups = {}
    for run in runs:
        groups.setdefault(setting_of(run.config), []).append(run)
    for repetitions in groups.values():
        repetitions.sort(key=lambda run: (run.config.fold or (0, 0), run.config.seed, run.name))
    return groups


def where(groups: Groups, accept: Callable[[Setting], bool]) -> Groups:
    """Return the groups whose setting is accepted."""
    return {setting: runs for setting, runs in groups.items() if accept(setting)}


def having(groups: Groups, **values: object) -> Groups:
    """Return the groups whose setting has these values in the fields of these names."""
    return where(groups, lambda one: all(getattr(one, name) == value for name, value in values.items()))


def with_usual(groups: Groups, read: Callable[[Setting], Hashable]) -> Groups:
    """Return the groups with the value that most runs have, the earlier one of equals; None is no value, and stays."""
    counts: Counter[Hashable] = Counter()
    for setting, runs in groups.items():
        if read(setting) is not None:
            counts[read(setting)] += len(runs)
    usual = counts.most_common(1)[0][0] if counts else None
    return where(groups, lambda one: read(one) in (usual, None))


def comparable(groups: Groups) -> Groups:
    """Networks of one width each, alike in all that no figure is about."""
    kept = where(groups, lambda one: one.bits is not None)
    return with_usual(with_usual(kept, lambda one: one.rest), lambda one: one.detail)


def pruned_aware(groups: Groups) -> Groups:
    """Networks that were trained quantized, or as floats, and pruned."""
    return where(groups, lambda one: one.quantization == "aware" and one.schedule in SCHEDULES)


def usual_scales(groups: Groups) -> Groups:
    """With the kind of scales that most runs have; float networks stay."""
    return with_usual(groups, lambda one: one.scales)


def pruned_alike(runs: Iterable[Run]) -> Groups:
    """Return the comparable groups of `runs` that were pruned as they were trained, with the usual kind of scales."""
    return usual_scales(pruned_aware(comparable(group(runs))))


def usual_l1(groups: Groups) -> Groups:
    """Without L1, or with the strength of it that most runs have."""
    return with_usual(groups, lambda one: one.l1 or None)


def regularized(groups: Groups) -> Groups:
    """With batch norm and L1; without the one that no run has."""
    groups = where(groups, lambda one: one.batch_norm) or groups
    return where(usual_l1(groups), lambda one: one.l1 > 0) or groups


def true_labels(groups: Groups) -> Groups:
    """Trained on labels that are not randomized."""
    return having(groups, randomize=0)


def one_schedule(groups: Groups) -> Groups:
    """Those pruned by fine-tuning; if there are none, by the schedule that most runs have."""
    return having(groups, schedule=FINE_TUNING) or with_usual(groups, lambda one: one.schedule)


def regularization(setting: Setting) -> str:
    """Return which of batch norm and L1 the network was trained with, or rather without."""
    missing = [name for name, there in (("L1", setting.l1 > 0), ("batch norm", setting.batch_norm)) if not there]
    return "no " + ", no ".join(missing) if missing else "L1 and batch norm"


def focus(bits: Sequence[int]) -> int:
    """Return the width to show where only one is shown: 6, else the one next to it."""
    return min(bits, key=lambda one: (abs(one - FOCUS_BITS), one))


def widths(groups: Groups) -> list[int]:
    """Return the bit widths of the groups, widest first."""
    return sorted({setting.bits for setting in groups if setting.bits is not None}, reverse=True)
