# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures. Builds that take long are made once a session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real models and data; the tests over it are skipped where it is not given."""
    place = os.environ.get("QAP2FPGA_REAL_DATA")
    if not place:
        pytest.skip("QAP2FPGA_REAL_DATA is not set")
    return Path(place)


@pytest.fixture(scope="session")
def example() -> Path:
    """The shipped trained model."""
    return ROOT / "examples" / "jets-6b-80pruned.pt"


# The same examples in every run: a failure is of the change at hand. No deadline, as machines differ.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
