# SPDX-License-Identifier: Apache-2.0
"""What happened, through the standard library's logging: to a file of each build, to a terminal, to who asks for it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qap2fpga.system.files import cannot_write
from qap2fpga.system.names import printable

LOGGER = logging.getLogger("qap2fpga")
LOGGER.setLevel(logging.INFO)
LOGGER.addHandler(logging.NullHandler())
FORMAT = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")


def note(text: str, level: int = logging.INFO) -> None:
    """Log one line, also while a stage silences the libraries that it calls (which `quiet` does for all loggers)."""
    if level >= LOGGER.level:
        line = printable(text).replace("\n", " | ")
        LOGGER.handle(LOGGER.makeRecord(LOGGER.name, level, __file__, 0, line, (), None))


@contextmanager
def into(path: Path) -> Iterator[None]:
    """Add what is logged inside to the file `path`. Raises `QapError` where it cannot be written."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise cannot_write(path, error) from error
    with _handling(handler):
        yield


@contextmanager
def shown() -> Iterator[None]:
    """Write what is logged inside to standard error."""
    with _handling(logging.StreamHandler(sys.stderr)):
        yield


@contextmanager
def _handling(handler: logging.Handler) -> Iterator[None]:
    handler.setFormatter(FORMAT)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        handler.close()
