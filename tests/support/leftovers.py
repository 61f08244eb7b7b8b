# SPDX-License-Identifier: Apache-2.0
"""Which processes a command started, found by a mark in their environment, which they hand on to all below them."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT

MARK = "QAP2FPGA_TEST_MARK"


def marked() -> dict[str, str]:
    """An environment with a mark of its own, in which the tests' package and the program can be imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT), MARK: uuid.uuid4().hex}


def alive(environment: dict[str, str]) -> dict[int, str]:
    """The command lines, by number, of the processes with the mark of `environment` that have not ended."""
    expected, result = f"{MARK}={environment[MARK]}".encode(), {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if expected in (place / "environ").read_bytes().split(b"\0"):
                result[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return {number: line for number, line in result.items() if line}


def wait_for(wanted: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether `wanted` comes true in time."""
    begin = time.monotonic()
    while not wanted():
        if time.monotonic() - begin > seconds:
            return False
        time.sleep(0.02)
    return True
