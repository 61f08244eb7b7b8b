# SPDX-License-Identifier: Apache-2.0
"""Several builds, or a study, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from qap2fpga.hw.resources import NAMES
from qap2fpga.report import compare, show, study_means
from qap2fpga.report.compare import Line
from qap2fpga.report.studies import Study
from qap2fpga.report.summary import Summary
from qap2fpga.system.names import apart
from qap2fpga.system.tables import headed
from qap2fpga.system.terminal import warning

# So many builds are columns; more are rows, with the measures that a line has room for.
MOST_COLUMNS = 4
IN_ROWS = ("board", "backend", "measured_by", "accuracy", "bops_paper", *NAMES,
           "latency_cycles", "latency_ns", "interval_cycles", "verdict", "outcome")  # fmt: skip
BEST = "*"


def builds(names: Sequence[str], summaries: Sequence[Summary]) -> RenderableType:
    """The builds side by side: the best of those that may be compared marked, and what may not be said."""
    lines = compare.lines(summaries)
    shared, names = apart(names)
    title = ("Builds" if len(names) <= MOST_COLUMNS else f"{len(names)} builds") + f": {shared}" * bool(shared)
    table = _columns(names, lines) if len(names) <= MOST_COLUMNS else _rows(names, lines)
    # No title of the table: it would be broken where the table ends.
    parts: list[RenderableType] = [Text(title, style="bold"), table]
    if len(names) > MOST_COLUMNS:
        parts.append(_same(lines))
    if any(cell.best for line in lines for cell in line.cells):
        parts.append(f"[dim]{BEST} the best of those that may be compared[/]")
    return Group(*parts, *_apart(lines))


def study(one: Study) -> RenderableType:
    """The checkpoints of a study that no other beats in accuracy and BOPs."""
    known = [each for each in one.checkpoints if each.accuracy is not None and each.bops_paper is not None]
    best = compare.front([(each.bops_paper or 0.0, each.accuracy or 0.0) for each in known])
    title = f"{one.name}: {show.several(len(one.checkpoints), 'checkpoint')} of {show.several(one.runs, 'run')}"
    more = ((one.waiting, "not finished"), (one.failed, "failed"), (len(one.unreadable), "unreadable"))
    title += "".join(f", {count:,} {what}" for count, what in more if count)
    table = headed("no other beats", "accuracy", "BOPs", "zeros", "w bits", "a bits", "LUT", "LUT by")
    for index in best:
        each = known[index]
        cells = (
            show.percent(each.accuracy), show.number(each.bops_paper), show.percent(each.zeros, 1),
            show.text(each.weight_bits), show.text(each.activation_bits), show.number(each.lut),
            show.text(compare.measured_by(each)),
        )  # fmt: skip
        table.add_row(escape(each.name), *map(escape, cells))
    notes = map(warning, study_means.warnings(study_means.means(one.trained)))
    # No title of the table: it would be broken where the table ends.
    return Group(Text(title, style="bold", no_wrap=True, overflow="ignore"), table, *notes)


def _columns(names: Sequence[str], lines: Sequence[Line]) -> Table:
    """One column a build; a line in which they differ has a mark."""
    table = headed("", *map(escape, names))
    for line in lines:
        table.add_row(_label(line, line.measure.label), *_cells(line), style=None if line.differs else "dim")
    return table


def _rows(names: Sequence[str], lines: Sequence[Line]) -> Table:
    """One row a build; `_same` says what is the same in all."""
    chosen = [line for line in lines if line.measure.key in IN_ROWS and line.differs]
    heads = [_label(line, line.measure.title.replace(", ", ",\n")) for line in chosen]
    table = headed("build", *heads)
    cells = [_cells(line, bare=True) for line in chosen]
    for index, name in enumerate(names):
        table.add_row(escape(name), *(line[index] for line in cells))
    return table


def _same(lines: Sequence[Line]) -> str:
    """What of a row is the same in all builds."""
    same = [f"{line.measure.label} {line.cells[0].text}" for line in lines
            if line.measure.key in IN_ROWS and not line.differs]  # fmt: skip
    return f"[dim]the same in all: {escape(', '.join(same))}[/]" if same else ""


def _label(line: Line, text: str) -> str:
    return f"{text} ≠" if line.apart else text


def _cells(line: Line, *, bare: bool = False) -> list[str]:
    """The line's texts, without their unit if `bare`; the best are marked."""
    texts = [(escape(cell.bare if bare else cell.text), cell.best) for cell in line.cells]
    return [f"[green]{text} {BEST}[/]" if best else text for text, best in texts]


def _apart(lines: Sequence[Line]) -> list[RenderableType]:
    """One note for each reason why numbers may not be compared."""
    labels: dict[tuple[str, ...], list[str]] = {}
    for line in lines:
        if line.apart and line.measure.label not in labels.setdefault(line.apart, []):
            labels[line.apart].append(line.measure.label)
    return [
        f"[yellow]≠ {escape(', '.join(names))}: different {escape(', '.join(what))}[/]"
        for what, names in labels.items()
    ]
