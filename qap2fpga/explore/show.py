# SPDX-License-Identifier: Apache-2.0
"""An exploration on a terminal, and the words for it that the page shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qap2fpga.backends import option
from qap2fpga.explore import builds
from qap2fpga.explore.builds import Built
from qap2fpga.explore.choose import DROPPED, RANKED, Point
from qap2fpga.explore.limits import Limits
from qap2fpga.explore.result import Explored
from qap2fpga.report import compare
from qap2fpga.report.exploration import COLUMNS, pair
from qap2fpga.report.show import percent, several
from qap2fpga.system.tables import headed

# What a terminal has room for; explore.csv has all.
MOST_ROWS, MOST_REASONS = 20, 8
BEST = "★"
# Of the columns of the page a terminal shows these, and those that are limited.
ALWAYS = ("lut", "dsp", "latency_ns")


def render(explored: Explored, console: Console) -> None:
    """Print the best points, estimated and measured beside each other, and why others are not among them."""
    console.print(_table(explored))
    request = explored.request
    if any(one.best for one in explored.points):
        console.print(f"[dim]{BEST} the estimated Pareto set: accuracy, LUTs, latency. estimated → measured[/]")
    dropped = [(one, one.certain[0].text) for one in ordered(explored) if one.status == DROPPED]
    _reasons(console, f"{len(dropped)} cannot meet the limits", _together(dropped))
    failed = [(one, one.failed.splitlines()[0]) for one in explored.points if one.failed]
    _reasons(console, f"{len(failed)} failed", _together(failed))
    _reasons(console, f"{len(explored.left_out)} left out", explored.left_out)
    apart = compare.apart([one.summary for one in explored.points if one.summary.accuracy is not None], "accuracy")
    if apart:
        console.print(
            f"[yellow]accuracies are of different {escape(' and '.join(apart))}, and were compared all the same[/]"
        )
    if request.build:
        console.print(_verdict(explored), highlight=False)
    console.print(f"{request.output / 'explore.html'}, explore.csv, explore.json", highlight=False, markup=False)


def ordered(explored: Explored) -> list[Point]:
    """The points that did not fail: built ones, others by rank, then what cannot meet the limits, the nearest first."""
    points = [one for one in explored.points if not one.failed]

    def place(one: Point) -> tuple[float, ...]:
        excess = one.certain[0].ratio if one.certain else 0.0
        return (one.candidate.name not in explored.built, excess, one.rank or 0)

    return sorted(points, key=place)


def outcome(one: Point, built: Built | None) -> str:
    """What became of a point, in words."""
    if built is not None:
        return builds.verdict(built)
    if one.certain:
        return one.certain[0].text
    return one.expected[0].text if one.expected else "expected to meet the limits"


def title(explored: Explored) -> str:
    """What was explored, in a line."""
    networks = len({one.candidate.network.sha256 for one in explored.points})
    return f"{several(len(explored.points), 'candidate')} of {several(networks, 'network')}"


def limits(chosen: Limits) -> tuple[str, ...]:
    """The limits as options."""
    return tuple(f"{option(name)} {value:g}" for name, value in asdict(chosen).items() if value is not None)


def _table(explored: Explored) -> Table:
    limited = explored.request.limits
    shown = [name for name in COLUMNS if name in ALWAYS or getattr(limited, f"max_{name}") is not None]
    columns = ("", "candidate", "accuracy", *(COLUMNS[name] for name in shown), "outcome")
    table = headed(*columns, title=title(explored), words=(0, 1, len(columns) - 1))
    table.columns[1].no_wrap, table.columns[-1].overflow = True, "fold"
    points = [one for one in ordered(explored) if one.status == RANKED]
    for one in points[:MOST_ROWS]:
        built = explored.built.get(one.candidate.name)
        measured = built.build.summary if built is not None and built.build is not None else None
        style = None if built is None else "green" if built.meets else "yellow"
        table.add_row(
            BEST if one.best else "", escape(one.candidate.name), percent(one.summary.accuracy),
            *(pair(name, one.summary, measured) for name in shown), escape(outcome(one, built)), style=style,
        )  # fmt: skip
    if len(points) > MOST_ROWS:
        table.caption, table.caption_justify = f"and {len(points) - MOST_ROWS:,} more in explore.csv", "left"
    return table


def _together(pairs: Sequence[tuple[Point, str]]) -> list[str]:
    """A line for each point and reason; one for the points of a network that share theirs."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one, reason in pairs:
        groups.setdefault((one.candidate.network.name, reason), []).append(one.candidate.name)
    return [
        f"{names[0] if len(names) == 1 else f'{network}, {len(names)} candidates'}: {reason}"
        for (network, reason), names in groups.items()
    ]


def _reasons(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(title, style="bold", highlight=False)
    for line in lines[:MOST_REASONS]:
        console.print(escape(f"  {line}"), highlight=False, style="dim")
    if len(lines) > MOST_REASONS:
        console.print("  and more, all in explore.csv", highlight=False, style="dim")


def _verdict(explored: Explored) -> str:
    most, tried = explored.request.build, len(explored.built)
    wanted = several(most, "wanted build")
    text = f"{explored.met} of {wanted} {'meets' if most == 1 else 'meet'} the limits, "
    text += f"{several(tried, 'candidate')} {'was' if tried == 1 else 'were'} built"
    if explored.met < most:
        ranked = sum(one.rank is not None for one in explored.points)
        text += "; there are no more candidates" if tried == ranked else f"; after {builds.TRIES} tries a build it ends"
    return text
