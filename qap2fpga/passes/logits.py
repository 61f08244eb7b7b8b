# SPDX-License-Identifier: Apache-2.0
"""The end of the network: integers of one common scale, as fine as what the outputs are for.

The exact value of channel c is `slope[c] * accumulator + intercept[c]`, with another slope a channel where the
weights have a scale a channel or a batch norm follows. Here it becomes `(multiplier * accumulator + offset) >> shift`,
in units of one scale.

- Classes: the argmax of raw accumulators is another class on many inputs. The scale is the coarsest power of two whose
  largest integer is the exact class on all vectors, and two bits more.
- Values, and any network with one output: the scale is the smallest step of an accumulator, with two bits more where
  an intercept lies between two steps. Where all channels have one step no multiplication is left.

How far an integer can be from the exact value follows from the two formulas, for all accumulators (`exactness.error`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qap2fpga.exact import integers
from qap2fpga.exact.thresholds import Affine
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.tensors import Range
from qap2fpga.passes.exactness import exact_argmax, is_largest, signs_are_exact
from qap2fpga.passes.scales import End, ceil_log2, end_of, largest, scaled, width
from qap2fpga.system.errors import QapError

# Classes: bits kept below the coarsest scale that has every argmax right, for inputs that were not among the vectors.
# Values: bits below an accumulator's step, for the part of an intercept that lies between two steps.
GUARD_BITS = 2
# Classes: logits of fewer bits than this are not tried.
FEWEST_BITS = 4
# Values: the most bits where channels have different steps, unless an accumulator has more. A channel that is nearly
# dead must not make all of them wide.
VALUE_BITS = 32


def choose(affine: Affine, accumulators: np.ndarray, span: Range, *, values: bool = False) -> End:
    """Return the end of a network whose outputs are `values` (one output always is), or else classes.

    The class is exact on all of `accumulators` (n, channels). Raises `QapError` that names the outputs whose scales
    are too far apart for one.
    """
    if not any(affine.slope):
        raise QapError("every output of the network is a constant", "check the last layer's batch norm")
    if values or affine.channels == 1:
        return _values(affine, span)
    return _classes(affine, accumulators, span)


def _values(affine: Affine, span: Range) -> End:
    """The finest scale that tells more of the accumulators, as far as it fits."""
    steps = {abs(slope) for slope in affine.slope if slope}
    smallest = min(steps)
    whole = all((value / smallest).denominator == 1 for value in (*affine.slope, *affine.intercept))
    most = 63
    if len(steps) > 1:
        most = max(VALUE_BITS, GUARD_BITS + max(integers.width(*ends) for ends in span.ends))
    for bits in itertools.count(0 if whole else GUARD_BITS, -1):
        logits = scaled(affine, Fraction(2) ** bits / smallest, span, between=True)
        if logits is None or width(logits, span) > most:
            continue
        if affine.channels == 1 and not signs_are_exact(affine, logits, span):
            raise QapError(
                f"the network's output, of up to {float(largest(affine, span)):.3g} in steps of "
                f"{float(smallest):.3g}, does not fit 63 bits",
                "check the last layer's scale and bias",
            )
        # One step is a number for software, so it is one that a float64 holds; `error` knows of it.
        return end_of(logits, Fraction(float(smallest)) / Fraction(2) ** bits)
    raise AssertionError("coarse enough integers always fit")


def _classes(affine: Affine, accumulators: np.ndarray, span: Range) -> End:
    """A finer scale than needed costs multipliers in the hardware; a coarser one would be right by luck."""
    maximal = is_largest(affine, accumulators)
    first, rows = maximal.argmax(axis=1), np.arange(len(maximal))
    tied = bool((maximal.sum(axis=1) > 1).any())

    def first_of_equals(logits: Logits) -> bool:
        return bool((logits.apply(accumulators).argmax(axis=1) == first).all())

    def one_of_equals(logits: Logits) -> bool:
        return bool(maximal[rows, logits.apply(accumulators).argmax(axis=1)].all())

    logits = _coarsest(affine, span, first_of_equals, tied=tied)
    if logits is not None:
        return end_of(logits)
    logits = _coarsest(affine, span, one_of_equals, tied=tied) if tied else None
    if logits is None:
        raise _too_far_apart(affine, accumulators, span)
    count = int((logits.apply(accumulators).argmax(axis=1) != first).sum())
    return end_of(logits, note=f"on {count} vectors the class is another one of several outputs that are exactly equal")


def _coarsest(affine: Affine, span: Range, right: Callable[[Logits], bool], *, tied: bool) -> Logits | None:
    """The coarsest `right` logits whose `GUARD_BITS` finer ones are too; these, if they fit. None: none fit."""
    for fraction in itertools.count(FEWEST_BITS - ceil_log2(largest(affine, span))):
        for together in (False, True) if tied else (False,):
            logits = _of_fraction(affine, fraction, span, together=together)
            if logits is None:
                return None
            if right(logits):
                guarded = _of_fraction(affine, fraction + GUARD_BITS, span, together=together)
                if guarded is None or right(guarded):
                    return guarded or logits
    return None


def _of_fraction(affine: Affine, fraction: int, span: Range, *, together: bool) -> Logits | None:
    logits = scaled(affine, Fraction(2) ** fraction, span, together=together)
    return logits and replace(logits, fraction=fraction)


def _too_far_apart(affine: Affine, accumulators: np.ndarray, span: Range) -> QapError:
    """The error for outputs of which no common scale has the class, by the finest scale that there is."""
    finest, first = None, exact_argmax(affine, accumulators)
    for fraction in itertools.count(FEWEST_BITS - ceil_log2(largest(affine, span))):
        logits = _of_fraction(affine, fraction, span, together=False)
        if logits is None:
            break
        finest = logits
    if finest is None:
        return QapError("the network's outputs do not fit 63 bits", "check the last layer's scales and biases")
    classes = finest.apply(accumulators).argmax(axis=1)
    vector = int(np.flatnonzero(classes != first)[0])
    one, other = int(first[vector]), int(classes[vector])
    return QapError(
        f"the outputs' scales are too far apart: on vector {vector} the class is output {one} (a step of "
        f"{float(abs(affine.slope[one])):.3g}), and in {width(finest, span)} bits of one scale it is output {other} "
        f"(a step of {float(abs(affine.slope[other])):.3g})",
        "check the last layer's scales and batch norm, or take --output-kind values, which states its error",
    )
