# SPDX-License-Identifier: Apache-2.0
"""Proof that a requantizer's target is its channel's activation, of the accumulators that can occur.

`implementations.prove` shows that the hardware's implementation is its target; what is shown here is that the target is
the layer's own step function or line, of whatever the requantizer reads.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.requant.implementations import Target
from qap2fpga.system.errors import CheckFailed


def prove_meaning(
    target: Target, activation: Step | Logits, channel: int, accumulator_range: tuple[int, int], name: str, *,
    scale: int = 1, start: int = 0, base: int = 0, step: int = 1,
) -> None:  # fmt: skip
    """Raise `CheckFailed` naming `name` if `target` is not the `channel`'s activation in all of `accumulator_range`.

    A requantizer that reads x stands for the accumulator `scale * x + start`, and its result r for the activation
    `base + step * r`. Both functions rise with x, and the target is constant between the points that are tried.
    """
    ends = np.array([target.low, target.high], np.int64)
    if sorted(exact.multiply_add(ends, scale, start, name).tolist()) != list(accumulator_range):
        raise CheckFailed(
            f"{name}: its requantizer reads other accumulators than {accumulator_range[0]}..{accumulator_range[1]}"
        )
    if (np.diff(target.thresholds) < 0).any():
        raise CheckFailed(f"{name}: its requantizer's thresholds are not sorted")
    points = np.unique(np.concatenate([ends, target.thresholds, target.thresholds - 1]))
    accumulators = exact.multiply_add(points, scale, start, name)
    expected = _of_channel(activation, channel).apply(accumulators[:, None])[:, 0]
    results = exact.multiply_add(target.apply(points), step, base, name)
    wrong = np.flatnonzero(results != expected)
    if len(wrong):
        at = int(wrong[0])
        raise CheckFailed(
            f"{name}: its requantizer is to give {results[at]} for accumulator {accumulators[at]}, the network "
            f"gives {expected[at]}"
        )
    if target.highest is not None:
        _prove_line(target, activation, channel, accumulators, name)


def _prove_line(target: Target, activation: Step | Logits, channel: int, accumulators: np.ndarray, name: str) -> None:
    """Both lines are one before their shift, since they are equal at both ends; and they have one shift."""
    assert target.line is not None
    multiplier, offset, shift = target.line
    ends = np.array([target.low, target.high], np.int64)
    same = False
    if isinstance(activation, Logits) and activation.shift == shift:
        bare = replace(activation, shift=0)
        line = exact.multiply_add(ends, multiplier, offset, name)
        same = _of_channel(bare, channel).apply(accumulators[:, None])[:, 0].tolist() == line.tolist()
    if not same:
        raise CheckFailed(f"{name}: its requantizer's line is not that of the network's output")


def _of_channel(activation: Step | Logits, channel: int) -> Step | Logits:
    """The activation of one channel alone."""
    one = slice(channel, channel + 1)
    if isinstance(activation, Step):
        return replace(activation, thresholds=activation.thresholds[one])
    return replace(activation, multiplier=activation.multiplier[one], offset=activation.offset[one])
