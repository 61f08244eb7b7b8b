# SPDX-License-Identifier: Apache-2.0
"""Pruning that fits sparse units against pruning that does not: accuracy, cycles, resources of the jet network.

    python -m benchmarks.sparse_pruning benchmarks/sparse_pruning.jsonl

Each network is trained and pruned by `qap2fpga train`, then generated, simulated in Verilator and mapped by Yosys as in
`sparse.py`, whose page has the results. What is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import qap2fpga
from benchmarks.sparse import taken
from qap2fpga.system.files import append_json, read_json_lines, shipped
from qap2fpga.train import config
from qap2fpga.train.run import run

SEEDS = (1, 2)
# Of four lanes each keeps at least one weight of the four that it reads of a neuron of the first layer.
SPARSITY, LANES = 0.75, 4
SCOPES: dict[str, dict[str, Any]] = {
    "global": {"scope": "global"}, "layer": {"scope": "layer"}, "balanced": {"scope": "balanced", "lanes": LANES},
}  # fmt: skip
# Cycles per frame that are asked for.
INTERVALS = (64, 24)


def settings(scope: str, seed: int) -> dict[str, Any]:
    """Return the training: 16-64-32-32-5, 6 bits, pruned in five steps; everything else as it is by default."""
    return {
        "data": {"source": str(shipped("examples") / "jets.npz")},
        "training": {"epochs": 30, "patience": 8},
        "pruning": {"sparsity": SPARSITY, "steps": 5, "epochs": 5, **SCOPES[scope]},
        "seed": seed,
    }


def measure(scope: str, seed: int) -> dict[str, Any]:
    """Return how good a pruned network is, and what its designs take."""
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as scratch:
        folder = Path(scratch) / "run"
        record = run(config.from_dict(settings(scope, seed)), folder, lambda line: None)
        last = record["steps"][-1]
        graph = qap2fpga.load(folder / last["checkpoint"], compare=False, quiet=True).graph
    line = {
        "scope": scope, "seed": seed, "accuracy": last["metrics"]["test"]["accuracy"],
        "sparsity": last["integer_sparsity"], "designs": [taken(graph, cycles, "always") for cycles in INTERVALS],
    }  # fmt: skip
    print(f"{scope}, seed {seed}: {line['accuracy']:.4f}", file=sys.stderr)
    return line


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    chosen = parser.parse_args()
    done = [(line["scope"], line["seed"]) for line in read_json_lines(chosen.results)]
    for seed in SEEDS:
        for scope in SCOPES:
            if (scope, seed) not in done:
                append_json(chosen.results, json.loads(json.dumps(measure(scope, seed))))


if __name__ == "__main__":
    main()
