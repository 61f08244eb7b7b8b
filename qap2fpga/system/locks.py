# SPDX-License-Identifier: Apache-2.0
"""Locked files, by which one process at a time writes a folder; the system ends a lock with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import cannot_write

# The file that is locked; it holds the number of the process that wrote in the folder last.
IN_USE = ".in-use"
# Programs of a process that was killed hold its lock until they are gone, which is well within this.
ENDING_S = 20.0


def acquire(path: Path, *, wait: bool = False) -> IO[str]:
    """Return the file `path`, open and locked, with this process' number in it.

    Raises `BlockingIOError` where a living process has it, unless the caller is to `wait` for that; `OSError` where the
    file cannot be made. Where the one that has it was killed, its last programs are about to go, and the lock with
    them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+")
    try:
        _take(lock, wait=wait)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
    except BaseException:
        lock.close()
        raise
    return lock


@contextmanager
def locked(folder: Path, *, wait: bool = False, file: str = IN_USE, other: str = "another process") -> Iterator[None]:
    """Keep other processes out of `folder`, which is made if need be, for the block, by a lock on its `file`.

    `wait`: until it is free. Else a folder that is locked is a `QapError`, which says that `other` is writing.
    """
    try:
        lock = acquire(folder / file, wait=wait)
    except BlockingIOError as error:
        raise QapError(f"{other} is writing {folder}", "wait for it, or choose another folder") from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    with lock:
        yield


def _take(lock: IO[str], *, wait: bool) -> None:
    begin = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            break
        except BlockingIOError:
            lock.seek(0)
            if _lives(lock.read().strip()) or time.monotonic() - begin > ENDING_S:
                raise
            time.sleep(0.05)


def _lives(process: str) -> bool:
    """Whether there is a process of this number."""
    return process.isdigit() and Path("/proc", process).exists()
