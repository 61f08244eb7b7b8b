# SPDX-License-Identifier: Apache-2.0
"""The docs page of `peers.py`: its results as tables and a figure, and nothing that is not in them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import peers_front, peers_plot
from benchmarks.peers_count import COMMAND
from benchmarks.peers_front import Line
from qap2fpga.report import show
from qap2fpga.system import arrays
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically

OURS, THEIRS = "ours", "hgq"
TITLES = {OURS: "ours", THEIRS: "HGQ2 and alkaid"}
STEP, MOST_ROWS = 0.005, 16  # of the accuracies at which LUTs are compared
GOAL = 0.8
Sides = Mapping[str, Mapping[int, Sequence[Line]]]

INTRODUCTION = """\
# Side by side with HGQ2: {data}

Networks trained with HGQ2 0.2.0 and converted by alkaid 0.8.2, and networks trained here with bits that are learned:
accuracy on test data against LUTs. This page is written by one command, which continues where it was stopped:

    python -m benchmarks.peers FOLDER --data {argument} --page {page}

Both sides train the same rows for the same CPU time (process time of training and of its evaluation on validation
rows), and try as many settings with one seed; those with the best front on validation rows are used for all seeds. A
front holds the checkpoints that no other of the same training beats in LUTs and validation accuracy. Accuracies are of
the integers that the hardware computes; real inputs are turned into integers before it. LUTs, flip-flops and the
longest path of cells, with the delays of 7 series, are of everybody's Verilog by one command of Yosys, with abc in
place of abc9, as all counts of this program; nothing is placed or routed:

    {command}
"""


def write(lines: Sequence[Line], page_file: Path, data: Path) -> None:
    """Write the page of some results on `data`, and its figure.

    Raises `QapError` if no candidate of theirs was counted.
    """
    every = sides(lines)
    if not any(peers_plot.shown(one) for seeds in every.values() for one in seeds.values()):
        raise QapError("there are no results to write a page of", "run the sides first")
    figure = page_file.with_suffix(".svg")
    write_atomically(figure, peers_plot.svg({TITLES.get(name, name): seeds for name, seeds in every.items()}))
    write_atomically(page_file, "\n".join(page(lines, page_file, figure.name, data)) + "\n")


def sides(lines: Sequence[Line]) -> dict[str, dict[int, list[Line]]]:
    """Return the candidates of each side by seed, of the settings that were chosen."""
    named = [line for line in lines if "name" in line]
    names = dict.fromkeys(line["task"]["side"] for line in named)
    return {
        name: peers_front.chosen([line for line in named if line["task"]["side"] == name])
        for name in sorted(names, key=lambda name: (name != OURS, name))
    }


def page(lines: Sequence[Line], page_file: Path, figure: str, data: Path) -> Iterator[str]:
    """Yield the lines of the page."""
    every = sides(lines)
    yield INTRODUCTION.format(
        data=data.stem, argument=data.name, page=f"docs/{page_file.name}", command=COMMAND
    )  # fmt: skip
    yield from _made(data)
    yield from _conditions(lines)
    what = f"test accuracy against LUTs, from {peers_plot.FEWEST} LUTs on, of"
    yield f"![{what} {' and '.join(TITLES.get(name, name) for name in every)}]({figure})"
    yield ""
    yield from _compared(every)
    for name, seeds in every.items():
        yield from _fronts(name, seeds)
    yield from _exact(every)
    yield from _left_out(lines)


def _made(data: Path) -> Iterator[str]:
    """How the data were made, where their file says it."""
    known = arrays.load_npz(data, "the data of the benchmark") if data.is_file() else {}
    if "recipe" in known:
        recipe = json.loads(str(known["recipe"]))
        more = f" --constituents {recipe['constituents']}" if "constituents" in recipe else ""
        made = f"{data.name} --jets-a-class {recipe['jets_a_class']} --seed {recipe['seed']}{more}"
        yield f"The data are made by `qap2fpga simulate-jets {made}`."


def _conditions(lines: Sequence[Line]) -> Iterator[str]:
    task = lines[0]["task"]
    rows = ", ".join(f"{count:,} for {part}" for part, count in task["rows"].items())
    yield f"Rows: {rows}. {task['cpu_s'] / 60:g} CPU minutes a training."
    named = [line for line in lines if "name" in line]
    best = max(line["test"] for line in named)
    error = math.sqrt(best * (1 - best) / task["rows"]["test"])
    yield (
        f"The largest test accuracy, {show.percent(best)}, has a standard error of {100 * error:.2f} points from the "
        "number of test rows alone."
    )
    for name in dict.fromkeys(line["task"]["side"] for line in named):
        tasks = {(one["task"]["seed"], str(one["task"]["settings"])) for one in named if one["task"]["side"] == name}
        first = next(iter(one["task"]["seed"] for one in named if one["task"]["side"] == name))
        seeds = sorted({seed for seed, _ in tasks})
        trials = sum(seed == first for seed, _ in tasks)
        most = max(one["cpu_s"] for one in named if one["task"]["side"] == name) / 60
        yield (
            f"{TITLES.get(name, name)}: settings tried: {trials}; seeds {', '.join(map(str, seeds))}; "
            f"at most {most:.1f} CPU minutes were taken."
        )
    yield ""


def _compared(every: Sides) -> Iterator[str]:
    """LUTs at equal test accuracy."""
    yield "## LUTs at equal accuracy"
    yield ""
    if OURS not in every or THEIRS not in every:
        yield f"Not known: only {', '.join(TITLES.get(name, name) for name in every)} was run."
        yield ""
        return
    rows = [row for accuracy in accuracies(every) if (row := _row(every, accuracy))]
    if not rows:
        yield "Not known: the fronts have no accuracy in common that all seeds reach."
        yield ""
        return
    yield "Geometric means over seeds, between two candidates of a front by a line in the logarithm of LUTs."
    yield ""
    yield f"| test accuracy | {TITLES[OURS]} | {TITLES[THEIRS]} | ratio |"
    yield "| ---: | ---: | ---: | ---: |"
    for accuracy, ours, theirs, ratio in rows:
        yield f"| {show.percent(accuracy)} | {ours:,.0f} | {theirs:,.0f} | {ratio:.2f} |"
    yield ""
    ratios = [row[3] for row in rows]
    more, missed = sum(one > 1 for one in ratios), sum(one > GOAL for one in ratios)
    yield (
        f"The ratio is {min(ratios):.2f} to {max(ratios):.2f}. The aim, at most {GOAL} everywhere, is missed at "
        f"{missed} of {len(ratios)} accuracies; at {more} of them {TITLES[OURS]} takes more LUTs."
    )
    yield ""


def accuracies(every: Sides) -> list[float]:
    """Return round accuracies that fronts of both sides may have, at most `MOST_ROWS`."""
    tests = [[line["test"] for one in every[name].values() for line in peers_front.front(one)]
             for name in (OURS, THEIRS)]  # fmt: skip
    if not all(tests):
        return []
    low, high = max(min(one) for one in tests), min(max(one) for one in tests)
    steps = [step * STEP for step in range(math.ceil(low / STEP), math.floor(high / STEP) + 1)]
    return steps[:: -(-len(steps) // MOST_ROWS) or 1]


def _row(every: Sides, accuracy: float) -> tuple[float, float, float, float] | None:
    sides_luts = [[peers_front.luts(one, accuracy) for one in every[name].values()] for name in (OURS, THEIRS)]
    ratio = peers_front.ratio(*sides_luts)
    if ratio is None:
        return None
    ours, theirs = (math.exp(sum(math.log(one) for one in side if one) / len(side)) for side in sides_luts)
    return accuracy, ours, theirs, ratio


def _fronts(name: str, seeds: Mapping[int, Sequence[Line]]) -> Iterator[str]:
    yield f"## The front of {TITLES.get(name, name)}"
    yield ""
    yield "| seed | LUTs | of them shift registers | FFs | longest path, ns | validation | test |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for seed, lines in sorted(seeds.items()):
        for one in peers_front.front(lines):
            path = show.DASH if one["path_ns"] is None else f"{one['path_ns']:.1f}"
            yield (
                f"| {seed} | {one['lut']:,} | {one['lutram']:,} | {one['ff']:,} | {path} | "
                f"{show.percent(one['validation'])} | {show.percent(one['test'])} |"
            )
    yield ""
    settings = next(iter(next(iter(seeds.values()))))["task"]["settings"] if seeds else {}
    yield "Settings of the best trial: " + ", ".join(f"{key} {value}" for key, value in settings.items()) + "."
    yield ""


def _exact(every: Sides) -> Iterator[str]:
    """What alkaid's integers and Keras' floats make of the test rows."""
    notes = [line["notes"] for one in every.get(THEIRS, {}).values() for line in one]
    known = [one for one in notes if one.get("differing_values") is not None]
    if known:
        values, classes = (sum(int(one[f"differing_{what}"]) for one in known) for what in ("values", "classes"))
        some = sum(one["differing_values"] > 0 for one in known)
        yield (
            "alkaid's own prediction with integers was compared with Keras' on all test rows: of "
            f"{len(known)} networks {some} differ, in {values:,} outputs and {classes:,} classes altogether. "
            "Accuracies are of the integers."
        )
        yield ""


def _left_out(lines: Sequence[Line]) -> Iterator[str]:
    """What failed for good: a task that ended later is no failure."""
    ended = [line["task"] for line in lines if "name" in line]
    failed = {str(line["task"]): line for line in lines if "failed" in line and line["task"] not in ended}
    counted = {(str(line["task"]), line["name"]) for line in lines if "lut" in line}
    tried = {(str(line["task"]), line["name"]): line for line in lines if "uncounted" in line}
    uncounted = {key: line for key, line in tried.items() if key not in counted}
    for line in failed.values():
        yield f"- {line['task']['side']}, seed {line['task']['seed']}, failed: {_short(line['failed'])}"
    for line in uncounted.values():
        yield f"- {line['task']['side']}, seed {line['task']['seed']}, {line['name']}: {_short(line['uncounted'])}"
    unconverted = {
        (line["task"]["side"], line["task"]["seed"], str(line["task"])): line["training"]["unconverted"]
        for line in lines if "name" in line and line["training"].get("unconverted")
    }  # fmt: skip
    for (side, seed, _), count in unconverted.items():
        yield f"- {side}, seed {seed}: {count:.0f} networks could not be turned into hardware"
    if failed or uncounted or unconverted:
        yield ""


def _short(text: str) -> str:
    return text.splitlines()[0].replace("|", "/")[:200]
