# SPDX-License-Identifier: Apache-2.0
"""Results that other tools left, read into reports."""

from __future__ import annotations

import sys
from pathlib import Path

from qap2fpga.hw.boards import Board
from qap2fpga.library.builds import Build
from qap2fpga.library.sources import board_of
from qap2fpga.report.imported.run import ImportRequest
from qap2fpga.report.imported.run import import_reports as run
from qap2fpga.system.names import indented

__all__ = ["import_reports"]


def import_reports(
    folder: str | Path,
    *,
    name: str | None = None,
    board: str | Board | None = None,
    model: str | Path | None = None,
    output: str | Path | None = None,
    quiet: bool = False,
) -> list[Build]:
    """Read the results of Vivado, Vitis HLS, Vivado HLS, hls4ml or FINN, and return a report per design.

    Args:
        folder: where the reports are, at any depth.
        name: what to call it; the folder's name if not given.
        board: compare with this board; the part in the reports if not given.
        model: the network: model.pt, QONNX, or a build, whose predictions are checked.
        output: where the reports go; `builds/<name>-imported` if not given.
        quiet: show nothing while it runs.

    Raises:
        QapError: nothing in the folder can be read. Reports that contradict each other are failed checks.
    """
    request = ImportRequest(
        Path(folder), name, None if board is None else board_of(board),
        None if model is None else Path(model), None if output is None else Path(output),
    )  # fmt: skip
    reports = run(request, (lambda text: None) if quiet else lambda text: print(indented(text), file=sys.stderr))
    return [Build(place, report) for place, report in reports]
