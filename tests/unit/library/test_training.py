# SPDX-License-Identifier: Apache-2.0
"""`train` in Python is what the command line calls; how it trains is tested with what does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import qap2fpga
from qap2fpga.system.errors import QapError
from qap2fpga.train.output import TrainResult
from qap2fpga.train.settings import RunConfig
from tests.support.command import run


def test_settings_are_those_that_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def trained(config: RunConfig, say: object, *places: Path | None) -> TrainResult:
        asked.append((config, *places))
        return TrainResult(tmp_path / "m.pt", 0.7512, 0.76, 0.74, 900, 0.805, 3.0)

    monkeypatch.setattr("qap2fpga.library.training.run", trained)
    result = qap2fpga.train(data="jets.npz", output=tmp_path / "m.pt", widths=[8, 4], weight_bits=[6, 4, 6], seed=3)
    ((config, *places),) = asked
    assert places == [tmp_path / "m.pt", None, None]
    assert config.model.widths == (8, 4) and config.model.weight_bits == (6, 4, 6) and config.seed == 3
    assert result.path == tmp_path / "m.pt"
    line = "m.pt: accuracy 75.12 % of 900 test rows (float 76.00 %), 80.5 % zeros"
    assert repr(result) == f"<Training {tmp_path}/{line}>"
    (row,) = result.table
    assert row["accuracy"] == 0.7512 and row["float_accuracy"] == 0.76


def test_nothing_to_train_on_is_refused_in_both() -> None:
    with pytest.raises(QapError, match="nothing to train on"):
        qap2fpga.train()
    helped = run("train")
    assert helped.code == 2 and "nothing to train on" in helped.err
