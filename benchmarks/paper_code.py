# SPDX-License-Identifier: Apache-2.0
"""What each mistake of the paper's code changes: runs with one mistake each against runs without, on the same data.

    python benchmarks/paper_code.py --folder runs/paper-code            # prints the table of docs/paper-code.md

A stopped run of this program resumes: every training has a folder of its own. `shared_checkpoint` only shows when
another training runs in the same working directory, so there two run side by side; which of them writes last is
chance, and that row is not reproducible to the bit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qap2fpga.train import config as settings
from qap2fpga.train.paper import MISTAKES
from qap2fpga.train.run import run
from qap2fpga.train.settings import RunConfig

# The paper's loss, L1 and batch; its learning rate and epochs were chosen for forty times the rows.
BASE = {
    "training.loss": "binary_cross_entropy",
    "training.l1": 1e-4,
    "training.batch": 1024,
    "training.epochs": 40,
    "pruning.epochs": 10,
    "pruning.sparsity": 0.9,
    "pruning.steps": 4,
}
Measure = Callable[[dict[str, Any]], float]
MEASURES: dict[str, Measure] = {
    "accuracy %": lambda test: 100 * test["accuracy"],
    "mean AUC %": lambda test: 100 * test["mean_auc"],
    "background efficiency %": lambda test: 100 * test["mean_background_efficiency"]["value"],
}


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs go")
    parser.add_argument("--data", default="simulated", help="as data.source")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each kind, from seed 1 on")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    base = settings.of_source(
        arguments.data if arguments.data in ("simulated", "openml") else str(Path(arguments.data).absolute())
    )
    for path, value in BASE.items():
        base = settings.replace(base, path, value)
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # where shared_checkpoint writes its file
    seeds = range(1, arguments.seeds + 1)
    print("| schedule | mistake | " + " | ".join(MEASURES) + " | non-zero weights |")
    print("| --- | --- | " + "--- | " * (len(MEASURES) + 1))
    plain: dict[str, list[dict[str, Any]]] = {}
    for schedule in ("fine_tuning", "lottery_ticket"):
        chosen = settings.replace(base, "pruning.schedule", schedule)
        plain[schedule] = [trained(replace(chosen, seed=seed), folder) for seed in seeds]
        print(row(schedule, "none", plain[schedule], None))
    for mistake in MISTAKES:
        schedule = "lottery_ticket" if mistake == "rewind_without_copy" else "fine_tuning"
        chosen = replace(settings.replace(base, "pruning.schedule", schedule), paper_code=(mistake,))
        beside = mistake == "shared_checkpoint"
        records = [trained(replace(chosen, seed=seed), folder, beside=beside) for seed in seeds]
        print(row(schedule, mistake, records, plain[schedule]))


def trained(config: RunConfig, folder: Path, *, beside: bool = False) -> dict[str, Any]:
    """The record of the last step; `beside`: while a 4-bit run goes on in the same working directory."""
    name = "-".join((config.pruning.schedule, *config.paper_code, str(config.seed)))
    if not beside:
        return run(config, folder / name, quietly)["steps"][-1]
    other = settings.replace(config, "model.bits", 4)
    process = multiprocessing.get_context("spawn").Process(target=run, args=(other, folder / f"{name}-beside", quietly))
    process.start()
    try:
        return run(config, folder / name, quietly)["steps"][-1]
    finally:
        process.join()


def quietly(_line: str) -> None:
    """Runs are many, their lines nobody's concern."""


def row(schedule: str, mistake: str, records: list[dict[str, Any]], plain: list[dict[str, Any]] | None) -> str:
    """Mean and standard deviation over seeds; the differences from the run of the same seed without mistake."""
    cells = []
    for measure in MEASURES.values():
        values = [measure(record["metrics"]["test"]) for record in records]
        if plain is not None:
            values = [value - measure(one["metrics"]["test"]) for value, one in zip(values, plain, strict=True)]
        sign = "+" if plain is not None else ""
        cells.append(f"{statistics.mean(values):{sign}.2f} ± {statistics.stdev(values):.2f}")
    nonzero = statistics.mean(sum(record["nonzeros"].values()) for record in records)
    return f"| {schedule} | {mistake} | {' | '.join(cells)} | {nonzero:.0f} |"


if __name__ == "__main__":
    main()
