# SPDX-License-Identifier: Apache-2.0
"""External programs: found before any work starts, run with a log and a time limit, never through a shell."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


# Process groups of the programs that run now. Who holds the lock knows that no other is just being started.
running: set[int] = set()
starting = threading.RLock()


@dataclass(frozen=True)
class Ended:
    """How a program ended. `code` is its exit code, the negative signal that ended it, or None: over the time limit."""

    output: str
    code: int | None


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
    name = Path(os.fspath(command[0])).name
    ended = execute(command, log=log, folder=folder, time_limit_s=time_limit_s, environment=environment)
    if ended.code is None:
        raise QapError(f"'{name}' took more than {time_limit_s:.0f} s", f"its log: {log}")
    if ended.code != 0:
        how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"failed ({ended.code})"
        raise QapError(f"'{name}' {how}: {telling_line(ended.output)}", f"its log: {log}")
    return ended.output


def execute(
    command: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    folder: Path,
    time_limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `command` in `folder`, its output into `log`, however it ends; all that it started ends with it.

    Raises `QapError` when it can not be started or the log can not be written.
    """
    arguments = [os.fspath(part) for part in command]
    name = Path(arguments[0]).name
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    except OSError as error:
        raise cannot_write(log, error) from error
    with stream:
        try:
            with starting:
                process = subprocess.Popen(
                    arguments,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    # A group of its own: vendor tools are scripts that start the program, which must not outlive them.
                    process_group=0,
                )
                running.add(process.pid)
        except OSError as error:
            raise QapError(
                f"'{name}' could not be started: {error.strerror}", "qap2fpga doctor says how to get it"
            ) from error
        code: int | None = None
        try:
            code = process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill(process.pid)
            process.wait()
            running.discard(process.pid)
    return Ended(log.read_text(errors="replace"), code)


def stop() -> None:
    """End every program that runs, in whichever thread it was started; those that wait for one then go on at once.

    For an interrupted command: a terminal's Ctrl-C does not reach programs in groups of their own.
    """
    with starting:
        for group in tuple(running):
            _kill(group)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


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
