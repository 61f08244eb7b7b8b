# SPDX-License-Identifier: Apache-2.0
"""Fits the coefficients of `sparse` in flows/finn/estimate.yaml: `python benchmarks/fit_finn_sparse.py RUNS.jsonl`.

Yosys maps random sparse units, several in one design, each a part that it counts. Every unit is a line of RUNS.jsonl;
what is there is not measured again. Prints what fit_finn_estimate.py prints, and what a unit is off by that was not
among those fitted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fit_finn_estimate import Run, connect, content, fitted, measured, stream

from qap2fpga.backends.finn import estimate
from qap2fpga.backends.finn.padding import divisors
from qap2fpga.backends.finn.sources import Sources
from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.sparse.schedule import QUEUES
from qap2fpga.backends.finn.stream import cost
from qap2fpga.backends.finn.stream.blocks import Kind, text_of
from qap2fpga.backends.finn.stream.blocks import Stream as Edge
from qap2fpga.backends.finn.stream.sparse import Sparse
from qap2fpga.exact.integers import width
from qap2fpga.hw.design import Design, Stream
from qap2fpga.system.files import append_json, read_json_lines

# Lanes of a unit at most, and its slots: larger ones take Yosys minutes, and have nothing that these have not.
MOST_LANES, SLOTS = 24, range(8, 1000)
# Weights per lane, and the part of its slots that is used: of fewer most of a lane is constant, and vanishes.
LEAST_WEIGHTS, LEAST_USED = 5, 0.3


@dataclass(frozen=True)
class Recipe:
    """A unit: its matrix, what comes in, and how it is folded."""

    seed: int
    inputs: int
    outputs: int
    density: float
    weight_bits: int
    input_bits: int
    signed: bool
    simd: int
    pe: int
    banks: int
    queue: int
    cross: bool

    def block(self) -> Sparse:
        """Return the unit."""
        random = np.random.default_rng(self.seed)
        high = (1 << self.weight_bits - 1) - 1
        weights = random.integers(1, high + 1, (self.inputs, self.outputs))
        weights *= random.choice([-1, 1], weights.shape) * (random.random(weights.shape) < self.density)
        kind = Kind(self.input_bits, self.signed)
        ends = np.abs(weights).sum(axis=0).max() * max(-kind.low, kind.high)
        sums = Kind(max(width(-int(ends) - 1, int(ends)), self.weight_bits + self.input_bits), True)
        return Sparse(
            name=f"sparse_{self.seed}", node="", sources=("in",), taken=Edge((1, 1, self.inputs), self.simd, kind),
            given=Edge((1, 1, self.outputs), self.pe, sums), matrix=Matrix("", weights, self.weight_bits),
            banks=self.banks, queue=self.queue, cross=self.cross,
        )  # fmt: skip


def main() -> None:
    """Run Yosys, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--units", type=int, default=60)
    parser.add_argument("--together", type=int, default=6)
    chosen = parser.parse_args()
    recipes: list[Recipe] = []
    seed = 0
    while len(recipes) < chosen.units:
        recipe = drawn(seed)
        block, lanes = recipe.block(), recipe.pe * recipe.banks
        weights = block.matrix.products
        if lanes <= MOST_LANES and block.slots in SLOTS and weights >= lanes * max(
            LEAST_WEIGHTS, LEAST_USED * block.slots
        ):  # fmt: skip
            recipes.append(recipe)
        seed += 1
    known = {line["recipe"]["seed"] for line in read_json_lines(chosen.results)}
    missing = [one for one in recipes if one.seed not in known]
    for at in range(0, len(missing), chosen.together):
        print(f"{at} of {len(missing)} units", file=sys.stderr)
        measure(missing[at : at + chosen.together], chosen.results)
    report(chosen.results, {one.seed: one for one in recipes})


def drawn(seed: int) -> Recipe:
    """Return a random unit."""
    random = np.random.default_rng([2026, seed])
    inputs = int(random.choice([8, 16, 27, 36, 48, 64, 96, 128, 192, 256]))
    outputs = int(random.choice([5, 8, 16, 24, 32, 48, 64, 96]))
    banks = int(random.choice([1, 2, 3, 4, 6, 8]))
    simd = int(random.choice([one for one in divisors(inputs) if one <= 16 and (one < banks or one % banks == 0)]))
    return Recipe(
        seed, inputs, outputs, float(random.choice([0.05, 0.1, 0.2, 0.3, 0.5])), int(random.integers(2, 9)),
        int(random.integers(1, 9)), bool(random.random() < 0.25), simd,
        int(random.choice(divisors(outputs))), banks, int(random.choice(QUEUES)),
        simd < banks or (banks > 1 and bool(random.random() < 0.5)),
    )  # fmt: skip


def measure(recipes: list[Recipe], results: Path) -> None:
    """Map the units of one design and add their lines."""
    blocks = [one.block() for one in recipes]
    with tempfile.TemporaryDirectory() as scratch:
        sources = Sources(Path(scratch) / "rtl")
        sources.add_own("qap_sparse.sv")
        ports, body = ["input wire ap_clk", "input wire ap_rst_n"], []
        for block in blocks:
            ports += stream("input", "output", f"{block.name}_in", block.taken.bits)
            ports += stream("output", "input", f"{block.name}_out", block.given.bits)
            parameters = text_of(block.parameters())
            for key, (words, bits) in block.contents().items():
                name = f"{block.name}_{key.lower()}.dat"
                sources.add_data(name, "".join(f"{word:0{-(-bits // 4)}x}\n" for word in words))
                parameters += f', .{key}("./{name}")'
            wires = (connect(f"{port}0_V_T", f"{block.name}_{port}", str.upper) for port in ("in", "out"))
            body.append(
                f"qap_sparse #({parameters}) {block.name} (.ap_clk(ap_clk), .ap_rst_n(ap_rst_n), {', '.join(wires)});"
            )
        sources.add("parts.v", "module parts (" + ", ".join(ports) + ");\n" + "\n".join(body) + "\nendmodule\n")
        design = Design("finn", sources.folder, "parts", tuple(sources.verilog), tuple(sources.data),
                        Stream("in0", 1, 1, 8, False), Stream("out0", 1, 1, 8, False), 1)  # fmt: skip
        parts = measured(design, Path(scratch))
    for recipe, block in zip(recipes, blocks, strict=True):
        append_json(results, {"recipe": asdict(recipe), "slots": block.slots, "cells": asdict(parts[block.name])})


def report(results: Path, recipes: dict[int, Recipe]) -> None:
    """Print coefficients, their errors, and which memories are not as expected."""
    runs: list[Run] = []
    for line in read_json_lines(results):
        recipe, cells = recipes.get(line["recipe"]["seed"]), line["cells"]
        if recipe is None:
            continue
        block = recipe.block()
        memory = cost.sparse_memory(block)
        if memory != {name: cells[name] for name in memory}:
            print(f"# {recipe}: {memory}, measured {cells}")
        values = cost.sparse_features(block) | {"memory": float(memory["lutram"])}
        runs.append(Run(values, cells["lut"], cells["ff"]))
    found: dict[str, Any] = content({"sparse": runs})
    found["not_among_those_fitted"] = {resource: left_out(runs, resource) for resource in ("lut", "ff")}
    print(yaml.safe_dump({key: value for key, value in found.items() if key != "not_fitted"}, sort_keys=False))


def left_out(runs: list[Run], resource: str) -> dict[str, float]:
    """Return the errors, in percent, of each run with coefficients that the others give."""
    names = list(estimate.coefficients()["sparse"][resource])
    errors = []
    for number, run in enumerate(runs):
        factors = fitted(runs[:number] + runs[number + 1 :], resource, names)
        expected = sum(factor * run.features[name] for name, factor in factors.items())
        errors.append(abs(expected - getattr(run, resource)) / max(getattr(run, resource), 50) * 100)
    return {"mean": round(float(np.mean(errors)), 1), "largest": round(float(max(errors)), 1)}


if __name__ == "__main__":
    main()
