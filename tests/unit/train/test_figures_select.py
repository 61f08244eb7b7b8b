# SPDX-License-Identifier: Apache-2.0
"""Runs that belong to one curve, and which are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.train.figures.select import (
    comparable,
    focus,
    group,
    regularization,
    regularized,
    setting_of,
    usual_scales,
    widths,
)
from tests.support.figures import made
from tests.support.studies import configure, folded


def test_repetitions_differ_in_fold_seed_and_device_only() -> None:
    base = configure()
    alike = [configure((2, 4)), configure(seed=5), configure(training__device="cpu")]
    assert {setting_of(one) for one in alike} == {setting_of(base)}
    others = [
        configure(bits=4),
        configure(model__weight_bits=4),
        configure(model__weight_bits=[6, 6, 6, 4]),
        configure(model__input_bits=6),
        configure(model__scales="power_of_two"),
        configure(model__widths=[64, 32, 16]),
        configure(training__l1=0.0),
        configure(training__learning_rate=0.01),
        configure(pruning__scope="layer"),
        configure(pruning__schedule="lottery_ticket"),
        configure(data__randomize=0.5),
        configure(paper_code=["late_mask"]),
    ]
    assert len({setting_of(one) for one in [base, *others]}) == len(others) + 1


def test_what_a_float_network_does_not_have_does_not_part_its_runs() -> None:
    same = [
        configure(bits=32),
        configure(bits=32, model__scales="power_of_two"),
        configure(bits=32, model__input_bits=4),
    ]
    assert len({setting_of(one) for one in same}) == 1
    assert setting_of(same[0]).bits == 32
    assert setting_of(configure(model__weight_bits=4)).bits is None


def test_curves_differ_in_what_the_figure_is_about_only(tmp_path: Path) -> None:
    odd = [configure(bits=4, training__learning_rate=0.01), configure(bits=12, model__input_bits=12)]
    result = made(tmp_path, [*odd, *folded(), *folded(bits=32), configure(model__weight_bits=3)])
    groups = comparable(group(result.runs))
    assert widths(groups) == [32, 6]
    assert all(len(runs) == 4 for runs in groups.values())


def test_the_usual_scales_and_regularization_are_those_of_most_runs(tmp_path: Path) -> None:
    configs = [*folded(model__scales="power_of_two"), configure(), *folded(bits=32), configure(training__l1=1e-3)]
    groups = group(made(tmp_path, configs).runs)
    assert {one.scales for one in usual_scales(groups)} == {"power_of_two", None}
    assert {one.l1 for one in regularized(groups)} == {1e-5}
    bare = [configure(model__batch_norm=False, training__l1=0.0)]
    (only,) = regularized(group(made(tmp_path / "bare", bare).runs))
    assert regularization(only) == "no L1, no batch norm"


def test_repetitions_are_in_the_order_of_folds(tmp_path: Path) -> None:
    configs = [configure((fold, 4), seed=seed) for fold in (3, 1, 2) for seed in (2, 1)]
    (runs,) = group(made(tmp_path, configs).runs).values()
    assert [(one.config.fold, one.config.seed) for one in runs] == [((f, 4), s) for f in (1, 2, 3) for s in (1, 2)]


@pytest.mark.parametrize(("bits", "chosen"), [([12, 6, 4], 6), ([12, 8, 4], 4), ([8, 3], 8), ([16], 16)])
def test_where_one_width_is_shown_it_is_six_or_the_next(bits: list[int], chosen: int) -> None:
    assert focus(bits) == chosen
