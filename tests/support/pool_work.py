# SPDX-License-Identifier: Apache-2.0
"""Work for processes of a pool: light to import, and told by its item how to behave."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from qap2fpga.system import programs as tools
from qap2fpga.system.beside import has_room


def square(number: int) -> int:
    """The square; 13 ends the process."""
    if number == 13:
        os._exit(9)
    return number * number


def sleep(folder: Path) -> None:
    """Run a program for long, and say so before."""
    (folder / f"begun-{os.getpid()}").touch()
    tools.run(["sleep", "600"], log=folder / f"log-{os.getpid()}", folder=folder, time_limit_s=700)


def hold(folder: Path) -> None:
    """Sleep in foreign code without giving up Python's lock, and say so before."""
    (folder / f"begun-{os.getpid()}").touch()
    ctypes.PyDLL(None).sleep(600)


def folder(item: object) -> str:
    """Where it is done."""
    return os.getcwd()


def room(item: object) -> bool:
    """Whether a process beside this one has a core to run on."""
    return has_room()


def fail(item: object) -> None:
    """Go wrong."""
    raise ZeroDivisionError("it went wrong")


def mark(item: tuple[int, Path]) -> int:
    """Leave a file, and then take a while."""
    number, place = item
    (place / f"mark-{number}").touch()
    time.sleep(1)
    return number
