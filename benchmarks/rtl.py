# SPDX-License-Identifier: Apache-2.0
"""LUTs of the rtl backend on 16-64-32-32-5 at 6 bits, and of alkaid: `python benchmarks/rtl.py results.json`.

Four networks: dense and 80 % pruned, with power-of-two and with arbitrary scales. alkaid is given the same integer
network: its matrix product, then per channel the exact `(a * acc + b) >> f` with the fewest signed digits, or the
plain shift, through its own quantizer. Both Verilogs are mapped by the same Yosys with the same options. Simulation
rates are of one network. Every measurement is a process of its own and is kept in the file at once, so that a stopped
run goes on where it was; a dense network takes up to half an hour.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.rtl import adders, solver
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.hw.beats import pack
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.requant import requantize, segments
from qap2fpga.requant.implementations import Target
from qap2fpga.synth import yosys
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.verify import csim, verilator
from qap2fpga.verify.verilator import Schedule

WIDTHS, BITS = (16, 64, 32, 32, 5), 6
BOARD = boards.load("vu13p")
LIMIT_S = 7200.0


def network(sparsity: float, *, power_of_two: bool, seed: int = 1) -> Graph:
    """Normal weights of 6 bits with the smallest ones pruned; activations that use their range as trained ones do."""
    random = np.random.default_rng(seed)
    values = random.integers(-32, 32, (4000, WIDTHS[0]))
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(WIDTHS)):
        weights = np.clip(np.rint(random.normal(0, 10, (inputs, outputs))), -31, 31).astype(np.int64)
        if sparsity:
            weights[np.abs(weights) <= np.quantile(np.abs(weights), sparsity)] = 0
        sums = values @ weights
        if index == len(WIDTHS) - 2:
            end = Logits(np.full(outputs, 1), np.zeros(outputs, np.int64), 0, 0)
            layers.append(dense(f"fc{index + 1}", weights, end, BITS, BITS))
            break
        pitch = np.maximum(1.0, 1.5 * sums.std(axis=0) / 64 * random.uniform(0.8, 1.25, outputs))
        if power_of_two:
            pitch = 2.0 ** np.rint(np.log2(pitch))
        start = np.rint(random.normal(0, sums.std(axis=0) / 8))
        steps = np.ceil(start[:, None] + pitch[:, None] * (np.arange(63)[None, :] + 0.5)).astype(np.int64)
        layer = dense(f"fc{index + 1}", weights, Step(steps), BITS, BITS)
        layers.append(layer)
        values = layer.activation.apply(sums)
    return compact(chain(tuple(layers), InputQuantizer(-32, 31, (1.0,)), Fraction(1)))


def measured(design: Design, folder: Path) -> dict[str, float]:
    """Cells of one mapped design."""
    total = yosys.synthesize(design, BOARD, folder, time_limit_s=LIMIT_S).total
    assert total.lut is not None and total.ff is not None
    return {"lut": total.lut, "lut_packed": total.lut_packed or 0, "ff": total.ff, "dsp": total.dsp or 0}


def by_us(one: Graph, folder: Path) -> Design:
    """The rtl backend's design."""
    return backends.get("rtl").generate(one, BOARD, folder, RtlOptions(), np.zeros((0, one.inputs), np.int64))


def by_trees(one: Graph, folder: Path) -> Design:
    """The rtl backend's design with a tree of adders an output, none shared: what alkaid's solver saves."""
    with mock.patch.object(solver, "solve", tree):
        return by_us(one, folder)


def tree(weights: np.ndarray, low: np.ndarray, high: np.ndarray, name: str) -> adders.AdderGraph:
    """A balanced tree over the signed digits of every column of `weights`, neighbouring digits first."""
    builder = solver.Builder(len(weights))
    outputs = []
    for column in weights.T:
        values = [
            solver.Value(index, shift, sign)
            for index, weight in enumerate(column)
            for sign, shift in ((int(np.sign(weight)) * one, place) for one, place in segments.digits(abs(int(weight))))
        ]
        values.sort(key=lambda value: value.exponent)
        while len(values) > 1:
            spare = values[-1:] if len(values) % 2 else []
            values = [builder.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + spare
        outputs.append(
            adders.Output(values[0].node, values[0].exponent, values[0].sign) if values else adders.Output(0, 0, 1, 0)
        )
    graph = adders.AdderGraph(len(weights), tuple(builder.adders), tuple(outputs))
    graph.prove(weights, name)
    return graph


def by_alkaid(one: Graph, folder: Path) -> Design:
    """The same integers through alkaid's tracer and Verilog writer, checked on random vectors."""
    from alkaid.codegen import RTLModel
    from alkaid.trace import FVArray, HWConfig, trace

    count = one.inputs
    inputs = FVArray.from_kif(np.ones(count, int), np.full(count, 5), np.zeros(count, int), hwconf=HWConfig(1, 1, -1))
    values = inputs
    for layer, ranges in zip(one.layers, one.ranges, strict=True):
        sums = values @ np.ascontiguousarray(layer.weights, np.float64)
        if isinstance(layer.activation, Logits):
            values = sums
            break
        factors, offsets = [], []
        for channel, row in enumerate(layer.activation.thresholds):
            low, high = (int(ends[channel]) for ends in ranges.accumulators)
            base = int((row <= low).sum())
            target = Target(row[(row > low) & (row <= high)].astype(np.int64), low, high, base)
            implementation = min(requantize.affine(target, 24), key=lambda implementation: len(implementation.terms))
            factor = sum(sign << shift if sign > 0 else -(1 << shift) for sign, shift in implementation.terms)
            factors.append(factor * 2.0**-implementation.shift)
            offsets.append(implementation.offsets[0] * 2.0**-implementation.shift + implementation.base)
        count = len(factors)
        scaled = sums * np.array(factors) + np.array(offsets)
        values = scaled.quantize(np.zeros(count, int), np.full(count, BITS), np.zeros(count, int), overflow_mode="SAT")
    logic = trace(inputs, values)
    vectors = np.random.default_rng(0).integers(-32, 32, (500, one.inputs))
    if (logic.predict(vectors.astype(float)) != one.run(vectors)).any():
        raise QapError("alkaid's network is another one")
    model = RTLModel(logic, folder, "alkaid_top", latency_cutoff=5, print_latency=False)
    model.write()
    sources = tuple(str(path.relative_to(folder)) for path in sorted(folder.rglob("*.v")) if "wrapper" not in path.name)
    nothing = Stream("x", 1, 1, 1, False)
    return Design("alkaid", folder, "alkaid_top", sources, (), nothing, nothing, 1)


def rates(one: Graph, folder: Path) -> dict[str, float]:
    """Vectors a second of the RTL in Verilator at full speed, and of the hls4ml project's C++ with all its traces."""
    design = by_us(one, folder / "rtl")
    vectors = random_vectors(one, 20_000, 1)
    binary = verilator.build(design, [design.folder / name for name in design.sources], folder, jobs=2)
    beats = folder / "input.beats"
    pack(vectors, design.input).tofile(beats)
    begin = time.monotonic()
    verilator.run(binary, design, beats, len(vectors), folder, Schedule("full speed"))
    speeds = {"rtl": len(vectors) / (time.monotonic() - begin)}
    project = backends.get("hls4ml").generate(one, BOARD, folder / "hls4ml", Hls4mlOptions(), vectors[:5])
    program = csim.build(project, folder)
    begin = time.monotonic()
    csim.run(program, project, vectors, folder)
    speeds["c"] = len(vectors) / (time.monotonic() - begin)
    return {f"{kind}_vectors_per_second": round(rate) for kind, rate in speeds.items()}


BUILDERS = {"ours": by_us, "ours without sharing": by_trees, "alkaid": by_alkaid}
RATES = "rates"


def plan() -> list[str]:
    """The measurements by name, the short ones first."""
    names = [f"{RATES}, pruned, arbitrary scales"]
    for weights in ("pruned", "dense"):
        for scales in ("power-of-two", "arbitrary"):
            names += [f"{builder}, {weights}, {scales} scales" for builder in BUILDERS]
    return names


def measure(name: str) -> dict[str, float]:
    """One measurement of `plan`, with the CPU seconds of it and of its children."""
    kind, weights, scales = name.split(", ")
    one = network(0.0 if weights == "dense" else 0.8, power_of_two=scales.startswith("power"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if kind == RATES:
            return rates(one, folder)
        numbers = measured(BUILDERS[kind](one, folder / "design"), folder / "yosys")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {**numbers, "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used))}


def ratios(numbers: dict[str, dict[str, float]]) -> dict[str, float]:
    """The ratios that the targets are about, of the measurements that are there."""
    selected = {}
    for scales in ("power-of-two", "arbitrary"):
        ours = {weights: f"ours, {weights}, {scales} scales" for weights in ("pruned", "dense")}
        selected[f"pruned to dense, {scales} scales"] = (ours["pruned"], ours["dense"])
        for weights, name in ours.items():
            for other in ("alkaid", "ours without sharing"):
                selected[f"ours to {other}, {weights}, {scales} scales"] = (name, f"{other}{name.removeprefix('ours')}")
    for weights in ("pruned", "dense"):
        pair = (f"ours, {weights}, arbitrary scales", f"ours, {weights}, power-of-two scales")
        selected[f"arbitrary to power-of-two scales, {weights}"] = pair
    return {
        name: round(numbers[one]["lut"] / numbers[other]["lut"], 3)
        for name, (one, other) in selected.items()
        if "lut" in numbers.get(one, {}) and "lut" in numbers.get(other, {})
    }


def main() -> None:
    """Measure what RESULTS does not hold, each in a process of its own, and print RESULTS with the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="JSON file; what it holds is not measured again")
    parser.add_argument("--match", default="", help="only measurements whose names contain this")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        write_atomically(chosen.results, json.dumps(measure(chosen.one)))
        return
    results = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    for name in (name for name in plan() if chosen.match in name and name not in results):
        part = chosen.results.with_suffix(".part")
        part.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, __file__, part, "--one", name], check=False)
        results[name] = json.loads(part.read_text()) if part.exists() else {"failed": done.returncode}
        part.unlink(missing_ok=True)
        write_atomically(chosen.results, json.dumps(results, indent=2) + "\n")
        print(f"{name}: {results[name]}", file=sys.stderr)
    print(json.dumps({"measurements": results, "ratios": ratios(results)}, indent=2))


if __name__ == "__main__":
    main()
