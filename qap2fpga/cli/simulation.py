# SPDX-License-Identifier: Apache-2.0
"""A finished build: its C simulation and proofs again, and onto a board."""

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


def prove(
    build: Annotated[Path, typer.Argument(help="folder of a build with --backend rtl")],
    time_limit: Annotated[float, typer.Option(help="seconds that a module may take")] = 60.0,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Prove that an rtl BUILD is its network, for every input. Writes a certificate."""

    from qap2fpga.library import proofs
    from qap2fpga.system.errors import CheckFailed

    certificate = proofs.prove(build, time_limit, quiet=quiet)
    if not quiet:
        for line in proofs.lines(certificate):
            print(line)
        print(build / proofs.CERTIFICATE)
    left = proofs.left(certificate)
    if left:
        raise CheckFailed("; ".join(left))


def load(
    build: Annotated[Path, typer.Argument(help="folder of a build for an ECP5 board with a bitstream")],
    loader_board: Annotated[str, typer.Option(help="the board's name for openFPGALoader [of the build's board]")] = "",
    flash: Annotated[bool, typer.Option(help="write the flash, which keeps it without power")] = False,
    dry_run: Annotated[bool, typer.Option(help="say the command and run nothing")] = False,
) -> None:
    """Load the bitstream of BUILD into its ECP5 board. Through openFPGALoader; no board has run it yet."""
    import shlex

    from qap2fpga.library.builds import open_build

    command = open_build(build).program(loader_board=loader_board, flash=flash, dry_run=dry_run)
    print(("" if dry_run else "loaded: ") + shlex.join(command))
