# SPDX-License-Identifier: Apache-2.0
"""Work for the runner that is no training: quick, resumable step by step, and told by its settings how to behave."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically


def count(config: dict[str, Any], folder: Path, say: Callable[[str], None]) -> int:
    """Count to `steps` in the folder's record; returns how many were counted by this call.

    `error`: raise so at the second step. `die`: kill the worker at each of these steps, once each.
    """
    path = folder / "record.json"
    steps = json.loads(path.read_text())["steps"] if path.exists() else []
    begun = len(steps)
    while len(steps) < config["steps"]:
        number = len(steps)
        say(f"step {number}")
        if number == 1 and "error" in config:
            raise {"user": QapError, "bug": ZeroDivisionError, "machine": OSError}[config["error"]]("it went wrong")
        mark = folder / f"died-{number}"
        if number in config.get("die", []) and (config.get("always") or not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(config.get("seconds", 0))
        steps.append({"step": number})
        record = {"finished": len(steps) == config["steps"], "config": config, "steps": steps}
        write_atomically(path, json.dumps(record))
    return len(steps) - begun


def process(config: dict[str, Any], folder: Path, say: Callable[[str], None]) -> int:
    """The worker's process."""
    return os.getpid()


def train_on(config: dict[str, Any], folder: Path, say: Callable[[str], None]) -> None:
    """Multiply matrices for ever, as a training does most of its time, and say so before."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "begun").touch()
    matrix = np.ones((500, 500))
    while True:
        matrix @ matrix
