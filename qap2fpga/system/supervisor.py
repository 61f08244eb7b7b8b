# SPDX-License-Identifier: Apache-2.0
"""Run one program, and end it and all that it started when the process that asked for it ends, however that ends.

Run as a file by `qap2fpga.system.programs`: `python -I -S supervisor.py SOCKET LOCK,LOCK,... PROGRAM ARGUMENT...`. The
numbers are open files that this process inherits: SOCKET ends when the asking process ends or wants the program
stopped, and takes the one message `code N` or `errno N`; a LOCK is held until the last process is gone, so nobody else
writes into a build's folder while anything still does. It imports little: it starts in some milliseconds, before every
program.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
from types import FrameType
from typing import NoReturn

# Of prctl(2): what a process is sent when its parent dies, and whose child it is then.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Whoever ends the asking process ends this one by that; alone it must not go, since it would leave what it watches.
OUTLIVED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What Python itself ignores, and programs expect not to be.
PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)


def prctl(option: int, value: int) -> None:
    """Call prctl(2). Raises `OSError` where the system refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def die_with(parent: int) -> None:
    """Have this process killed when the process `parent`, which started it, ends; at once if it has ended already."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def start(command: list[str]) -> int:
    """The process of `command`, in a group of its own. Raises `OSError` where it cannot be started."""
    reading, writing = os.pipe()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in OUTLIVED}
    supervisor, process = os.getpid(), os.fork()
    if process:
        os.close(writing)
        with os.fdopen(reading, "rb") as failure:
            number = failure.read()
        if number:
            os.waitpid(process, 0)
            raise OSError(int(number), os.strerror(int(number)))
        return process
    try:
        os.setpgid(0, 0)
        for signals, handler in [*before.items(), *((number, signal.SIG_DFL) for number in PYTHONS)]:
            signal.signal(signals, handler)
        die_with(supervisor)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(writing, str(error.errno).encode())
    finally:
        os._exit(127)


def watch(process: int, line: int, woken: int) -> int | None:
    """Wait until `process` ends, and return its exit code; or until `line` ends, and return None."""
    while True:
        ready, _, _ = select.select([line, woken], [], [])
        if line in ready:
            return None
        os.read(woken, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == process:
                    return os.waitstatus_to_exitcode(ended[1])


def end_all(process: int) -> int | None:
    """Kill the group of `process` and all that is left below this one; the exit code of `process` if it was left."""
    code = None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            # Orphans come to this process, also those that made a group of their own.
            ended, status = os.waitpid(-1, os.WNOHANG)
            if not ended:
                for child in children():
                    os.kill(child, signal.SIGKILL)
                ended, status = os.waitpid(-1, 0)
            if ended == process:
                code = os.waitstatus_to_exitcode(status)
    return code


def children() -> list[int]:
    """The processes whose parent is this one."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                with open(f"/proc/{name}/stat", "rb") as stream:
                    # The program's name stands in brackets and may hold any character.
                    parent = stream.read().rpartition(b")")[2].split()[1]
                if int(parent) == os.getpid():
                    found.append(int(name))
    return found


def main() -> NoReturn:
    """Run the command of the arguments, end all that it started, and write how it ended to the inherited pipe."""
    line, locks, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    for number in (line, *map(int, filter(None, locks.split(",")))):
        os.set_inheritable(number, False)
    woken, wake = os.pipe()
    for number in (woken, wake):
        os.set_blocking(number, False)

    def heard(number: int, frame: FrameType | None) -> None:
        """The signal is in `wake` already."""

    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, heard)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        process = start(command)
    except OSError as error:
        message = f"errno {error.errno}"
    else:
        code = watch(process, line, woken)
        left = end_all(process)
        message = f"code {left if code is None else code}"
    # Nobody may be there to read it.
    with contextlib.suppress(OSError):
        os.write(line, message.encode())
    os._exit(0)


if __name__ == "__main__":
    main()
