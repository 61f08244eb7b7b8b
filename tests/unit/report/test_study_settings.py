# SPDX-License-Identifier: Apache-2.0
"""Which runs repeat one setting, what it is called, and how long its networks learned."""

from __future__ import annotations

from typing import Any

import pytest

from qap2fpga.report import study_settings
from qap2fpga.train import config as configuration
from tests.support.studies import configure


def test_fold_seed_and_device_make_no_setting_of_their_own() -> None:
    base = configuration.to_dict(configure(bits=6))
    for repeated in (configure((2, 4), bits=6), configure(bits=6, seed=7), configure(bits=6, training__device="cpu")):
        assert study_settings.key(configuration.to_dict(repeated)) == study_settings.key(base)
    for other in (configure(bits=4), configure(bits=6, pruning__schedule="none"), configure(bits=6, training__l1=0.0)):
        assert study_settings.key(configuration.to_dict(other)) != study_settings.key(base)


@pytest.mark.parametrize(
    ("experiment", "varied", "name"),
    [
        ("bits", {"model.bits": 6, "seed": 3, "pruning.schedule": "lottery_ticket"}, "bits: 6 bits, lottery ticket"),
        ("grid", {"model.widths": [64, 32], "model.batch_norm": False}, "widths 64x32, no batch norm"),
        ("grid", {"model.batch_norm": True, "training.l1": 0.0}, "batch norm, l1 0.0"),
        ("seeds", {"seed": 3}, "seeds"),
        ("grid", {"seed": 3}, "grid"),
        ("bits", "nothing", "bits"),
        (None, None, "run-7"),
    ],
)
def test_a_setting_is_called_after_what_varies(experiment: object, varied: object, name: str) -> None:
    assert study_settings.name("run-7-fold2", experiment, varied) == name


def recorded(schedule: str, *counts: int, tuning: int = 0, **more: Any) -> dict[str, Any]:
    steps = [{"epochs": [{}] * count, "tuning_epochs": [{}] * tuning} for count in counts]
    return {"config": {"pruning": {"schedule": schedule}, **more}, "steps": steps}


def test_epochs_add_up_until_the_weights_are_rewound() -> None:
    assert study_settings.epochs(recorded("fine_tuning", 10, 4, 6)) == [10, 14, 20]
    assert study_settings.epochs(recorded("lottery_ticket", 10, 4, 6)) == [10, 4, 6]
    without = recorded("lottery_ticket", 10, 4, paper_code=["rewind_without_copy"])
    assert study_settings.epochs(without) == [10, 14]
    # What is tuned of a step's network is no part of the next step's.
    assert study_settings.epochs(recorded("fine_tuning", 10, 4, tuning=3)) == [13, 17]


def test_epochs_that_are_not_recorded_are_unknown() -> None:
    record = recorded("fine_tuning", 10, 4, 6)
    del record["steps"][1]["epochs"]
    assert study_settings.epochs(record) == [10, None, None]
    assert study_settings.epochs({"config": {}, "steps": [{"epochs": [{}]}]}) == [1]
