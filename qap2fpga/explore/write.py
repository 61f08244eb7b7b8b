# SPDX-License-Identifier: Apache-2.0
"""An exploration as files: `explore.json`, `explore.csv` and the page `explore.html`; `docs/explore.md` lists them."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qap2fpga.explore import show
from qap2fpga.explore.builds import Built
from qap2fpga.explore.choose import Point
from qap2fpga.explore.limits import WORDS
from qap2fpga.explore.result import Explored
from qap2fpga.report import page
from qap2fpga.report.exploration import Exploration, Row
from qap2fpga.report.gather import Gathered
from qap2fpga.system.files import write_atomically
from qap2fpga.system.names import cell

SCHEMA = 1
KNOWN = ("accuracy", "accuracy_rows", "accuracy_data", "mean_auc", "weight_bits", "activation_bits", "zeros",
         "bops_paper", "bops_nonzero_products")  # fmt: skip
MEASURED = ("tool", "tool_version", "stage", *WORDS, "frames_per_second", "checks", "checks_failed", "checks_not_run")


def write(explored: Explored) -> None:
    """Write all three into the output folder."""
    output = explored.request.output
    points = [_values(one, explored.built.get(one.candidate.name), output) for one in explored.points]
    content = {
        "schema": SCHEMA,
        "limits": asdict(explored.request.limits),
        "wanted": explored.request.build,
        "met": explored.met,
        "left_out": list(explored.left_out),
        "points": points,
    }
    write_atomically(output / "explore.json", json.dumps(content, indent=1) + "\n")
    write_atomically(output / "explore.csv", _as_csv(points))
    built = tuple(one.build for one in explored.built.values() if one.build is not None)
    gathered = Gathered(built, (), explored.left_out)
    write_atomically(output / "explore.html", page.render(gathered, output, _for_the_page(explored)))


def _values(one: Point, built: Built | None, output: Path) -> dict[str, Any]:
    """A point as plain values; `output` is where the paths in it start."""
    candidate = one.candidate
    return {
        "name": candidate.name,
        "network": candidate.network.name,
        "model": os.path.relpath(candidate.network.path, output),
        "model_sha256": candidate.network.sha256,
        "backend": candidate.target.backend,
        "board": candidate.target.board.name,
        "clock_ns": candidate.target.clock_ns,
        "options": candidate.target.varied,
        **{name: getattr(one.summary, name) for name in KNOWN},
        "status": one.status,
        "why": one.failed or [excess.text for excess in one.certain or one.expected],
        "best": one.best,
        "rank": one.rank,
        "estimate": _estimate(one) if one.predicted else None,
        "build": None if built is None else _build(built, output),
    }


def _estimate(one: Point) -> dict[str, Any]:
    """By quantity value, low and high; the interval in cycles beside them."""
    numbers = {name: {"value": it.value, "low": it.low, "high": it.high} for name, it in one.predicted.items()}
    return {"calibrated": one.calibrated, **numbers, "frames_per_second": one.summary.frames_per_second}


def _build(built: Built, output: Path) -> dict[str, Any]:
    measured = built.build.summary if built.build is not None else None
    return {
        "folder": os.path.relpath(built.folder, output),
        "meets": built.meets,
        "why": built.failed or list(built.breaks),
        **{name: getattr(measured, name, None) for name in MEASURED},
    }


def _as_csv(points: list[dict[str, Any]]) -> str:
    """A row a point; `estimate.lut.low` is the column of that number in the JSON, an unknown one is empty."""
    rows = [_flat(one) for one in points]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _flat(tree: dict[str, Any], start: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            values |= _flat(value, f"{start}{key}.")
        elif value is not None:
            values[f"{start}{key}"] = cell("; ".join(value) if isinstance(value, list) else value)
    return values


def _for_the_page(explored: Explored) -> Exploration:
    rows = []
    for one in show.ordered(explored):
        built = explored.built.get(one.candidate.name)
        measured = built.build.summary if built is not None and built.build is not None else None
        good = None if built is None else built.meets
        rows.append(Row(one.summary, measured, one.best, show.outcome(one, built), good))
    failed = tuple((one.candidate.name, one.failed) for one in explored.points if one.failed)
    return Exploration(show.title(explored), show.limits(explored.request.limits), tuple(rows), failed)
