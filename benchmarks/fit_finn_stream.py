# SPDX-License-Identifier: Apache-2.0
"""Fits the coefficients of blocks of graphs in flows/finn/estimate.yaml: `python benchmarks/fit_finn_stream.py`.

Yosys maps random graphs that have every kind of block, in random sizes and foldings, and counts the blocks one by one.
Prints what fit_finn_estimate.py prints: which coefficients these runs do not show are those of products, thresholds,
their memories, converters and logits, which it fits; FIFOs, block RAM of weights and `qap_class` are counted by rules
in estimate.py. A graph takes Yosys one to two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fit_finn_estimate import BOARD, Run, content, measured

from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import cost, library, own
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.search import Search
from qap2fpga.backends.finn.stream.way import legal_keys, plan
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape

FEATURES: dict[type[Block], tuple[str, Callable[[Any], dict[str, float]]]] = {
    library.Pad: ("padding", cost.padding_features), own.Largest: ("pool", cost.largest_features),
    own.Weighted: ("depthwise", cost.weighted_features), own.Add: ("sum", cost.sum_features),
    own.Join: ("concat", cost.join_features), own.Again: ("repeat", cost.again_features),
    own.Fork: ("fork", cost.fork_features), own.Extend: ("extend", cost.extend_features),
    own.Flip: ("flip", cost.flip_features),
}  # fmt: skip


def main() -> None:
    """Run Yosys, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    runs: dict[str, list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(chosen.graphs):
            print(f"graph {number + 1} of {chosen.graphs}", file=sys.stderr)
            parts_of(runs, Path(scratch) / str(number), np.random.default_rng([chosen.seed, number]))
    print(yaml.safe_dump(content(runs), sort_keys=False))


def parts_of(runs: dict[str, list[Run]], folder: Path, random: np.random.Generator) -> None:
    """Add the blocks of one random graph."""
    graph = random_graph(random)
    search = Search(graph, BOARD, "logits")
    keys = legal_keys(graph)
    folding = {}
    for name, choices in search.choices.items():
        lanes = choices[int(random.integers(len(choices)))].lanes
        values = {"SIMD": lanes.simd, "PE": lanes.pe, "PARALLEL": int(lanes.parallel)}
        folding[name] = {key: values[key] for key in keys[name]}
    options = FinnOptions(folding=folding, allow_oversize=True)
    frames = np.zeros((1, graph.inputs), np.int64)
    parts = measured(FinnBackend().generate(graph, BOARD, folder, options, frames), folder)
    for block in plan(graph, BOARD, options).design.drawn.blocks:
        if isinstance(block, library.Windows):
            kind, features = "window", cost.window_features(block)
            if block.at_once:
                kind, features = "parallel window", cost.parallel_features(block)
        elif type(block) in FEATURES:
            kind, of = FEATURES[type(block)]
            features = of(block)
        else:
            continue
        if any(features.values()):
            part = parts[f"u_{block.name}"]
            runs[kind].append(Run(features, part.lut, part.ff))


def random_graph(random: np.random.Generator) -> Graph:
    """Return a graph of all kinds of nodes."""
    rows, columns = (2 * int(random.integers(2, 6)) for _ in range(2))
    channels, width = (int(random.choice([2, 4, 6, 8])) for _ in range(2))
    bits = int(random.integers(2, 5))
    nodes: list[Node] = [
        Input(name=INPUT, size=Shape(channels, rows, columns), quantizer=InputQuantizer(0, (1 << bits) - 1, (1.0,)))
    ]

    def step(name: str, source: str, outputs: int, *, pads: bool = False) -> str:
        cuts = np.sort(random.integers(-40, 41, (outputs, (1 << bits) - 1)), axis=1)
        nodes.append(Requantizer(name=name, sources=(source,), function=Step(cuts, int(pads), 1), bits=bits))
        return name

    def linear(name: str, source: str, inputs: int, outputs: int, geometry: Geometry) -> str:
        weights = random.integers(-3, 4, (inputs * geometry.taps, outputs))
        nodes.append(
            Linear(name=name, sources=(source,), weights=weights, weight_bits=3, input_bits=bits, geometry=geometry)
        )
        return name

    same = Geometry((3, 3), pads=(1, 1, 1, 1))
    step("a1", linear("c1", INPUT, channels, width, same), width, pads=True)
    nodes.append(Depthwise(name="dw", sources=("a1",), weights=random.integers(-3, 4, (9, width)), weight_bits=3,
                           input_bits=bits, geometry=Geometry((3, 3), pads=(1, 1, 1, 1), pad=1)))  # fmt: skip
    step("a2", "dw", width)
    step("a3", linear("c2", "a2", width, width, same), width)
    factors = tuple(int(one) for one in random.choice([-3, -1, 1, 2, 5], 2))
    nodes.append(Sum(name="sum", sources=("a1", "a3"), multipliers=factors))
    step("a4", "sum", width)
    nodes.append(Max(name="pool", sources=("a4",), geometry=Geometry((2, 2), (2, 2))))
    nodes.append(Repeat(name="up", sources=("pool",), rows=2, columns=2))
    nodes.append(Concat(name="cat", sources=("a2", "up")))
    linear("fc", "cat", 2 * width, 2, Geometry((rows, columns)))
    nodes.append(Requantizer(name="out", sources=("fc",), function=Logits(np.full(2, 3), np.zeros(2, np.int64), 0, 0)))
    return verify(Graph(tuple(nodes), "out", Fraction(1)), "a random graph")


if __name__ == "__main__":
    main()
