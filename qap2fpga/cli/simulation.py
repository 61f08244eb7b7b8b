# SPDX-License-Identifier: Apache-2.0
"""The C simulation of a finished build, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def csim(
    build: Annotated[Path, typer.Argument(help="folder of a build with --backend hls4ml")],
    tool: Annotated[str | None, typer.Option(help="vitis or g++ [vitis where it is installed, else g++]")] = None,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Compare the C++ of an hls4ml BUILD with its network again. With Vitis HLS or g++."""

    from qap2fpga.build.csim import simulate
    from qap2fpga.system.progress import Progress

    with Progress(quiet=quiet) as progress:
        run = simulate(build, tool, progress)
    if not quiet:
        title = f"{run.engine} {run.version}".rstrip()
        print(f"{title}: {run.compared}: {run.vectors} vectors, {run.mismatches} mismatches. {run.note}")
