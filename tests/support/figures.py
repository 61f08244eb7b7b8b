# SPDX-License-Identifier: Apache-2.0
"""Studies read for their figures, and the figures that are charts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qap2fpga.train.figures import records, runs, tradeoff, training
from qap2fpga.train.figures.chart import Chart, Missing
from qap2fpga.train.figures.records import Study
from qap2fpga.train.settings import RunConfig
from tests.support import studies
from tests.support.studies import write

FIGURES: tuple[Callable[[Study], Chart | Missing], ...] = (
    runs.runs,
    training.loss,
    training.roc,
    tradeoff.bops,
    tradeoff.regularizations,
    tradeoff.search,
    tradeoff.randomization,
    tradeoff.hardware,
)


def made(folder: Path, configs: Sequence[RunConfig], search: Sequence[RunConfig] = (), **more: Any) -> Study:
    return records.load(write(folder, configs, search, **more))


def drawn(figure: Chart | Missing) -> Chart:
    assert isinstance(figure, Chart)
    return figure


def change(folder: Path, place: str, **values: Any) -> None:
    """Put other values into the first level of a JSON file."""
    content = json.loads((folder / place).read_text())
    studies.dump(folder / place, {**content, **values})
