# SPDX-License-Identifier: Apache-2.0
"""External programs: found before any work starts, run with a log and a time limit, never through a shell.

Each runs under a `supervisor.py`, which ends it and all that it started when this process ends, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from qap2fpga.system import logs
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import cannot_write

LINE_OF_INTEREST = re.compile(r"error|fatal|assert|cannot|undefined|no such", re.IGNORECASE)
# `%Error:`, `%Error-PINNOTFOUND:` and `%Fatal:` are Verilator's, `ERROR:` Yosys', `error:` the compilers'.
MARKED = re.compile(r"%(Error|Fatal)(-\w+)?:|\b(ERROR|error):")
AFTERMATH = re.compile(r"Command Failed|Exiting due to|Verilog \$stop|make(\[\d+\])?: \*\*\*|Error \d+$")


def require(program: str, what_for: str, hint: str) -> Path:
    """Return the path of `program`. Raises `QapError` that says what it is needed for and how to get it."""
    place = shutil.which(program)
    if place is None:
        raise QapError(f"'{program}' was not found on PATH; it is needed for {what_for}", hint)
    return Path(place)


SUPERVISOR = Path(__file__).with_name("supervisor.py")
Command = Sequence[str | os.PathLike[str]]
# The line to the supervisor of each program that runs now. Who holds `starting` knows that no other is being started.
running: set[socket.socket] = set()
starting = threading.RLock()
# Open files whose locks last until every program that was started meanwhile is gone, even if this process is killed.
locks: set[int] = set()


@dataclass(frozen=True)
class Ended:
    """How a program ended. `code` is its exit code, the negative signal that ended it, or None: over the time limit."""

    output: str
    code: int | None


class Runner(Protocol):
    """Runs a program to its end, as `execute` does."""

    def __call__(
        self, command: Command, *, log: Path, folder: Path, time_limit_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:  # fmt: skip
        """Run `command` in `folder`, and return how it ended."""
        ...


def run(
    command: Command,
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
    command: Command,
    *,
    log: Path,
    folder: Path,
    time_limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `command` in `folder`, its output into `log`, however it ends; all that it started ends with it.

    Raises `QapError` when it cannot be started or the log cannot be written.
    """
    name = Path(os.fspath(command[0])).name
    logs.note(f"{shlex.join(map(os.fsdecode, command))}; in {folder}, its output in {log}")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    except OSError as error:
        raise cannot_write(log, error) from error
    with stream:
        try:
            code = _supervised(command, stream, folder, time_limit_s, environment)
        except OSError as error:
            raise QapError(
                f"'{name}' could not be started: {error.strerror}", "qap2fpga doctor says how to get it"
            ) from error
    logs.note(f"{name} ended with {'its time limit' if code is None else f'exit code {code}'}")
    return Ended(log.read_text(errors="replace"), code)


def ask(command: Command, time_limit_s: float) -> str:
    """What a program prints, as of its version; nothing where it cannot be started or takes over `time_limit_s`."""
    with tempfile.TemporaryFile() as stream:
        try:
            code = _supervised(command, stream, None, time_limit_s, None)
        except OSError:
            return ""
        stream.seek(0)
        return "" if code is None else stream.read().decode(errors="replace")


def _supervised(
    command: Command,
    output: IO[bytes],
    folder: Path | None,
    time_limit_s: float,
    environment: Mapping[str, str] | None,
) -> int | None:
    """The exit code of `command`, None over the time limit. Raises `OSError` when it cannot be started."""
    line, theirs = socket.socketpair()
    with line:
        with starting, theirs:
            files = (theirs.fileno(), *sorted(locks))
            numbers = (str(files[0]), ",".join(map(str, files[1:])))
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", SUPERVISOR, *numbers, *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                pass_fds=files,
                # Out of reach of a terminal's Ctrl-C, which is for the command alone.
                process_group=0,
            )
            running.add(line)
        try:
            line.settimeout(time_limit_s)
            kind, _, number = line.recv(100).decode().partition(" ")
        except TimeoutError:
            return None
        finally:
            _stop(line)
            ended = process.wait()
            running.discard(line)
    if kind == "errno":
        raise OSError(int(number), os.strerror(int(number)))
    # A supervisor that says nothing was killed itself.
    return int(number) if kind == "code" else ended


def stop() -> None:
    """End every program that runs, in whichever thread it was started; those that wait for one then go on at once.

    For an interrupted command: a terminal's Ctrl-C does not reach programs in groups of their own.
    """
    with starting:
        for line in tuple(running):
            _stop(line)


def _stop(line: socket.socket) -> None:
    """Have the supervisor at the other end of `line` end what it runs."""
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_WR)


def telling_line(output: str) -> str:
    """Return the line of a log that looks like the cause: the first marked as an error, else the last suspicious one.

    What `make` and Verilator say in the end only repeats that something failed before.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line for line in lines if MARKED.search(line) and not AFTERMATH.search(line)]
    if marked:
        return marked[0][:300]
    telling = [line for line in lines if LINE_OF_INTEREST.search(line)]
    return (telling or lines or ["it printed nothing"])[-1][:300]
