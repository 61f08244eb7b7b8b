# SPDX-License-Identifier: Apache-2.0
"""Folders that one process at a time may write; the system ends a lock with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import cannot_write

# The file that is locked; it holds the number of the process that wrote in the folder last.
IN_USE = ".in-use"


@contextmanager
def locked(folder: Path, *, wait: bool = False, file: str = IN_USE, other: str = "another process") -> Iterator[None]:
    """Keep other processes out of `folder`, which is made if need be, for the block, by a lock on its `file`.

    `wait`: until it is free. Else a folder that is locked is a `QapError`, which says that `other` is writing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / file).open("a")
    except OSError as error:
        raise cannot_write(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise QapError(f"{other} is writing {folder}", "wait for it, or choose another folder") from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
