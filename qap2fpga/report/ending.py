# SPDX-License-Identifier: Apache-2.0
"""The last lines of a build on a terminal: the verdict, where the report is, and how to look at it."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from qap2fpga.report import check
from qap2fpga.report.history import LOG, PAGE
from qap2fpga.report.schema import Report


def lines(report: Report, folder: Path) -> str:
    """Return the verdict in its colour, and the paths of report, page and log."""
    failed, ran = len(check.failed(report)), len(check.run(report))
    colour = "red" if failed else "green" if ran else "yellow"
    sign = "✗" if failed else "✓" if ran else "–"
    words = f"{failed} of {ran} checks failed" if failed else f"{ran} checks passed" if ran else "no check was run"
    fits = f", {report.fits.verdict} {report.board.name}" if report.fits else ""
    if failed:
        fits += f"; {LOG} has what happened"
    return "\n".join(
        (
            f"\n[bold {colour}]{sign} {escape(words + fits)}[/]",
            f"report  {escape(str(folder / 'report.json'))}",
            f"page    {escape(str(folder / PAGE))}: open it in a browser, or `xdg-open {escape(str(folder / PAGE))}`",
        )
    )
