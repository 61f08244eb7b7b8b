# SPDX-License-Identifier: Apache-2.0
"""Fits flows/open/requantizers.yaml and flows/rtl/estimate.yaml.

    python benchmarks/fit_rtl_estimate.py [--channels N] [--designs N] [--results FILE]


Yosys maps implementations of N random channels one by one, each between registers, and random designs over images and
over vectors, whose parts are fitted: what a calibration holds out is held out here too. FILE keeps what was measured,
one design a line. Prints `fits` and `coefficients` of both files, and how far the shipped coefficients are from the
same runs.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from scipy.optimize import nnls

from qap2fpga.backends.rtl import estimate, requant
from qap2fpga.backends.rtl.circuit import Circuit
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.estimate import campaign, designs, fit
from qap2fpga.exact.integers import width
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stream
from qap2fpga.hw.resources import Resources
from qap2fpga.requant import prices
from qap2fpga.requant.implementations import Implementation, Target
from qap2fpga.requant.requantize import candidates, cheapest
from qap2fpga.synth import yosys
from qap2fpga.system.workers import Workers

BOARD = boards.load("pynq-z2")
# What a channel of fewer LUTs is off by does not matter more than in one of so many.
SMALL = 10
# Implementations of one channel that are measured beside the cheapest: those that the cost has to tell from it.
OTHERS = 3


class Run(NamedTuple):
    """One part: what its cost depends on, and what Yosys counts."""

    features: dict[str, float]
    found: float


def main() -> None:
    """Run Yosys, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=24, help="random channels [24]")
    parser.add_argument("--designs", type=int, default=150, help="random designs over images [150]")
    parser.add_argument("--results", type=Path, help="where measured designs are kept")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        implementations = implementation_runs(Path(scratch) / "implementations", rng, chosen.channels)
        results = chosen.results or Path(scratch) / "designs.jsonl"
        parts = design_runs(chosen.designs, chosen.seed + 1, results)
    shipped = prices.load().coefficients
    content = {
        "tools": {"yosys": yosys.version()},
        "flows/open/requantizers.yaml": fitted(implementations, shipped),
        "flows/rtl/estimate.yaml": fitted(parts, {"cells": estimate.load().cells, "parts": estimate.load().parts}, 0.5),
    }
    print(yaml.safe_dump(content, sort_keys=False))


def fitted(
    runs: dict[str, list[Run]], shipped: Mapping[str, Mapping[str, float]], power: float = 1.0
) -> dict[str, Any]:
    """For each kind the coefficients by non-negative least squares, and their errors.

    On the relative error; with a `power` of a half between that and the error in LUTs, as of parts of whole designs.
    """
    result: dict[str, Any] = {"fits": {}, "coefficients": {}}
    for kind, of_kind in sorted(runs.items()):
        names = list(shipped[kind])
        scale = np.array([max(run.found, SMALL) ** power for run in of_kind])
        matrix = np.array([[run.features.get(name, 0) for name in names] for run in of_kind]) / scale[:, None]
        factors, _ = nnls(matrix, np.array([run.found for run in of_kind]) / scale)
        coefficients = {name: round(float(value), 4) for name, value in zip(names, factors, strict=True)}
        result["fits"][kind] = {
            "runs": len(of_kind), **errors(of_kind, coefficients),
            "shipped_coefficients": errors(of_kind, shipped[kind]),
        }  # fmt: skip
        result["coefficients"][kind] = coefficients
    return result


def errors(runs: list[Run], factors: Mapping[str, float]) -> dict[str, float]:
    """Mean and largest relative error in percent, of parts below `SMALL` LUTs relative to that."""
    expected = [sum(factors[name] * value for name, value in run.features.items()) for run in runs]
    differences = [
        abs(value - run.found) / max(run.found, SMALL) * 100 for value, run in zip(expected, runs, strict=True)
    ]
    return {
        "mean_error_percent": round(float(np.mean(differences)), 1),
        "largest_error_percent": round(max(differences), 1),
    }


def implementation_runs(folder: Path, rng: np.random.Generator, channels: int) -> dict[str, list[Run]]:
    """The cheapest implementation of each channel and a few others of each kind, one module an implementation."""
    modules: list[Module] = []
    chosen: list[tuple[Implementation, Target]] = []
    delays = estimate.load().delays(BOARD.family)
    for number in range(channels):
        print(f"channel {number + 1} of {channels}", file=sys.stderr)
        target = random_target(rng)
        best = cheapest(target, prices.load().luts, f"channel {number}")
        for implementation in [best, *others(target, best, rng)]:
            circuit = Circuit(1000.0, delays)
            (x,) = circuit.inputs([(target.low, target.high)])
            result = requant.build(circuit, implementation, x)
            modules.append(Module(f"implementation{len(modules)}", circuit.netlist([result])))
            chosen.append((implementation, target))
    parts = measured(modules, [width(one.low, one.high) for _, one in chosen], folder)
    runs = defaultdict(list)
    for (implementation, target), part in zip(chosen, parts, strict=True):
        runs[type(implementation).__name__.lower()].append(Run(prices.features(implementation, target), part.lut or 0))
    return dict(runs)


def random_target(rng: np.random.Generator) -> Target:
    """A channel as a trained layer has them: 5 or 6 bits out, 10 to 15 bits in, an arbitrary pitch."""
    levels = (1 << int(rng.integers(5, 7))) - 1
    span = 1 << int(rng.integers(10, 16))
    low = -int(rng.integers(span // 4, span // 2))
    high = low + span - 1
    pitch = max(1.0, span / (levels + 1) * rng.uniform(0.4, 0.9))
    start = rng.uniform(low, high - pitch * levels)
    rows = np.unique(np.ceil(start + pitch * np.arange(levels)).astype(np.int64))
    return Target(rows[(rows > low) & (rows <= high)], low, high)


def others(target: Target, best: Implementation, rng: np.random.Generator) -> list[Implementation]:
    """Some implementations that cost little more than `best`, and one of every kind."""
    price = prices.load().luts
    tried = [implementation for implementation in candidates(target) if implementation != best]
    near = [implementation for implementation in tried if price(implementation, target) < 1.5 * price(best, target)]
    picked = [near[index] for index in rng.permutation(len(near))[:OTHERS]]
    kinds = {type(implementation): implementation for implementation in tried}
    return [
        *picked,
        *(implementation for kind, implementation in kinds.items() if not any(isinstance(one, kind) for one in picked)),
    ]


def design_runs(number: int, seed: int, results: Path) -> dict[str, list[Run]]:
    """Parts of the designs that a calibration fits: `cells` of modules' netlists, and `parts` between them."""
    chosen = designs.recipes(designs.IMAGES, number, seed)
    lines = campaign.run("rtl", chosen, results, Workers(1), lambda line: print(line, file=sys.stderr))
    shipped, runs = estimate.load(), defaultdict(list)
    kept, _ = fit.split(campaign.with_expectations([one for one in lines if "failed" not in one], Workers(1)))
    for line in kept:
        for node, luts in zip(line["nodes"], fit.cells_of_nodes("lut", line), strict=True):
            kinds = node.features["lut"]
            if kinds.keys() <= shipped.parts.keys():
                runs["parts"].append(Run(kinds, luts))
            elif kinds.keys() <= shipped.cells.keys():
                runs["cells"].append(Run(kinds, luts))
    return dict(runs)


def measured(modules: list[Module], inputs: list[int], folder: Path) -> list[Resources]:
    """What Yosys counts for each module, as parts of one top level with inputs and outputs of their own."""
    folder.mkdir(parents=True)
    ports, body = ["input wire ap_clk", "input wire move"], []
    for number, (module, bits) in enumerate(zip(modules, inputs, strict=True)):
        (folder / f"{module.name}.v").write_text(module.verilog())
        outputs = sum(width(low, high) for low, high in module.outputs)
        ports += [f"input wire [{bits - 1}:0] x{number}", f"output wire [{outputs - 1}:0] y{number}"]
        body.append(f"{module.name} u{number} (.ap_clk(ap_clk), .move(move), .x(x{number}), .y(y{number}));")
    (folder / "parts.v").write_text("module parts (" + ", ".join(ports) + ");\n" + "\n".join(body) + "\nendmodule\n")
    sources = tuple(itertools.chain((f"{module.name}.v" for module in modules), ["parts.v"]))
    stream = Stream("in0", 1, 1, 8, False)
    design = Design("rtl", folder, "parts", sources, (), stream, stream, 1)
    parts = yosys.measurement(yosys.map_design(design, BOARD, folder / "yosys", threads=1)).parts
    return [parts[f"u{number}"] for number in range(len(modules))]


if __name__ == "__main__":
    main()
