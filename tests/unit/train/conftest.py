# SPDX-License-Identifier: Apache-2.0
"""A study with all experiments of the paper, read once per module."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.train.figures import records
from qap2fpga.train.figures.records import Study
from tests.support import studies
from tests.support.studies import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all experiments of the paper and a search."""
    return write(tmp_path_factory.mktemp("study"), studies.paper(), studies.trials())


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return records.load(folder)
