# SPDX-License-Identifier: Apache-2.0
"""`explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import console


def explore(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="STUDY_OR_MODEL...", help="study folders, model files, or a STUDY.yaml to train first"),
    ],
    board: Annotated[
        list[str],
        typer.Option(help="a name that `qap2fpga boards` lists, or a YAML file; may be repeated, as the next three"),
    ],
    backend: Annotated[list[str] | None, typer.Option(help="finn or rtl [both]")] = None,
    target_fps: Annotated[
        list[float] | None, typer.Option(help="finn: a folding that reaches so many vectors per second [the fastest]")
    ] = None,
    clock: Annotated[
        list[float] | None, typer.Option(help="rtl: ns that the pipeline is cut for [the board's]")
    ] = None,
    max_lut: Annotated[float | None, typer.Option(help="most LUTs [the board's]")] = None,
    max_ff: Annotated[float | None, typer.Option(help="most flip-flops [the board's]")] = None,
    max_dsp: Annotated[float | None, typer.Option(help="most DSP blocks [the board's]")] = None,
    max_bram18: Annotated[float | None, typer.Option(help="most BRAM18 [the board's]")] = None,
    max_latency_ns: Annotated[float | None, typer.Option(help="longest latency, at the clock")] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="least accuracy on the test set: 0.7 is 70 %")] = None,
    build: Annotated[int, typer.Option(help="builds that are to meet the limits; 0: estimates alone")] = 3,
    jobs: Annotated[int | None, typer.Option(help="processes at a time [2]")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="work on a Dask cluster that is there, as tcp://HOST:8786")
    ] = None,
    output: Annotated[Path, typer.Option(help="folder; called again on it, a stopped run goes on")] = Path("explore"),
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Build the best networks that meet the limits. All are estimated before. Exit code 1 if none meets them."""
    from qap2fpga.explore import show
    from qap2fpga.library.exploration import explore as run

    result = run(
        places, board, backend or (), target_fps=target_fps or (), clock=clock or (), max_lut=max_lut, max_ff=max_ff,
        max_dsp=max_dsp, max_bram18=max_bram18, max_latency_ns=max_latency_ns, min_accuracy=min_accuracy, build=build,
        jobs=jobs, scheduler=scheduler, output=output, quiet=quiet,
    )  # fmt: skip
    if not quiet:
        show.render(result.explored, console())
    result.require_met()
