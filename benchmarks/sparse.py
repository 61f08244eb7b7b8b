# SPDX-License-Identifier: Apache-2.0
"""What skipping zeros saves: pruned networks at the same interval, with FINN's matrix units and with sparse ones.

    python -m benchmarks.sparse RESULTS.jsonl [--only NAME] [--page docs/sparse.md]

Each design is generated, simulated in Verilator at full speed and one frame at a time, and mapped by Yosys. A line of
RESULTS.jsonl has what came of it; what is there is not done again. Weights of all but the jet network are drawn. The
page has what `sparse_pruning.py` left beside RESULTS.jsonl, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qap2fpga
from benchmarks.sparse_page import page
from qap2fpga import backends
from qap2fpga.estimate.images import Drawing, Numbers
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design
from qap2fpga.ir import outputs
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.synth import yosys
from qap2fpga.system.files import append_json, read_json_lines, shipped, write_atomically
from qap2fpga.verify import rtl
from qap2fpga.verify.verilator import Schedule

SEED = 2021
BOARD = boards.load("pynq-z2")
# Cycles per frame that are asked for, and frames that are simulated at full speed beside those that fill the design.
INTERVALS = {"jets": 64, "digits": 392, "stack": 20_000}
FRAMES, LONE = 20, 2
# What sparse_pruning.py leaves beside the results.
PRUNING = "sparse_pruning.jsonl"


class Balanced(Drawing):
    """Networks of which each output has one weight in every stretch of inputs as long as the density says."""

    def _weights(self, inputs: int, outputs: int) -> np.ndarray:
        stretch = round(1 / self.numbers.density)
        largest = (1 << self.numbers.weight_bits - 1) - 1
        weights = np.zeros((inputs, outputs), np.int64)
        for start in range(0, inputs, stretch):
            rows = start + self.random.integers(min(stretch, inputs - start), size=outputs)
            signs = self.random.choice([-1, 1], outputs)
            weights[rows, np.arange(outputs)] = signs * self.random.integers(1, largest + 1, outputs)
        return weights


@dataclass(frozen=True)
class Case:
    """A network with so many per cent zeros, and whether they are skipped; `balanced`: spread evenly."""

    network: str
    zeros: float
    sparse: str
    balanced: bool = False

    def graph(self) -> Graph:
        """Return the network, compacted."""
        if self.network == "jets":
            return qap2fpga.load(shipped("examples") / "jets-6b-80pruned.pt", compare=False, quiet=True).graph
        numbers = Numbers(4, 4, 4, density=1 - self.zeros / 100)
        cls = Balanced if self.balanced else Drawing
        random = np.random.default_rng(SEED)
        drawing = cls(random, Shape(784) if self.network == "digits" else Shape(3, 32, 32), numbers)
        last = INPUT
        for channels in (16, 32, 64) if self.network == "stack" else ():
            for _ in range(2):
                last = drawing.step(drawing.linear(last, channels, Geometry((3, 3))))
            if channels < 64:
                last = drawing.max(last, 2, 2)
        for _ in range(2):
            last = drawing.step(drawing.linear(last, 128))
        return compact(drawing.classified(last, 10))


CASES = [Case("jets", 80, sparse) for sparse in ("never", "always")] + [
    Case(network, zeros, sparse, balanced)
    for network in ("digits", "stack")
    for zeros, balanced in ((80, False), (95, False), (80, True), (90, False))
    for sparse in ("never", "always")
    if not (balanced and sparse == "never")
]


FASTEST = [
    Case(network, zeros, sparse)
    for network, zeros in (("jets", 80), ("digits", 80), ("digits", 95), ("stack", 80))
    for sparse in ("never", "auto")
]


class Cycles(rtl.Rtl):
    """The two schedules that measure cycles."""

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        return tuple(one for one in super().plan() if one.name in (rtl.SINGLE, rtl.FULL_SPEED))

    def frames(self, schedule: Schedule, vectors: int) -> int:
        """Return how many frames are sent of so many vectors."""
        return min(vectors, LONE) if schedule.single else vectors


def measure(case: Case) -> dict[str, Any]:
    """Return what the design of a case is expected to take, and takes."""
    line = {"case": asdict(case), **taken(case.graph(), INTERVALS[case.network], case.sparse)}
    print(f"{case}: {line['cycles'][0]} cycles, {line['seconds']} s", file=sys.stderr)
    return line


def taken(graph: Graph, most_cycles: int, sparse: str) -> dict[str, Any]:
    """Return what the cheapest design of at most so many cycles per frame is expected to take, and takes."""
    begin, finn = time.monotonic(), backends.get("finn")
    options = finn.make_options(
        target_fps=1e9 / BOARD.clock_ns / most_cycles, sparse=sparse, allow_oversize=True
    )  # fmt: skip
    vectors = np.concatenate([extremes(graph, 2)[:2], random_vectors(graph, 4 * FRAMES, SEED)])
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as scratch:
        folder = Path(scratch)
        design = finn.generate(graph, BOARD, folder / "design", options, vectors[:2])
        assert isinstance(design, Design)
        vectors = vectors[: FRAMES + (design.latency_cycles or 0) // design.interval_cycles]
        expected = outputs.outputs(graph, options.output_kind, vectors)
        runs = Cycles(design, folder / "rtl").simulate(vectors, expected)
        latency, interval = rtl.measured(runs)
        cells = asdict(yosys.synthesize(design, BOARD, folder / "yosys", time_limit_s=3600.0).total)
    weights = [(node.weights.size, node.nonzeros) for node in graph.weighted]
    return {
        "weights": sum(one for one, _ in weights), "nonzeros": sum(one for _, one in weights),
        "multipliers": sum(map(multipliers, design.nodes)), "predicted": dict(design.estimate),
        "predicted_cycles": [design.interval_cycles, design.latency_cycles], "cycles": [interval, latency],
        "frames": max(run.vectors for run in runs), "measured": cells, "seconds": round(time.monotonic() - begin),
    }  # fmt: skip


def fastest(case: Case) -> dict[str, Any]:
    """Return the shortest interval that is predicted to fit the board, and what that takes."""
    finn = backends.get("finn")
    expected = finn.expect(case.graph(), BOARD, finn.make_options(sparse=case.sparse))
    return {"fastest": asdict(case), "interval": expected.interval_cycles, "predicted": dict(expected.total)}


def multipliers(node: Any) -> int:
    """Return the products per cycle of a node of a design."""
    if node.op_type == "MVAU_rtl":
        return int(node.SIMD * node.PE if hasattr(node, "SIMD") else node.lanes_in * node.lanes_out)
    return int(getattr(node, "multipliers", 0))


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--only", help="one network")
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    pruned = chosen.results.with_name(PRUNING)
    fast = [line["fastest"] for line in read_json_lines(chosen.results) if "fastest" in line]
    for case in FASTEST:
        if asdict(case) not in fast and chosen.only in (None, case.network):
            append_json(chosen.results, fastest(case))
    done = [line.get("case") for line in read_json_lines(chosen.results)]
    for case in CASES:
        if asdict(case) not in done and chosen.only in (None, case.network):
            append_json(chosen.results, json.loads(json.dumps(measure(case))))
    if chosen.page:
        write_atomically(chosen.page, page(read_json_lines(chosen.results), read_json_lines(pruned), BOARD))


if __name__ == "__main__":
    main()
