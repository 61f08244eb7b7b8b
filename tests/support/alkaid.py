# SPDX-License-Identifier: Apache-2.0
"""Networks whose requantizers alkaid can express, and alkaid's Verilog of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from tests.support import foreign


@dataclass(frozen=True, eq=False)
class Stage:
    """`(sums + bias) >> shift`, clipped to `bits`, in two's complement if `signed`; of the last one `sums + bias`."""

    weights: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    bits: int = 1
    signed: bool = False


def network(stages: Sequence[Stage], bits: int) -> Graph:
    """Return the network of `stages`, whose inputs are signed integers of `bits`."""
    units = []
    for number, stage in enumerate(stages[:-1]):
        least = -(1 << stage.bits - 1) if stage.signed else 0
        levels = np.arange(1, 1 << stage.bits) + least
        thresholds = (levels << stage.shift[:, None]) - stage.bias[:, None]
        units.append(dense(f"fc{number + 1}", stage.weights, Step(thresholds.astype(np.int64), least), 8, 8))
    last = stages[-1]
    logits = Logits(np.ones(len(last.bias), np.int64), last.bias.astype(np.int64), 0, None)
    units.append(dense(f"fc{len(stages)}", last.weights, logits, 8, 8))
    return chain(tuple(units), InputQuantizer(-(1 << bits - 1), (1 << bits - 1) - 1, (1.0,)), Fraction(1))


def write(folder: Path, stages: Sequence[Stage], bits: int, **options: Any) -> int:
    """Write alkaid's Verilog of `stages` into `folder`, what its ports are beside it; return the cycles it takes."""
    from alkaid.codegen import RTLModel
    from alkaid.trace import FVArray, HWConfig, trace

    inputs = len(stages[0].weights)
    kinds = np.ones(inputs, int), np.full(inputs, bits - 1), np.zeros(inputs, int)
    given = values = FVArray.from_kif(*kinds, hwconf=HWConfig(1, 1, -1))
    for stage in stages[:-1]:
        sums = values @ stage.weights.astype(float) + stage.bias.astype(float)
        kept = {
            "k": stage.bias * 0 + stage.signed,
            "i": stage.bias * 0 + stage.bits - stage.signed,
            "f": stage.bias * 0,
        }
        values = (sums * 2.0**-stage.shift).quantize(**kept, overflow_mode="SAT", round_mode="TRN")
    last = stages[-1]
    logic = trace(given, values @ last.weights.astype(float) + last.bias.astype(float))
    model = RTLModel(logic, str(folder), "top", **options)
    model.write()
    # Its results stand behind a register each, and so do its inputs. It takes no inputs without weights.
    latency = int(model.latency) + 1 if options else 0
    taken, (signs, whole, fraction) = logic.inp_kifs.sum(axis=0).tolist(), logic.out_kifs
    foreign.describe(
        folder, clock="clk" if options else "", latency=latency,
        input={"port": "model_inp", "bits": taken, "signed": True},
        output={"port": "model_out", "bits": (signs + whole + fraction).tolist(),
                "signed": [bool(one) for one in signs], "exponent": [-int(one) for one in fraction]},
    )  # fmt: skip
    return latency


def random_stages(
    seed: int, sizes: Sequence[int], weight_bits: int, bits: int, input_bits: int, density: float = 1.0,
    *, signed: bool = False,
) -> list[Stage]:  # fmt: skip
    """Return stages of random weights, a share of `density` of them not 0, whose results spread over their range."""
    random, stages = np.random.default_rng(seed), []
    most = 1 << weight_bits - 1
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        every = (
            random.integers(-most, most + 1, (inputs, outputs))
            if weight_bits > 1
            else random.choice([-1, 1], (inputs, outputs))
        )
        weights = every * (random.random((inputs, outputs)) < density)
        reach = np.maximum(np.abs(weights).sum(axis=0), 1) * (1 << (bits if number else input_bits - 1))
        shift = np.maximum(np.round(np.log2(reach)).astype(int) - bits - 1 + random.integers(-1, 2, outputs), 0)
        bias = random.integers(-8, 8, outputs) << np.maximum(shift - 1, 0)
        stages.append(Stage(weights, bias, shift, bits, signed))
    return stages


def of_model(path: Path) -> tuple[list[Stage], int]:
    """Return stages with the weights of the model at `path` and shifts near its scales, and the bits of its inputs."""
    from qap2fpga.ir.linear import Linear
    from qap2fpga.ir.nodes import Requantizer
    from qap2fpga.library.network import load

    graph, stages = load(path, compare=False, quiet=True).graph, list[Stage]()
    for linear, end in zip(graph.nodes[1::2], graph.nodes[2::2], strict=True):
        assert isinstance(linear, Linear) and isinstance(end, Requantizer)
        zeros = np.zeros(linear.outputs, np.int64)
        if isinstance(end.function, Step):
            thresholds = end.function.thresholds
            levels = thresholds.shape[1]
            steps = np.maximum((thresholds[:, -1] - thresholds[:, 0]) / (levels - 1), 1)
            shift = np.round(np.log2(steps)).astype(int)
            stages.append(Stage(linear.weights, (1 << shift) - thresholds[:, 0], shift, levels.bit_length()))
        else:
            stages.append(Stage(linear.weights, zeros + 3, zeros))
    return stages, int(graph.input.high).bit_length() + 1
