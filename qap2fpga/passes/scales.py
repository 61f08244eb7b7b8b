# SPDX-License-Identifier: Apache-2.0
"""Integers of one common scale at the network's end: `(multiplier * accumulator + offset) >> shift` per channel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from qap2fpga.exact import integers
from qap2fpga.exact.thresholds import Affine
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.tensors import Range


@dataclass(frozen=True)
class End:
    """The end of a network: `logits`, the value of one unit of them, and remarks for people."""

    logits: Logits
    scale: Fraction
    notes: tuple[str, ...] = ()


def end_of(logits: Logits, scale: Fraction | None = None, note: str = "") -> End:
    """Return the end with `logits` of `scale`; None: of their own fraction."""
    notes = (note,) if note else ()
    if scale is None:
        assert logits.fraction is not None
        return End(logits, Fraction(2) ** -logits.fraction, notes)
    exponent = ceil_log2(scale)
    return End(replace(logits, fraction=-exponent if Fraction(2) ** exponent == scale else None), scale, notes)


def scaled(
    affine: Affine, unit: Fraction, span: Range, *, together: bool = False, between: bool = False
) -> Logits | None:
    """Return integers of which `unit` are worth 1, rounded to nearest; None where they do not fit int64.

    `shift` keeps the multiplier's error below a quarter step over what can be reached. `together`: whole steps in an
    intercept get the multiplier of the accumulator, so that channels of equal slope are equal where they exactly are.
    `between`: where no multiplication is left, an intercept between two steps stays between them.
    """
    steps = [_whole_steps(*pair) if together else 0 for pair in zip(affine.slope, affine.intercept, strict=True)]
    size = max(abs(end + more) for more, ends in zip(steps, span.ends, strict=True) for end in ends)
    shift = size.bit_length() + 1
    multipliers = [round(slope * unit * 2**shift) for slope in affine.slope]
    rests = [value - slope * more for slope, value, more in zip(affine.slope, affine.intercept, steps, strict=True)]
    offsets = [
        multiplier * more + round((rest * unit + Fraction(1, 2)) * 2**shift)
        for multiplier, more, rest in zip(multipliers, steps, rests, strict=True)
    ]
    # Common factors of two cost hardware and say nothing.
    spare = math.gcd(*multipliers, 1 << shift).bit_length() - 1
    multipliers, offsets, shift = [m >> spare for m in multipliers], [b >> spare for b in offsets], shift - spare
    if between and not shift:
        offsets = [_between(value * unit, m) for value, m in zip(affine.intercept, multipliers, strict=True)]
    results = [(m * n + b) >> shift for m, b, ends in zip(multipliers, offsets, span.ends, strict=True) for n in ends]
    if max(map(abs, (*multipliers, *offsets, *results))) >= integers.INT64_LIMIT:
        return None
    name = "the network's outputs"
    return Logits(integers.array(multipliers, name), integers.array(offsets, name), shift, None)


def _whole_steps(slope: Fraction, intercept: Fraction) -> int:
    return math.floor(intercept / slope) if slope else 0


def _between(value: Fraction, step: int) -> int:
    """The integer nearest to `value` that lies between the same two multiples of `step`, or on the same one."""
    if step == 0 or (value / step).denominator == 1:
        return round(value)
    below = math.floor(value / abs(step)) * abs(step)
    return min(max(round(value), below + 1), below + abs(step) - 1)


def apply(logits: Logits, channel: int, accumulator: int) -> int:
    """Return one integer of one channel."""
    return (int(logits.multiplier[channel]) * accumulator + int(logits.offset[channel])) >> logits.shift


def width(logits: Logits, span: Range) -> int:
    """Return the bits of a signed type that holds all that can be reached."""
    values = [apply(logits, channel, n) for channel, ends in enumerate(span.ends) for n in ends]
    return integers.width(min(*values, -1), max(values))


def largest(affine: Affine, span: Range) -> Fraction:
    """Return the largest absolute value that can be reached."""
    parts = zip(affine.slope, affine.intercept, span.ends, strict=True)
    return max(abs(slope * n + intercept) for slope, intercept, ends in parts for n in ends)


def ceil_log2(value: Fraction) -> int:
    """Return the smallest e with 2**e >= `value` (above 0)."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent >= value else exponent + 1
