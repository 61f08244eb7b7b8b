# SPDX-License-Identifier: Apache-2.0
"""Fits the coefficients of flows/finn/estimate.yaml: `python benchmarks/fit_finn_estimate.py [--networks N]`.

Yosys maps width converters and weight memories of many sizes, and N small networks whose nodes of FINN it counts
one by one. Prints the file's `tools`, `fits` and `coefficients`, how far the shipped coefficients are from the same
runs, and which of them are of other parts: blocks of graphs are fitted by fit_finn_stream.py. A network takes Yosys ten
seconds to a minute.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from scipy.optimize import nnls

from qap2fpga import backends
from qap2fpga.backends.finn import estimate, output_stage, plan
from qap2fpga.backends.finn.folding import Costs, divisors
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.sources import Sources
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import Unit, dense
from qap2fpga.synth import yosys

BOARD = boards.load("pynq-z2")
# What a part of fewer cells is off by does not matter more than in one of so many.
SMALL = 50
# (bits in, bits out) of width converters, and (bits, depth, density) of weight memories.
CONVERTERS = (
    (24, 36), (36, 24), (18, 30), (30, 18), (12, 42), (54, 96), (96, 40), (40, 96), (48, 30), (8, 20), (28, 12),
    (6, 24), (8, 64), (12, 96), (24, 6), (64, 8), (96, 12), (128, 72), (72, 128), (10, 14),
)  # fmt: skip
MEMORIES = (
    (24, 8, 1.0), (48, 16, 0.5), (96, 16, 0.2), (96, 32, 0.1), (192, 14, 0.2), (48, 32, 0.5), (32, 64, 0.2),
    (48, 64, 1.0), (96, 64, 0.1), (48, 100, 0.2), (36, 124, 0.5), (36, 120, 0.1), (144, 31, 0.2), (64, 4, 0.2),
    (384, 16, 0.2),
)  # fmt: skip


class Run(NamedTuple):
    """One part: its features, and what Yosys counts."""

    features: dict[str, float]
    lut: int
    ff: int


def main() -> None:
    """Run Yosys, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=12, help="random networks of two layers [12]")
    parser.add_argument("--products", type=int, default=64, help="largest SIMD * PE in them [64]")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    runs: dict[str, list[Run]] = defaultdict(list)
    rng = np.random.default_rng(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        plain_parts(runs, Path(scratch), rng)
        for number in range(chosen.networks):
            print(f"network {number + 1} of {chosen.networks}", file=sys.stderr)
            network_parts(runs, Path(scratch) / str(number), rng, chosen.products)
    print(yaml.safe_dump(content(runs), sort_keys=False))


def content(runs: Mapping[str, list[Run]]) -> dict[str, Any]:
    """Return what the file holds of these runs, and which of its coefficients are of others."""
    fits: dict[str, Any] = {}
    factors: defaultdict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for kind, resources in estimate.coefficients().items():
        for resource, shipped in resources.items() if runs.get(kind) else ():
            coefficients = factors[kind][resource] = fitted(runs[kind], resource, list(shipped))
            fits[f"{kind} {resource}"] = {
                "runs": len(runs[kind]),
                **errors(runs[kind], resource, coefficients),
                "shipped_coefficients": errors(runs[kind], resource, shipped),
            }
    return {
        "tools": {"yosys": yosys.version(), "finn-plus": metadata.version("finn-plus")},
        "not_fitted": [kind for kind in estimate.coefficients() if not runs.get(kind)],
        "fits": fits,
        "coefficients": dict(factors),
    }


def fitted(runs: list[Run], resource: str, features: list[str]) -> dict[str, float]:
    """Non-negative least squares on the relative error."""
    counts = np.array([getattr(run, resource) for run in runs])
    scale = np.maximum(counts, SMALL)
    matrix = np.array([[run.features[name] for name in features] for run in runs]) / scale[:, None]
    factors, _ = nnls(matrix, counts / scale)
    return {name: round(float(value), 4) for name, value in zip(features, factors, strict=True)}


def errors(runs: list[Run], resource: str, factors: dict[str, float]) -> dict[str, float]:
    """Mean and largest relative error in percent, of parts below `SMALL` cells relative to that."""
    differences = []
    for run in runs:
        count = getattr(run, resource)
        expected = sum(value * run.features[name] for name, value in factors.items())
        differences.append(abs(expected - count) / max(count, SMALL) * 100)
    return {
        "mean_error_percent": round(float(np.mean(differences)), 1),
        "largest_error_percent": round(max(differences), 1),
    }


def plain_parts(runs: dict[str, list[Run]], folder: Path, rng: np.random.Generator) -> None:
    """All converters and memories as parts of one top level, each with ports of its own."""
    sources = Sources(folder / "rtl")
    sources.add_library("StreamingDataWidthConverter_rtl")
    sources.add_own("qap_weights.sv")
    ports, body = ["input wire ap_clk", "input wire ap_rst_n"], []
    clock = ".ap_clk(ap_clk), .ap_rst_n(ap_rst_n)"
    named: list[tuple[str, str, dict[str, float]]] = []
    for number, (before, after) in enumerate(CONVERTERS):
        kind, features = estimate.converter_features(before, after)
        name = f"dwc{number}"
        ports += stream("input", "output", f"{name}i", before) + stream("output", "input", f"{name}o", after)
        body.append(
            f"dwc_axi #(.IBITS({before}), .OBITS({after})) {name} ({clock}, "
            f"{connect('s_axis_t', f'{name}i', str.lower)}, {connect('m_axis_t', f'{name}o', str.lower)});"
        )
        named.append((name, kind, features))
    for number, (bits, depth, density) in enumerate(MEMORIES):
        name = f"rom{number}"
        weights = rng.integers(-31, 32, (depth, bits // 6 + 1)) * (rng.random((depth, bits // 6 + 1)) < density)
        words = [
            sum((int(value) & 63) << (6 * at) for at, value in enumerate(row)) & ((1 << bits) - 1) for row in weights
        ]
        sources.add_data(f"{name}.dat", "".join(f"{word:x}\n" for word in words))
        ports += stream("output", "input", name, bits)
        body.append(
            f'qap_weights #(.WIDTH({bits}), .DEPTH({depth}), .FILE("./{name}.dat")) {name} ({clock}, '
            f"{connect('out0_V_T', name, str.upper)});"
        )
        named.append((name, "weights", estimate.weights_features(bits, depth, density)))
    sources.add("parts.v", "module parts (" + ", ".join(ports) + ");\n" + "\n".join(body) + "\nendmodule\n")
    parts = measured(Design("finn", sources.folder, "parts", tuple(sources.verilog), tuple(sources.data),
                            Stream("in0", 1, 1, 8, False), Stream("out0", 1, 1, 8, False), 1), folder)  # fmt: skip
    for name, kind, features in named:
        runs[kind].append(Run(features, parts[name].lut, parts[name].ff))


def stream(forward: str, backward: str, name: str, bits: int) -> list[str]:
    """Declarations of a stream's ports."""
    width = -(-bits // 8) * 8
    return [
        f"{forward} wire [{width - 1}:0] {name}_data",
        f"{forward} wire {name}_valid",
        f"{backward} wire {name}_ready",
    ]


def connect(port: str, name: str, case: Any) -> str:
    """Connections of a stream's ports."""
    return ", ".join(f".{port}{case(part)}({name}_{part})" for part in ("data", "valid", "ready"))


def network_parts(runs: dict[str, list[Run]], folder: Path, rng: np.random.Generator, products: int) -> None:
    """The nodes of one random network."""
    network, foldings = random_network(rng, products)
    options = FinnOptions(folding={f"MVAU_rtl_{at}": {"SIMD": s, "PE": p} for at, (s, p) in enumerate(foldings)},
                          allow_oversize=True)  # fmt: skip
    design = backends.get("finn").generate(network, BOARD, folder, options, np.zeros((1, network.inputs), np.int64))
    parts = measured(design, folder)
    planned = plan.plan(network, last_thresholds=True)
    costs = Costs(planned, network, BOARD, "logits")
    for index, (layer, (simd, pe)) in enumerate(zip(planned.layers, foldings, strict=True)):
        node = costs.mvau(index, layer.mw, layer.mh, simd, pe)
        part = parts[f"u_MVAU_rtl_{index}"]
        runs["mvau"].append(Run(estimate.mvau_features(node), part.lut, part.ff))
        if 1 < node.cycles < estimate.WEIGHT_BLOCK_RAM_DEPTH:
            part = parts[f"u_MVAU_rtl_{index}_weights"]
            bits = simd * pe * layer.weight_bits
            runs["weights"].append(Run(estimate.weights_features(bits, node.cycles, node.density), part.lut, part.ff))
        thresholds = costs.thresholding(index, layer.mh, pe)
        if thresholds is not None:
            part = parts[f"u_Thresholding_rtl_{index}"]
            runs["thresholding"].append(Run(estimate.thresholding_features(thresholds), part.lut, part.ff))
    (module,) = output_stage.build(network, "logits", foldings[-1][1], planned.layers[-1].accumulator_bits).modules
    part = parts["u_qap_logits"]
    features = estimate.logits_features(foldings[-1][1], planned.layers[-1].mh // foldings[-1][1],
                                        module.multiplier_bits, module.sum_bits, module.in_bits)  # fmt: skip
    runs["logits"].append(Run(features, part.lut, part.ff))


def measured(design: Design, folder: Path) -> dict[str, Any]:
    """What Yosys counts for each instance of the top level."""
    return yosys.measurement(yosys.map_design(design, BOARD, folder / "synthesize", threads=1)).parts


def random_network(rng: np.random.Generator, products: int) -> tuple[Graph, list[tuple[int, int]]]:
    """Two layers of 2 to 8 bits, thresholds spread over the accumulators; a folding of `products` a cycle at most."""
    bits = int(rng.integers(2, 9))
    sizes = [int(rng.choice((8, 12, 16, 24, 30))), int(rng.choice((8, 15, 16, 20, 32))), 5]
    layers: list[Unit] = []
    ends = np.full(sizes[0], -128), np.full(sizes[0], 127)
    foldings = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        largest = (1 << (bits - 1)) - 1
        weights = rng.integers(-largest, largest + 1, (inputs, outputs)) * (
            rng.random((inputs, outputs)) < rng.choice((0.2, 0.5, 1))
        )
        weights[rng.integers(inputs, size=outputs), np.arange(outputs)] = 1
        last = Logits(rng.integers(900, 9000, outputs), rng.integers(-50000, 50000, outputs), 6, 8)
        layer = dense(f"fc{index}", weights, last, bits, 8 if index == 0 else bits, bits)
        low, high = layer.range(*ends)
        if index == 0:
            cuts = rng.integers(low[:, None], high[:, None] + 1, (outputs, (1 << bits) - 1))
            layer = layer.changed(activation=Step(np.sort(cuts, axis=1)))
        layers.append(layer)
        ends = layer.activation.range(low, high)
        legal = [(s, p) for s in divisors(inputs) for p in divisors(outputs) if s * p <= products]
        foldings.append(legal[rng.integers(len(legal))])
    return chain(tuple(layers), InputQuantizer(-128, 127, (1.0,)), Fraction(1)), foldings


if __name__ == "__main__":
    main()
