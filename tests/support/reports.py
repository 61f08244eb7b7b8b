# SPDX-License-Identifier: Apache-2.0
"""Reports made through the schema, as JSON that a test may change, and what is shown of them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from qap2fpga.estimate.prediction import Interval
from qap2fpga.hw import boards
from qap2fpga.report import check, content, schema, table
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.hardware import Board, Design
from qap2fpga.report.schema.network import Bops, Hardware, Layer, LayerBops, Model
from qap2fpga.report.schema.results import (
    Check,
    Cycles,
    Measurement,
    Prediction,
    ResourcePrediction,
    Simulation,
    Timing,
)
from qap2fpga.system.codec import decode, encode

Tree = dict[str, Any]
BOPS = Bops(paper=28100.25, paper_code=99.5, paper_code_rounded=98.5, nonzero_products=9840)
LAYER = Layer(
    name="fc1", inputs=16, outputs=64, weight_bits=6, input_bits=8, weights=1024, zeros=819,
    bops=LayerBops(paper=28100.25, nonzero_products=9840),
    hardware=Hardware(inputs=16, outputs=60, nonzeros=205, accumulator_bits=15),
)  # fmt: skip
MODEL = Model(
    file="net[v2].pt", inputs=16, outputs=5, rows=499, accuracy=0.7615, layers=(LAYER,), bops=BOPS,
    notes=("a note [with brackets]",),
)  # fmt: skip
SIMULATIONS = (
    Simulation(circuit=None, engine="torch", version="2.6", compared="layer by layer", vectors=499, mismatches=0,
               rounding_ties=2, note=""),
    Simulation(circuit="finn", engine="Verilator", version="5.48", compared="RTL", vectors=2164, mismatches=0,
               rounding_ties=None, latency_cycles=137, interval_cycles=64.0, note=""),
)  # fmt: skip
NOTHING = dict.fromkeys(("lutram", "carry", "lut_packed"))
PREDICTED = {"lut": 4900, "ff": 6100, "dsp": 12, "bram18": 4}
PREDICTIONS = (
    Prediction(circuit="finn", what="cycles", stage="estimate", more={"interval_cycles": 64, "latency_cycles": 137},
               order=("circuit", "what", "interval_cycles", "latency_cycles", "stage")),
    ResourcePrediction(
        circuit="finn", what="resources", stage="estimate", of_stage="synthesis", total={**PREDICTED, **NOTHING},
        calibrated=False, intervals={name: Interval.exact(float(value)) for name, value in PREDICTED.items()},
    ),
)  # fmt: skip
TIMING = Timing(
    latency_cycles=Cycles(predicted=137, measured=137), interval_cycles=Cycles(predicted=64, measured=64.0),
    clock_ns=10.0, latency_ns=1370.0, frames_per_second=1562500.0, clock_note="not confirmed",
)  # fmt: skip


def sound(**total: int | None) -> Report:
    """Return the report of a design that is as it should be; `total` are measured resources that differ."""
    cells = {"lut": 5000, "ff": 6000, "dsp": 12, "bram18": 4, **NOTHING, "lutram": 100, **total}
    board = decode(Board, asdict(boards.load("pynq-z2")), "board", "pynq-z2")
    measured = Measurement(circuit="finn", tool="yosys", version="0.70", stage="synthesis", total=cells, parts={})
    return made(
        Report(
            schema=content.SCHEMA, model=MODEL, board=board, backend="finn",
            design=Design(top="top", interval_cycles=64, widened=("fc1: 1-bit weights take 2",)), interface=None,
            simulations=SIMULATIONS, stand_in=None, vendor=None, measurements=(measured,), predictions=PREDICTIONS,
            timing=TIMING, fits=None, checks=(),
        )
    )  # fmt: skip


def made(report: Report, *, allow_oversize: bool = False) -> Report:
    """Return the report with verdict and checks made of the rest, as `collect` does it."""
    report = replace(report, fits=check.fits(report))
    return replace(report, checks=check.all_checks(report, allow_oversize=allow_oversize))


def finished(**total: int | None) -> Tree:
    """Return the `sound` report as JSON."""
    tree: Tree = encode(sound(**total))
    return tree


def read(tree: Tree) -> Report:
    """Return the report that a file with this JSON holds."""
    return schema.read(json.loads(json.dumps(tree)), "report.json")


def stored(folder: Path) -> Tree:
    """Return what the report of the build in `folder` says, as JSON."""
    tree: Tree = encode(content.load(folder))
    return tree


def failed(tree: Tree) -> list[Check]:
    """Return the checks that failed."""
    return check.failed(read(tree))


def closed(tree: Tree, *, allow_oversize: bool = False) -> Tree:
    """Return the same `tree`, with verdict and checks made of the rest."""
    whole = made(read(tree), allow_oversize=allow_oversize)
    tree |= {"fits": encode(whole.fits), "checks": encode(whole.checks)}
    return tree


def failures(tree: Tree, *, allow_oversize: bool = False) -> list[str]:
    """Return the names of the checks that fail."""
    return [one.name for one in failed(closed(tree, allow_oversize=allow_oversize))]


def shown(*trees: Tree) -> str:
    """Return what a terminal shows of one report, or of several."""
    stream = io.StringIO()
    reports = [(f"build{index}", read(one)) for index, one in enumerate(trees)]
    table.render(reports, Console(file=stream, width=160))
    return stream.getvalue()


def row(text: str, label: str) -> list[str]:
    """Return the cells of the first line that begins with `label`."""
    line = next(line for line in text.splitlines() if line.startswith(f"{label} "))
    return re.split(r"\s{2,}", line.strip())[1:]
