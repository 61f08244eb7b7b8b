# SPDX-License-Identifier: Apache-2.0
"""The network's outputs of the last layer's sums (qap_logits.sv), run for every value that a sum can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.prove.algebra import Sliced, packed, unpacked
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Refuted, evaluate
from qap2fpga.prove.finn import machine, modules
from qap2fpga.prove.gate import net
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.reading import Module

# Values of a channel that are run.
MOST = 1 << 20


@dataclass(frozen=True)
class Scale:
    """`(multiplier * x + offset) >> shift` of each channel's x from `low` to `high`, all arrays (channels,)."""

    multiplier: np.ndarray
    offset: np.ndarray
    shift: int
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Lanes:
    """How channels lie in beats: `count` in each, of so many bits before and after."""

    count: int
    bits: int
    result_bits: int


def check(module: Module, scale: Scale, lanes: Lanes, place: Path, name: str, limit_s: float) -> int:
    """Prove that `module` gives `scale` of its inputs, in their order; return how many values were run.

    Raises `NotProven`, naming channel and value.
    """
    channels = len(scale.multiplier)
    fold = channels // lanes.count
    if fold * lanes.count != channels:
        raise NotProven(f"{name}: {channels} channels in lanes of {lanes.count}")
    kind = modules.queue(fold)
    machine.check(module, kind.begins, kind.spec, place, name, limit_s, besides=["out0_V_TDATA"])
    result = module.outputs["out0_V_TDATA"]
    _require_pipeline(module, result[: lanes.count * lanes.result_bits], result, name)
    cases = 0
    for at in range(fold):
        pipeline = _pipeline(module, {bit: at >> place & 1 for place, bit in enumerate(module.named["fold"])})
        for lane in range(lanes.count):
            channel = at * lanes.count + lane
            values = _values(scale, channel, name)
            given = _run(pipeline, lanes, lane, values)
            wanted = exact.multiply_add(values, scale.multiplier[channel], scale.offset[channel], name, scale.shift)
            different = np.flatnonzero(given != wanted)
            if len(different):
                first = different[0]
                what = f"of the sum {values[first]} it gives {given[first]}, not {wanted[first]}"
                raise Refuted(f"{name}: channel {channel}: {what}")
            cases += len(values)
    return cases


def _pipeline(module: Module, fixed: Mapping[int, int]) -> Pipeline:
    return Pipeline(module, module.single(machine.CLOCK), net(module, "move"), fixed)


def _require_pipeline(module: Module, outputs: Bits, beat: Bits, name: str) -> None:
    """Raise `NotProven` unless `outputs` are a function of a beat, and of the counter as it came in.

    They come out with the bit that says that it is there; above them the output's `beat` is zero.
    """
    pipeline, leaves = _pipeline(module, {}), (*module.inputs["in0_V_TDATA"], *module.named["fold"], UNDRIVEN)
    pipeline.require_held(beat)
    cone, depth = pipeline.cone(outputs, dict.fromkeys(leaves, 0)), len(module.named["valid"])
    if any(cone.stages.get(bit, depth) != depth or cone.late.get(bit, 0) > depth for bit in cone.outputs):
        raise NotProven(f"{name}: data pass other registers than the bit that says that they are there")
    if any(pipeline.moving.settle(beat[len(outputs) :])):
        raise NotProven(f"{name}: the output's padding is not zero")


def _values(scale: Scale, channel: int, name: str) -> np.ndarray:
    low, high = int(scale.low[channel]), int(scale.high[channel])
    if high - low >= MOST:
        raise NotProven(f"{name}: channel {channel} has more than {MOST:,} sums")
    return np.arange(low, high + 1)


def _run(pipeline: Pipeline, lanes: Lanes, lane: int, values: np.ndarray) -> np.ndarray:
    """Return what comes out of a lane of `values` that came in there."""
    source = pipeline.module.inputs["in0_V_TDATA"][lane * lanes.bits :][: lanes.bits]
    target = pipeline.module.outputs["out0_V_TDATA"][lane * lanes.result_bits :][: lanes.result_bits]
    cone = pipeline.cone(target, dict.fromkeys(source, 0))
    bits = {0: Sliced.zero, 1: Sliced.one, **dict(zip(source, packed(values, len(source)), strict=True))}
    evaluate(Sliced(), cone.parts, bits)
    return unpacked([bits[bit] for bit in cone.outputs], len(values), signed=True)
