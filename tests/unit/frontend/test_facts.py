# SPDX-License-Identifier: Apache-2.0
"""What a report keeps of a network: only what there is, in one order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.frontend import facts
from qap2fpga.frontend.facts import Difference, Facts
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.passes.compaction import compact
from tests.support.networks import qonnx_graph, random_model

FIRST = ["file", "data", "rows", "inputs", "outputs", "input", "output", "layers", "bops"]
OUTPUTS = np.array([[0.0, 1.0], [2.0, 1.0], [5.0, 4.5], [0.0, 3.0]])


def known() -> Facts:
    graph = read(qonnx_graph(random_model(2)))
    lowered = lower(graph)
    network = facts.describe(graph, lowered, compact(lowered))
    return Facts("net.onnx", None, 0, network, None, None, None, None, ("a note",))


def test_what_there_is_none_of_is_left_out() -> None:
    bare = known()
    assert list(bare.record()) == [*FIRST, "accuracy", "notes"]
    cost = facts.quantizer_cost(OUTPUTS, OUTPUTS[:, ::-1], None)
    more = replace(bare, masked={"fc1": 3}, input_quantizer_cost=cost, export=Difference(4, 0.5, 0.25))
    record = more.record()
    assert list(record) == [*FIRST, "masked", "input_quantizer_cost", "export", "accuracy", "notes"]
    assert record["input_quantizer_cost"] == {"rows": 4, "same_class": 0.0, "largest_difference": 3.0}
    assert record["export"] == {"rows": 4, "same_class": 0.5, "largest_difference": 0.25}
    assert (record["masked"], record["notes"]) == ({"fc1": 3}, ["a note"])


def test_an_added_quantizer_costs_accuracy_only_where_there_are_classes() -> None:
    labels = np.array([1, 0, 0, 0])
    cost = facts.quantizer_cost(OUTPUTS, OUTPUTS[:, ::-1], labels)
    assert (cost.accuracy_raw, cost.accuracy) == (0.75, 0.25)
    one = facts.quantizer_cost(OUTPUTS[:, :1], OUTPUTS[:, :1] + 2, labels)
    assert (one.accuracy_raw, one.accuracy, one.same_class, one.largest_difference) == (None, None, 1.0, 2.0)


def test_a_layer_is_told_as_the_model_and_as_the_hardware_has_it() -> None:
    network = known().network
    first = network.layers[0]
    assert (first.name, first.inputs, first.outputs, first.weights) == ("fc1", 5, 7, 35)
    assert first.hardware.outputs < first.outputs and first.hardware.nonzeros <= first.weights - first.zeros
    assert network.record()["input"]["bits"] == network.input_bits == 4
