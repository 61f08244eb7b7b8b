# SPDX-License-Identifier: Apache-2.0
"""Builds and studies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from qap2fpga.library.sources import several
from qap2fpga.library.table import Table, Tabular, of_dicts
from qap2fpga.report import compare as measures
from qap2fpga.report import gather, rows, show, summary
from qap2fpga.report.gather import Gathered
from qap2fpga.report.summary import Summary
from qap2fpga.system.files import write_where_asked

if TYPE_CHECKING:
    from qap2fpga.library.builds import Build

__all__ = ["Comparison", "compare"]

# So many things stand side by side; more are rows.
MOST_COLUMNS = 6


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Tabular):
    """Builds and checkpoints of studies, their key numbers, and which may be compared; `compare` gives one.

    Attributes:
        gathered: the reports, and in `left_out` messages about folders that hold nothing that can be read.
    """

    gathered: Gathered

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The key numbers of every build and every checkpoint, once, with what they rest on."""
        return self.gathered.summaries

    @property
    def table(self) -> Table:
        """One row per build and checkpoint, by the columns of `docs/reading-the-report.md`, without unknown ones."""
        return of_dicts([summary.values(one) for one in self.summaries])

    @property
    def side_by_side(self) -> Table:
        """One row per measure, one column per build or checkpoint; `*` marks the best of those that may be compared.

        `but` names what keeps the numbers of a row from being compared, as another board or clock.
        """
        names = tuple(one.name for one in self.summaries)
        lines = [line for line in measures.lines(self.summaries) if any(one.value is not None for one in line.cells)]
        cells = (
            (line.measure.label, *(f"{one.text} *" if one.best else one.text for one in line.cells),
             ", ".join(line.apart) or None)
            for line in lines
        )  # fmt: skip
        return Table(("measure", *names, "but"), tuple(cells))

    def page(self, path: str | Path) -> Path:
        """Write one HTML page that a browser shows without a network, and return where it is."""
        from qap2fpga.report import page

        place = Path(path)
        write_where_asked(place, page.render(self.gathered, place.parent))
        return place

    def csv(self, path: str | Path) -> Path:
        """Write one row per build and checkpoint as CSV, and return where it is."""
        write_where_asked(Path(path), rows.as_csv(self.gathered))
        return Path(path)

    @property
    def json(self) -> str:
        """The report of one build; of several things, reports and checkpoints by name."""
        return rows.as_json(self.gathered)

    @property
    def heading(self) -> str:
        """Return what is compared, in one line."""
        builds, studies = len(self.gathered.builds), len(self.gathered.studies)
        left_out = f"; left out: {'; '.join(self.gathered.left_out)}" if self.gathered.left_out else ""
        counts = (
            show.several(builds, "build"), show.several(studies, "study", "studies"),
            show.several(len(self.summaries), "row"),
        )  # fmt: skip
        return ", ".join(counts) + left_out

    def _repr_html_(self) -> str:
        """Return what a notebook shows: few things side by side, many as rows."""
        if len(self.summaries) > MOST_COLUMNS:
            return super()._repr_html_()
        left_out = "".join(f"<p>left out: {escape(text)}</p>" for text in self.gathered.left_out)
        return self.side_by_side._repr_html_() + left_out


def compare(
    places: Build | str | PathLike[str] | Sequence[Build | str | PathLike[str]] = (),
) -> Comparison:
    """Return builds, folders of builds and studies side by side.

    Args:
        places: builds, or folders of builds, studies, or folders with builds in them, one or several; none: the newest
            in `builds/`.

    Raises:
        QapError: nothing there can be read. Of several, what cannot be read is left out and named.
    """
    paths = [Path(one) if isinstance(one, str | PathLike) else one.path for one in several(places)]
    return Comparison(gather.gather(paths or [gather.newest(Path("builds"))]))
