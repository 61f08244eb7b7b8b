# SPDX-License-Identifier: Apache-2.0
"""Figures and table of a study: all its runs, those of Hawks et al. 2021, and LUTs. `docs/figures.md` defines each.

`records` reads the study, `select` groups its runs, `runs`, `training` and `tradeoff` turn them into charts, which are
values (`chart`); `image` draws these. `table` is Table 1, `claims` what the paper
found beside what the study finds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qap2fpga.report.study_folder import FIGURES
from qap2fpga.system.files import write_atomically

if TYPE_CHECKING:
    from qap2fpga.train.figures.records import Study


def draw(study_folder: Path, say: Callable[[str], None], output: Path | None = None) -> list[Path]:
    """Draw all that the runs of the study allow into `output`, else `study_folder`/figures; return the files' paths.

    Each figure is a PNG, an SVG and a CSV of the plotted numbers; the table and
    the claims are CSV and Markdown. `say` gets a line
    a figure: what was written, or which experiment it needs. Raises `QapError` if the folder is no study or has no
    finished run.
    """
    from qap2fpga.train.figures import chart, claims, records, runs, table, tradeoff, training

    study = records.load(study_folder)
    _count(study, say)
    # matplotlib takes a second to import; a folder that is no study is told at once.
    from qap2fpga.train.figures import image

    figures: tuple[Callable[[Study], chart.Chart | chart.Missing], ...] = (
        runs.runs,
        training.loss,
        training.roc,
        tradeoff.bops,
        tradeoff.regularizations,
        tradeoff.search,
        tradeoff.randomization,
        tradeoff.hardware,
    )
    output = output or study_folder / FIGURES
    written: list[Path] = []
    for make in figures:
        figure = make(study)
        if isinstance(figure, chart.Missing):
            say(f"{figure.name}: skipped, it needs {figure.needs}")
            continue
        png, svg = image.render(figure)
        written += _write(output, figure.name, {"png": png, "svg": svg, "csv": chart.to_csv(figure)}, say)
    rows = table.rows(study)
    written += _write(output, "table", {"csv": table.to_csv(rows), "md": table.to_markdown(rows)}, say)
    lines = claims.claims(study)
    return written + _write(output, "claims", {"csv": claims.to_csv(lines), "md": claims.to_markdown(lines)}, say)


def _write(output: Path, name: str, contents: dict[str, bytes | str], say: Callable[[str], None]) -> list[Path]:
    paths = []
    for kind, content in contents.items():
        paths.append(output / f"{name}.{kind}")
        write_atomically(paths[-1], content)
    say(f"{name}: wrote {paths[0].with_suffix('')}.{{{','.join(contents)}}}")
    return paths


def _count(study: Study, say: Callable[[str], None]) -> None:
    say(f"{len(study.runs)} finished runs and {len(study.trials)} finished trials of a search")
    if study.unfinished:
        say(f"{study.unfinished} runs and trials that failed or are not finished are left out")
    for path in study.unreadable:
        say(f"{path} is not a run's record and is left out")
