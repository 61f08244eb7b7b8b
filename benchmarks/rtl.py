# SPDX-License-Identifier: Apache-2.0
"""LUTs of the rtl backend on 16-64-32-32-5 at 6 bits, ours and alkaid's own compilation: `python benchmarks/rtl.py`.

Four networks: dense and 80 % pruned, with power-of-two and with arbitrary scales. alkaid is given the same integer
network: its matrix product, then per channel the exact `(a * acc + b) >> f` with the fewest signed digits, or the
plain shift, through its own quantizer. Both Verilogs are mapped by the same Yosys with the same options.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from qap2fpga import board as boards
from qap2fpga.backends import rtl
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.design import Design, Stream
from qap2fpga.errors import QapError
from qap2fpga.lower import requantize
from qap2fpga.lower.compact import compact
from qap2fpga.lower.forms import Target
from qap2fpga.network import DenseLayer, InputQuantizer, IntegerNetwork, Logits, Step
from qap2fpga.synth import yosys

WIDTHS, BITS = (16, 64, 32, 32, 5), 6
BOARD = boards.load("vu13p")


def network(sparsity: float, *, power_of_two: bool, seed: int = 1) -> IntegerNetwork:
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
            layers.append(DenseLayer(f"fc{index + 1}", weights, end, BITS, BITS))
            break
        pitch = np.maximum(1.0, 1.5 * sums.std(axis=0) / 64 * random.uniform(0.8, 1.25, outputs))
        if power_of_two:
            pitch = 2.0 ** np.rint(np.log2(pitch))
        start = np.rint(random.normal(0, sums.std(axis=0) / 8))
        steps = np.ceil(start[:, None] + pitch[:, None] * (np.arange(63)[None, :] + 0.5)).astype(np.int64)
        layer = DenseLayer(f"fc{index + 1}", weights, Step(steps), BITS, BITS)
        layers.append(layer)
        values = layer.activation.apply(sums)
    return compact(IntegerNetwork(tuple(layers), InputQuantizer(-32, 31, (1.0,)), Fraction(1)))


def measured(design: Design, folder: Path) -> dict[str, float]:
    """LUTs, FFs and CPU-independent facts of one mapped design."""
    begin = time.monotonic()
    total = yosys.synthesize(design, BOARD, folder).total
    assert total.lut is not None and total.ff is not None
    packed = total.lut_packed or 0
    return {"lut": total.lut, "lut_packed": packed, "ff": total.ff, "dsp": total.dsp or 0,
            "seconds": round(time.monotonic() - begin, 1)}  # fmt: skip


def by_alkaid(one: IntegerNetwork, folder: Path) -> Design:
    """The same integers through alkaid's tracer and Verilog writer, checked on random vectors."""
    from alkaid.codegen import RTLModel
    from alkaid.trace import FVArray, HWConfig, trace

    count = one.inputs
    inputs = FVArray.from_kif(np.ones(count, int), np.full(count, 5), np.zeros(count, int), hwconf=HWConfig(1, 1, -1))
    values = inputs
    for layer, reach in zip(one.layers, one.ranges, strict=True):
        sums = values @ np.ascontiguousarray(layer.weights, np.float64)
        if isinstance(layer.activation, Logits):
            values = sums
            break
        factors, offsets = [], []
        for channel, row in enumerate(layer.activation.thresholds):
            low, high = (int(ends[channel]) for ends in reach.accumulators)
            base = int((row <= low).sum())
            wanted = Target(row[(row > low) & (row <= high)].astype(np.int64), low, high, base)
            form = min(requantize.affine(wanted, 24), key=lambda form: len(form.terms))
            factor = sum(sign << shift if sign > 0 else -(1 << shift) for sign, shift in form.terms)
            factors.append(factor * 2.0**-form.shift)
            offsets.append(form.offsets[0] * 2.0**-form.shift + form.base)
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


def main() -> None:
    """Print one JSON object: the four networks, each by both, and the ratios that the targets are about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["ours", "alkaid"])
    parser.add_argument("--pruned-only", action="store_true")
    chosen = parser.parse_args()
    result: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for sparsity in (0.8,) if chosen.pruned_only else (0.8, 0.0):
            for power_of_two in (True, False):
                one = network(sparsity, power_of_two=power_of_two)
                key = f"{'pruned' if sparsity else 'dense'}, {'power-of-two' if power_of_two else 'arbitrary'} scales"
                folder = Path(name) / key.replace(" ", "_").replace(",", "")
                if chosen.only != "alkaid":
                    vectors = np.zeros((0, one.inputs), np.int64)
                    design = rtl.generate(one, BOARD, folder / "ours", RtlOptions(), vectors)
                    result[f"ours, {key}"] = measured(design, folder / "ours_yosys")
                if chosen.only != "ours":
                    result[f"alkaid, {key}"] = measured(by_alkaid(one, folder / "alkaid"), folder / "alkaid_yosys")
                print(json.dumps(result, indent=2), flush=True)


if __name__ == "__main__":
    main()
