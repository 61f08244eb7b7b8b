# SPDX-License-Identifier: Apache-2.0
"""What a command costs, with all the processes that it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The program, as an argument of Python.
PROGRAM = ("-m", "qap2fpga")
# Linux sums up the children of a process that have ended, so a process of its own starts the command.
BETWEEN = """\
import json, resource, subprocess, sys, time
begin = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
wall = time.monotonic() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of processors, and the largest process in MiB."""

    wall: float
    cpu: float
    mib: float


def of(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], limit_s: float | None = None
) -> tuple[int, Cost, str]:
    """Run Python with `arguments` in `folder`; return its exit code, its cost, and what it wrote as errors.

    Raises `subprocess.TimeoutExpired` after `limit_s`.
    """
    command = [sys.executable, "-c", BETWEEN, sys.executable, *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, said = process.communicate(timeout=limit_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    code, *figures = json.loads(output.splitlines()[-1])
    return code, Cost(*figures), said
