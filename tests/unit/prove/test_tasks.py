# SPDX-License-Identifier: Apache-2.0
"""Bits at a position: copies, or sums of elements that come one after the other, as layers without registers."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.prove import layers
from qap2fpga.prove.automaton import Token
from qap2fpga.prove.cells import NotProven, Part
from qap2fpga.prove.expressions import Expressions
from qap2fpga.prove.layers import Layer
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.streams import Channel, Labels, Stream, Tap
from qap2fpga.prove.tasks import Copies, Sums

LABELS = Labels({"x": Stream(1, 0, (10, 11), 0, 2)})
# Two positions of two bits: names 2 and 3, 4 and 5; of the frame before 6 and 7, 8 and 9.
ROW = (2, 3, 4, 5)


def test_copies_are_of_the_right_frame_position_and_bit() -> None:
    check = Copies(LABELS, [ROW], "here")
    check(Token(0, 0), [2, 3, 4, 5])
    check(Token(1, 0), [6, 7, 8, 9])
    for codes in ([2, 3, 4, 4], [2, 3, 4, None], [6, 7, 8, 9], [2, 3, 4, 1]):
        with pytest.raises(NotProven, match=r"here: position 0, bit . is not what its kernel sees"):
            check(Token(0, 0), codes)


def taps() -> list[Tap]:
    channel = Channel("x", Value((10, 11), signed=False, low=0, high=3), np.arange(2))
    return [Tap(channel, Value((2 + 2 * at, 3 + 2 * at), signed=False, low=0, high=3), np.array([at]), 0)
            for at in range(2)]  # fmt: skip


@pytest.mark.parametrize(("weights", "proven"), [([1, 1], True), ([1, 2], False)])
def test_a_sum_over_positions_is_a_layer(weights: list[int], proven: bool) -> None:
    expressions = Expressions()
    check = Sums(expressions, LABELS, taps(), [ROW])
    for age in (0, 1):
        operands: list[list[int | None]] = [[2 + 4 * age, 3 + 4 * age, 0], [4 + 4 * age, 5 + 4 * age, 0]]
        part = Part("", "sum", ((0, 0, 0), (0, 0, 0)), (20, 21, 22))
        check(Token(age, 0), expressions.result(part, operands, [None] * 3))
    layer = Layer("sum", np.array(weights)[:, None], None, ("0",), (Lane((30, 31, 32), signed=False),))
    (result,) = check.results
    task = check.task(layer, result)
    if proven:
        (value,) = layers.prove(task.pipeline, task.layer, task.values).values
        assert (value.low, value.high) == (0, 6)
    else:
        with pytest.raises(NotProven, match="not the weights"):
            layers.prove(task.pipeline, task.layer, task.values)


def test_a_sum_of_something_else_is_not_proven() -> None:
    check = Sums(Expressions(), LABELS, taps(), [ROW])
    check(Token(0, 0), [2, 12, 0])
    (result,) = check.results
    with pytest.raises(NotProven, match="is not made of what its kernel sees"):
        check.task(Layer("sum", np.ones((2, 1)), None, ("0",), (Lane((30, 31, 32), signed=False),)), result)
