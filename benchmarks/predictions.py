# SPDX-License-Identifier: Apache-2.0
"""How far off the shipped calibration is on designs that neither its fit nor its author has seen.

    python benchmarks/predictions.py rtl fresh.jsonl [--designs 40] [--jets 6] [--seed 2] [--processes 2]

Draws random networks of another seed than the calibration's, measures them with Yosys as `qap2fpga calibrate` does, and
prints the errors as JSON. A stopped run goes on with what fresh.jsonl has not. About ten minutes for 46 rtl designs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from qap2fpga.estimate import campaign, draw, fit
from qap2fpga.estimate.calibration import load
from qap2fpga.system.workers import Workers


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("finn", "rtl"))
    parser.add_argument("results", type=Path)
    parser.add_argument("--designs", type=int, default=40)
    parser.add_argument("--jets", type=int, default=6)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    known = load(arguments.backend)
    if known is None or not known.current:
        sys.exit(f"the calibration of {arguments.backend} is not of this program: qap2fpga calibrate --confirm")
    chosen = draw.recipes(arguments.designs, arguments.seed, arguments.jets)
    workers = Workers(arguments.processes)
    lines = campaign.run(
        arguments.backend, chosen, arguments.results, workers, lambda text: print(text, file=sys.stderr)
    )
    good = [line for line in campaign.with_expectations(lines, workers) if "failed" not in line]
    print(json.dumps({"designs": len(good), "failed": len(lines) - len(good), **errors(known.values, good)}, indent=1))


def errors(content: Any, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """By number the mean and largest error in percent by size, and how many designs are outside of their interval."""
    held = [fit.against(line, content) for line in lines]
    table: dict[str, Any] = {}
    for name in content["resources"]:
        rows = [(one.nonzeros, one.measured[name], one.predicted[name]) for one in held]
        table[name] = fit.errors_by_size(rows) | {"outside_interval": sum(not one.inside[name] for one in held)}
    exact = ("dsp", "latency_cycles", "interval_cycles")
    return table | {name: fit.differences(name, lines) for name in exact}


if __name__ == "__main__":
    main()
