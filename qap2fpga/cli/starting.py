# SPDX-License-Identifier: Apache-2.0
"""`init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(folder: Annotated[Path, typer.Argument(help="where the files go")]) -> None:
    """Start a project in FOLDER. A training script, a build configuration and a Makefile that run as they are."""
    from qap2fpga.library.starting import init as write
    from qap2fpga.system.names import printable

    for path in write(folder):
        print(f"wrote {printable(str(path))}")
    print(f"now: make -C {printable(str(folder))}, or read train.py and put in your own data")
