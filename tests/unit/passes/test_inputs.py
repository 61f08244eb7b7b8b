# SPDX-License-Identifier: Apache-2.0
"""Input features that are 0 always lose their weights, and nothing else changes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import POINT, Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.inputs import ignore_zero_inputs

ENDS = ((-2, 1), (0, 0), (-4, 3), (0, 0), (1, 1))


def graph(kind: type[Linear] | type[Depthwise], geometry: Geometry = POINT) -> Graph:
    positions = 4 if geometry.taps > 1 else 1
    quantizer = InputQuantizer(-4, 3, (1.0,), ends=ENDS * positions)
    source = Input(name=INPUT, size=Shape(5, positions, 1), quantizer=quantizer)
    size = (5 * geometry.taps, 3) if kind is Linear else (geometry.taps, 5)
    weights = np.arange(1, np.prod(size) + 1).reshape(size)
    node = kind(name="fc", sources=(INPUT,), weights=weights, weight_bits=6, input_bits=3, geometry=geometry)
    return Graph((source, node), "fc", Fraction(1))


@pytest.mark.parametrize("kind", [Linear, Depthwise])
@pytest.mark.parametrize("geometry", [POINT, Geometry((2, 1)), Geometry((2, 1), pads=(1, 0, 0, 0))])
def test_weights_of_zeros_are_gone(kind: type[Linear] | type[Depthwise], geometry: Geometry) -> None:
    before = graph(kind, geometry)
    after = ignore_zero_inputs(before)
    vectors = random_vectors(before, 50, 1)
    np.testing.assert_array_equal(after.run(vectors), before.run(vectors))
    kept, weights = np.array([True, False, True, False, True]), after["fc"].weights
    rows = weights.T if kind is Depthwise else weights.reshape(geometry.taps, 5, 3).swapaxes(0, 1).reshape(5, -1)
    assert not rows[~kept].any() and rows[kept].all()


def test_a_pad_that_is_not_0_keeps_them() -> None:
    padded = graph(Linear, Geometry((2, 1), pads=(1, 0, 0, 0), pad=2))
    assert ignore_zero_inputs(padded)["fc"].weights.all()


def test_a_graph_without_such_features_is_the_same() -> None:
    one = graph(Linear)
    source = Input(name=INPUT, size=Shape(5), quantizer=InputQuantizer(-4, 3, (1.0,)))
    plain = Graph((source, one["fc"]), "fc", Fraction(1))
    assert ignore_zero_inputs(plain) is plain
