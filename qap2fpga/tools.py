# SPDX-License-Identifier: Apache-2.0
"""External programs: found before any work starts, run with a log and a time limit, never through a shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from qap2fpga.errors import QapError
from qap2fpga.files import cannot_write

LINE_OF_INTEREST = re.compile(r"error|fatal|assert|cannot|undefined|no such", re.IGNORECASE)
# `%Error:`, `%Error-PINNOTFOUND:` and `%Fatal:` are Verilator's, `ERROR:` Yosys', `error:` the compilers'.
MARKED = re.compile(r"%(Error|Fatal)(-\w+)?:|\b(ERROR|error):")
AFTERMATH = re.compile(r"Command Failed|Exiting due to|Verilog \$stop|make(\[\d+\])?: \*\*\*|Error \d+$")


def require(program: str, what_for: str, cure: str) -> Path:
    """The path of `program`. Raises `QapError` that says what it is needed for and how to get it."""
    found = shutil.which(program)
    if found is None:
        raise QapError(f"'{program}' was not found on PATH; it is needed for {what_for}", cure)
    return Path(found)


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    folder: Path,
    time_limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run `command` in `folder`, its output into `log`, and return the output.

    Raises `QapError` with the log's telling line when it fails, is killed or takes more than `time_limit_s`.
    """
    arguments = [os.fspath(part) for part in command]
    name = Path(arguments[0]).name
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    except OSError as error:
        raise cannot_write(log, error) from error
    try:
        with stream:
            done = subprocess.run(
                arguments,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=time_limit_s,
                env={**os.environ, **(environment or {})},
                check=False,
            )
    except OSError as error:
        raise QapError(
            f"'{name}' could not be started: {error.strerror}", "qap2fpga doctor says how to get it"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise QapError(f"'{name}' took more than {time_limit_s:.0f} s", f"its log: {log}") from error
    output = log.read_text(errors="replace")
    if done.returncode != 0:
        ended = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"failed ({done.returncode})"
        raise QapError(f"'{name}' {ended}: {telling_line(output)}", f"its log: {log}")
    return output


def telling_line(output: str) -> str:
    """The line of a log that looks like the cause: the first marked as an error, else the last suspicious one.

    What `make` and Verilator say in the end only repeats that something failed before.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line for line in lines if MARKED.search(line) and not AFTERMATH.search(line)]
    if marked:
        return marked[0][:300]
    telling = [line for line in lines if LINE_OF_INTEREST.search(line)]
    return (telling or lines or ["it printed nothing"])[-1][:300]
