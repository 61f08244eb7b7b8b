# SPDX-License-Identifier: Apache-2.0
"""Fits the price by which bits are learned (flows/rtl/price.yaml) to networks that Yosys has counted.

    python -m benchmarks.bits_price FOLDER [--networks 80] [--seed 1] [--processes 2]

Random networks learn random classes to random budgets, are written as Verilog and mapped by Yosys. Half of them are
fitted: adders and requantizers each for themselves, to what the rtl backend expects of them (it is 2 % off what Yosys
counts), since a price of one that makes up for the other is what training finds out. The other half says how good the
fit is beside Yosys' LUTs: mean error, and Spearman's rank correlation; of the shipped price all do. What was measured
is a line of JSON in FOLDER, and is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from scipy.optimize import lsq_linear
from scipy.stats import spearmanr
from torch import nn

from qap2fpga import backends
from qap2fpga.backends.rtl import estimate
from qap2fpga.frontend import saving
from qap2fpga.hw import boards
from qap2fpga.library.measured import luts_of
from qap2fpga.library.network import load
from qap2fpga.qap.bits import Budget
from qap2fpga.qap.bits.budget import split
from qap2fpga.qap.bits.price import FEATURES, features
from qap2fpga.qap.bits.price import fitted as shipped
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import append_json, read_json_lines
from qap2fpga.system.processes import each
from qap2fpga.train.budgeted import network
from qap2fpga.train.predict import LARGE

ROWS, BATCH, CLASSES = 4000, 256, 5
LUTS = (150.0, 15_000.0)
# The kinds of LUTs, by backends/rtl/netlist/count.py, that are of adders; all others are of requantizers.
SUMS = ("sum_bits", "compared_bits", "carry_bits", "inverted_bits")
PARTS = {"adders": ("adder_bits", "growth_bits"), "requantizers": ("requantizer_bits", "bounded_bits")}
Line = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """One network: extents of its layers, the budget that it learns to, and in how many steps."""

    seed: int
    widths: tuple[int, ...]
    luts: float
    steps: int
    per: str

    @staticmethod
    def drawn(seed: int) -> Recipe:
        """Return the recipe of a seed."""
        random = np.random.default_rng(seed)
        hidden = random.integers(1, 4)
        widths = tuple(int(2 ** random.uniform(3, 6.5)) for _ in range(hidden))
        luts = float(np.exp(random.uniform(*np.log(LUTS))))
        per = str(random.choice(["weight"] * 5 + ["channel"]))
        return Recipe(seed, (int(random.integers(8, 33)), *widths, CLASSES), luts, int(random.integers(800, 2500)), per)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and measure what is missing, fit, and print the coefficients and the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    results = chosen.folder / "networks.jsonl"
    recipes = [Recipe.drawn(1000 * chosen.seed + number) for number in range(chosen.networks)]
    done = {line["seed"] for line in read_json_lines(results)}
    missing = [one for one in recipes if one.seed not in done]

    def ended(recipe: Recipe, line: Line | None) -> None:
        append_json(results, line or {"seed": recipe.seed, "failed": "its process ended"})
        print(json.dumps({name: value for name, value in (line or {}).items() if name != "features"}), flush=True)

    each(_measured, missing, chosen.processes, ended)
    wanted = {one.seed for one in recipes}
    lines = [one for one in read_json_lines(results) if one["seed"] in wanted and "failed" not in one]
    if len(lines) < 2 * len(FEATURES):
        raise SystemExit(f"{len(lines)} networks are too few to fit {len(FEATURES)} coefficients")
    print(yaml.safe_dump({"shipped": errors(lines, shipped()), "anew": fitted(lines)}, sort_keys=False))
    return 0


def trained(recipe: Recipe) -> tuple[nn.Sequential, torch.Tensor]:
    """Return the network of `recipe`, trained to its budget on random clusters, and the rows."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    y = torch.arange(ROWS) % CLASSES
    centres = torch.randn(3 * CLASSES, recipe.widths[0])
    x = centres[y + CLASSES * torch.randint(0, 3, (ROWS,))] + torch.randn(ROWS, recipe.widths[0])
    module = network(recipe.widths, recipe.per)
    budget = Budget(module, recipe.luts, steps=recipe.steps, wait=50)
    weights, bits = split(module)
    optimizer = torch.optim.Adam([{"params": weights, "lr": 3e-3}, {"params": bits, "lr": 1.5e-2}])
    while not budget.is_met:
        rows = torch.randint(0, ROWS, (BATCH,))
        optimizer.zero_grad()
        (nn.functional.cross_entropy(module(x[rows]), y[rows]) + budget.loss()).backward()
        optimizer.step()
        budget.step()
    return module.eval(), x


def _measured(recipe: Recipe) -> Line:
    begin, line = time.monotonic(), asdict(recipe)
    try:
        module, rows = trained(recipe)
        line["features"] = features(module).tolist()
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.pt"
            saving.save(module, rows[:32], model, None, {})
            line["lut"], line["expected"] = luts_of(model), expected(model)
    except QapError as error:
        line["failed"] = str(error)
    return line | {"seconds": round(time.monotonic() - begin, 1)}


def expected(model: Path) -> dict[str, float]:
    """Return the LUTs that the rtl backend expects of a network's `PARTS`."""
    backend, graph = backends.get("rtl"), load(model, quiet=True).graph
    nodes = backend.expect(graph, boards.load(LARGE), backend.make_options(allow_oversize=True)).nodes
    luts, prices = dict.fromkeys(PARTS, 0.0), estimate.load().cells
    for node in nodes:
        for kind, number in node.features["lut"].items():
            if kind in prices:
                luts["adders" if kind in SUMS else "requantizers"] += number * prices[kind]
    return luts


def fitted(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the coefficients, fitted to every second of `lines`, and how far the others are off."""
    coefficients: dict[str, float] = {}
    for part, names in PARTS.items():
        rows = np.array([[one["features"][FEATURES.index(name)] for name in names] for one in lines[::2]])
        luts = np.array([max(one["expected"][part], 1.0) for one in lines[::2]])
        weights = lsq_linear(rows / luts[:, None], np.ones(len(luts)), bounds=(0.0, np.inf)).x
        coefficients |= {name: round(float(one), 4) for name, one in zip(names, weights, strict=True)}
    return {"coefficients": coefficients, "fitted": len(lines[::2]), **errors(lines[1::2], coefficients)}


def errors(lines: Sequence[Line], coefficients: Mapping[str, float]) -> dict[str, Any]:
    """Return how far the price with these coefficients is off in `lines`, none of which was fitted."""
    rows, luts = _arrays(lines)
    priced = rows @ [coefficients[name] for name in FEATURES]
    off = 100 * np.abs(priced / luts - 1)
    return {
        "hold_out": len(luts), "luts": [int(luts.min()), int(luts.max())],
        "mean_error_percent": round(float(off.mean()), 1), "largest_error_percent": round(float(off.max()), 1),
        "spearman": round(float(spearmanr(priced, luts).statistic), 4),
    }  # fmt: skip


def _arrays(lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray]:
    """The features (networks, features) and the LUTs (networks,)."""
    return np.array([one["features"] for one in lines]), np.array([one["lut"] for one in lines], float)


if __name__ == "__main__":
    sys.exit(main())
