# SPDX-License-Identifier: Apache-2.0
"""What the taps of a kernel see, position by position, and the names of bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove.automaton import Token
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.linear import Value
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.streams import INPUTS, MOST_FRAMES, Channel, Labels, Stream, floors, placed, sums_up, taps_of
from tests.support.circuits import module
from tests.support.frames import convolution
from tests.support.streams import Nodes

SIGNED = Value((10, 11), signed=True, low=-2, high=1)
LOGIC = Logic(module({}, {}, []), {})


def test_taps_see_positions_or_pads() -> None:
    network = convolution(pad=1)
    channel = Channel(INPUT, Value((10, 11), signed=False, low=0, high=3), np.arange(16))
    taps = taps_of(network, network["conv"], [channel])
    assert taps[0].places.tolist() == [-1] * 5 + [0, 1, 2, -1, 4, 5, 6, -1, 8, 9, 10]
    assert taps[4].places.tolist() == list(range(16)) and taps[8].value.bits == (INPUTS + 16, INPUTS + 17)
    assert [one.bits for one in placed(taps, tuple(range(50, 68)))][1] == (52, 53)
    wide = replace(channel, value=replace(channel.value, high=4))
    with pytest.raises(NotProven, match="2 bits do not hold 0 to 4"):
        taps_of(network, network["conv"], [wide])


def test_names_tell_frame_position_and_bit() -> None:
    labels = Labels({"a": Stream(1, 0, (10, 11), 0, 3), "b": Stream(1, 0, (20,), 0, 3)})
    assert labels.total == 9 and labels.bits("a", Token(0, 1)) == {10: 4, 11: 5}
    assert labels.bits("b", Token(1, 0)) == {20: 2 + 6 + 9} and labels.bits("a", None) == {10: None, 11: None}
    assert labels.bits("a", Token(MOST_FRAMES, 0)) == {10: None, 11: None}
    assert labels.older(5) == 14 and labels.of_age(1, 3) == 1 and labels.of_age(None, 1) is None
    assert labels.older(2 + (MOST_FRAMES - 1) * 9) is None


def test_a_value_is_extended_by_its_sign_and_a_pad_is_a_constant() -> None:
    nodes = Nodes(Shape(1, 1, 2), -2, 1)
    nodes.linear("conv", INPUT, 1, 1, Geometry((1, 2), pads=(0, 1, 0, 0), pad=-3))
    network = nodes.graph()
    taps = taps_of(network, network["conv"], [Channel(INPUT, SIGNED, np.arange(2))])
    labels = Labels({INPUT: Stream(1, 0, (10, 11), 0, 2)})
    assert labels.expected(taps, 0, LOGIC) == (1, 0, 1, 2, 3, 3)
    assert labels.expected(taps, 1, LOGIC) == (2, 3, 3, 4, 5, 5)


@pytest.mark.parametrize(("last", "kernel", "expected"), [(-2, (2, 2), True), (2, (2, 2), False), (-2, (1, 2), False)])
def test_equal_weights_over_a_whole_frame_are_a_sum(last: int, kernel: tuple[int, int], expected: bool) -> None:
    nodes = Nodes(Shape(2, 2, 2))
    weights = np.array([[1, -2]] * (kernel[0] * kernel[1] - 1) + [[1, last]])
    nodes.add(Depthwise(name="mean", sources=(INPUT,), weights=weights, weight_bits=3, input_bits=3,
                        geometry=Geometry(kernel)))  # fmt: skip
    network = nodes.graph()
    assert sums_up(network, network["mean"]) == expected


def test_the_largest_is_not_below_the_source_unless_pads_are_all_that_is_seen() -> None:
    network = convolution(pad=1)
    channel = Channel(INPUT, replace(SIGNED, low=2, high=3, signed=False), np.arange(16))
    taps = taps_of(network, network["conv"], [channel])
    assert floors(taps, 1) == [2] and floors(taps[:1], 1) == [1]
