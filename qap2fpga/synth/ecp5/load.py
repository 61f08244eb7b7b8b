# SPDX-License-Identifier: Apache-2.0
"""openFPGALoader: a bitstream into the part of a board."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError

LOADER = "openFPGALoader"
GET = "install openFPGALoader: https://trabucayre.github.io/openFPGALoader"
TIME_LIMIT_S = 300.0
# What openFPGALoader calls the boards that are here.
NAMES = {"ulx3s-85f": "ulx3s", "colorlight-i5": "colorlight-i5"}


def command(bitstream: Path, board: str, loader_board: str = "", *, flash: bool = False) -> list[str]:
    """Return the command that loads `bitstream`: until power is off, or into the `flash`.

    `loader_board` is the board's name for openFPGALoader, where it is none of `NAMES`. Raises `QapError` if there is
    none, or no bitstream.
    """
    if not bitstream.is_file():
        raise QapError(f"there is no {bitstream}", "build for an ECP5 board, as far as its bitstream")
    name = loader_board or NAMES.get(board)
    if not name:
        hint = f"--loader-board NAME, as `{LOADER} --list-boards` has it; known: {', '.join(NAMES)}"
        raise QapError(f"it is not known what {LOADER} calls '{board}'", hint)
    # A name that starts with a dash would be another option.
    return [LOADER, f"--board={name}", *(["--write-flash"] if flash else []), str(bitstream)]


def load(wanted: list[str], log: Path) -> str:
    """Run the command, its output into `log`, and return what it said. Raises `QapError` if it is missing or fails."""
    program = shutil.which(LOADER)
    if program is None:
        raise QapError(f"{LOADER} is not installed; the command is: {shlex.join(wanted)}", GET)
    return tools.run([program, *wanted[1:]], log=log, folder=log.parent, time_limit_s=TIME_LIMIT_S)
