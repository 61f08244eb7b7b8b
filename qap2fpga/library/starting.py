# SPDX-License-Identifier: Apache-2.0
"""A folder to start from: a training script, what to build of it, and a Makefile of both."""

from __future__ import annotations

from pathlib import Path

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically

__all__ = ["init"]

FILES = ("train.py", "build.yaml", "Makefile")
STARTER = Path(__file__).parent / "starter"


def init(folder: str | Path) -> list[Path]:
    """Write a commented training script, a build configuration and a Makefile that run, and return the files.

    Args:
        folder: where they go; it is made where there is none.

    Raises:
        QapError: one of the files is there already. Nothing is written then.
    """
    places = [Path(folder) / name for name in FILES]
    for place in places:
        if place.exists():
            raise QapError(f"{place} is there already", "name another folder, or move it away")
    for place in places:
        write_atomically(place, (STARTER / place.name).read_bytes())
    return places
