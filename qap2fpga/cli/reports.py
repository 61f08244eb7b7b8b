# SPDX-License-Identifier: Apache-2.0
"""Reports: of builds and studies, and of results made elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import check_mode, console


def report(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[BUILD]...", help="build folders, folders of builds, studies [the newest in builds/]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print report.json; of several, by name")] = False,
    html: Annotated[Path | None, typer.Option(help="write one page that a browser shows without a network")] = None,
    csv: Annotated[Path | None, typer.Option(help="write one row a build, and a checkpoint of a study")] = None,
) -> None:
    """Show one build, or several side by side. Of a study: what its checkpoints trade."""

    from qap2fpga.library.comparison import compare
    from qap2fpga.report import summary, table
    from qap2fpga.system.names import indented

    def say(text: str) -> None:
        # Standard output may be the very file.
        print(indented(f"qap2fpga: {text}"), file=sys.stderr)

    results = compare(places or ())
    for message in results.gathered.left_out:
        say(f"left out: {message}")
    if html is not None:
        say(f"wrote {results.page(html)}, one page; a browser shows it")
    if csv is not None:
        results.csv(csv)
        say(f"wrote {csv}, {len(results.summaries)} rows of {len(summary.columns())} columns")
    if as_json:
        print(results.json)
    elif html is None and csv is None:
        table.render_all(results.gathered, console())


def import_report(
    folder: Annotated[Path, typer.Argument(help="results of Vivado, Vitis HLS, Vivado HLS, hls4ml or FINN")],
    name: Annotated[str | None, typer.Option(help="what to call it [the folder's name]")] = None,
    board: Annotated[str | None, typer.Option(help="compare with this board [the part in the reports]")] = None,
    model: Annotated[
        Path | None, typer.Option(help="the network: model.pt, QONNX, or a build, whose predictions are checked")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="where reports go [builds/<name>-imported]")] = None,
    check: Annotated[
        str, typer.Option(help="fail: a contradiction ends with exit code 1; warn: it is only shown")
    ] = "fail",
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Read the results of other tools in FOLDER into a report. They are checked against each other."""

    from qap2fpga.library.imports import import_reports
    from qap2fpga.report import check as checks
    from qap2fpga.report import table

    check_mode(check)
    results = import_reports(folder, name=name, board=board, model=model, output=output, quiet=quiet)
    if not quiet:
        table.render([(str(one.path), one.report) for one in results], console())
    if check == "fail":
        checks.require_passed([one.report for one in results])
