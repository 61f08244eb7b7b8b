# SPDX-License-Identifier: Apache-2.0
"""The comparison of engines with the integer network, without any external program."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import outputs
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.verify.compare import Mismatch
from qap2fpga.verify.engine import Engine, Execution, Progress, Reference, Shown, first_wrong
from tests.support.graphs import small_cnn
from tests.unit.backends.test_rtl import network

ONE = network(8, bits=4)
VECTORS = random_vectors(ONE, 50, 1)
EXPECTED = outputs(ONE, "logits", VECTORS)


class Stored(Engine):
    """An engine that gives what it is made with."""

    name = "stored"

    def __init__(self, *runs: Execution, of: Graph | None = None) -> None:
        self.runs, self.network = runs, of

    def version(self) -> str:
        return "1"

    def run(self, vectors: np.ndarray, progress: Progress) -> Iterator[Execution]:
        yield from self.runs


def wrong(values: np.ndarray, vector: int, channel: int) -> np.ndarray:
    changed = values.copy()
    changed[vector, channel] += 1
    return changed


def shown(node: str, values: np.ndarray | None = None) -> Shown:
    return Shown(node, ONE.trace(VECTORS)[node] if values is None else values)


def test_the_reference_is_equal_to_itself() -> None:
    (one,) = Reference(ONE, "logits").simulate(VECTORS, EXPECTED)
    assert (one.engine, one.version, one.vectors, one.mismatches) == (
        "numpy",
        np.__version__,
        50,
        0,
    )


def test_every_run_is_compared_on_its_vectors() -> None:
    runs = (Execution("a of x", "all", EXPECTED, 7, 1.0, "note"), Execution("b of x", "some", EXPECTED[:9]))
    first, second = Stored(*runs).simulate(VECTORS, EXPECTED)
    assert (first.compared, first.vectors, first.latency_cycles, first.interval_cycles) == ("all", 50, 7, 1.0)
    assert (first.note, second.compared, second.vectors, second.latency_cycles) == ("note", "some", 9, None)


def test_a_wrong_output_of_the_second_run_is_named() -> None:
    runs = (Execution("a of x", "", EXPECTED), Execution("b of x", "", wrong(EXPECTED, 17, 1)))
    with pytest.raises(Mismatch, match=r"^b of x: 1 of 50 vectors differ; first vector 17, channel 1"):
        Stored(*runs).simulate(VECTORS, EXPECTED)


def test_a_mismatch_is_located_with_the_vectors_of_its_run() -> None:
    def locate(mismatch: Mismatch, vectors: np.ndarray, progress: Progress) -> Mismatch:
        return mismatch.with_reason(f"seen in {len(vectors)} vectors")

    run = Execution("a of x", "", wrong(EXPECTED[:9], 3, 0), locate=locate)
    with pytest.raises(Mismatch, match=r"first vector 3, channel 0.*; seen in 9 vectors$"):
        Stored(run).simulate(VECTORS, EXPECTED)


def test_a_fault_counts_only_where_the_outputs_are_right() -> None:
    fault = CheckFailed("padding is wrong", "look")
    with pytest.raises(CheckFailed, match="padding is wrong"):
        Stored(Execution("a", "", EXPECTED, fault=fault)).simulate(VECTORS, EXPECTED)
    with pytest.raises(Mismatch, match="vectors differ"):
        Stored(Execution("a", "", wrong(EXPECTED, 0, 0), fault=fault)).simulate(VECTORS, EXPECTED)


def test_the_first_wrong_node_is_named_with_right_and_with_wrong_outputs() -> None:
    first, second = ONE.layers[:2]
    late = shown(second.name, wrong(ONE.trace(VECTORS)[second.name], 2, 0))
    early = shown(first.requantizer.name, wrong(ONE.trace(VECTORS)[first.requantizer.name], 5, 1))
    places = (shown(first.name), early, late)
    with pytest.raises(Mismatch) as caught:
        Stored(Execution("a", "", EXPECTED, shown=places), of=ONE).simulate(VECTORS, EXPECTED)
    named = f"layer {first.name} is wrong first: its activation in vector 5, channel 1"
    assert f"a: the outputs are right, but {named}" in str(caught.value)
    with pytest.raises(Mismatch, match=f"first vector 0, channel 0.*; {named}"):
        Stored(Execution("a", "", wrong(EXPECTED, 0, 0), shown=places), of=ONE).simulate(VECTORS, EXPECTED)
    Stored(Execution("a", "", EXPECTED, shown=(shown(first.name),)), of=ONE).simulate(VECTORS, EXPECTED)


@pytest.mark.parametrize("node", [node.name for node in ONE.nodes[1:]])
def test_every_node_is_named_by_its_layer_and_what_it_holds(node: str) -> None:
    (layer,) = (one for one in ONE.layers if node in (one.name, one.requantizer.name))
    places = [shown(one.name) for one in reversed(ONE.nodes[1:]) if one.name != node]
    assert first_wrong(ONE, places, VECTORS) is None, "in any order"
    named = f"layer {layer.name} is wrong first: its {ONE[node].word} in vector 7, channel 1: "
    changed = shown(node, wrong(ONE.trace(VECTORS)[node], 7, 1))
    message = first_wrong(ONE, [*places, changed], VECTORS)
    assert message is not None and message.startswith(named)
    assert message.endswith(f"(channel {layer.channel_name(1)} of the model)")


@pytest.mark.parametrize(
    "node, word, place, model",
    [
        ("conv1", "accumulator", "row 1, column 3, channel 2", "channel 2"),
        ("conv1/step", "activation", "row 1, column 3, channel 2", "channel 2"),
        ("pool", "result", "row 2, column 1, channel 2", "channel 2"),
        ("logits", "logit", "channel 1", "channel 1"),
    ],
)
def test_a_wrong_value_of_a_frame_is_named_by_its_position(node: str, word: str, place: str, model: str) -> None:
    graph = small_cnn()
    vectors = random_vectors(graph, 20, 1)
    right, shape = graph.trace(vectors)[node], graph.shapes[node]
    element = {"conv1": 26, "conv1/step": 26, "pool": 17, "logits": 1}[node]
    said = first_wrong(graph, [Shown(node, right), Shown(node, wrong(right, 7, element))], vectors)
    layer = graph[node].sources[0] if word in ("activation", "logit") else node
    assert said is not None and said.startswith(
        f"layer {layer} is wrong first: its {word} in vector 7, {place}: found "
    )
    assert said.endswith(f"({model} of the model)") and shape.size == right.shape[1]


def test_a_node_that_the_network_has_not_is_refused() -> None:
    with pytest.raises(QapError, match="the network has no layer with a node 'fc9'"):
        first_wrong(ONE, [Shown("fc9", VECTORS)], VECTORS)


def test_counts_of_a_step_function_and_dummy_lanes() -> None:
    layer = ONE.layers[0]
    counts = np.pad(layer.counted(ONE.trace(VECTORS)[layer.requantizer.name]), ((0, 0), (0, 2)))
    place = Shown(layer.requantizer.name, counts, counts=True)
    Stored(Execution("a", "", EXPECTED, shown=(place,)), of=ONE).simulate(VECTORS, EXPECTED)
    dummy = Shown(layer.requantizer.name, wrong(counts, 4, layer.outputs), counts=True)
    with pytest.raises(Mismatch, match=f"vector 4, channel {layer.outputs}.*channel none of the model"):
        Stored(Execution("a", "", EXPECTED, shown=(dummy,)), of=ONE).simulate(VECTORS, EXPECTED)


def test_a_node_that_let_vectors_get_lost() -> None:
    name = ONE.layers[0].name
    place = shown(name, ONE.trace(VECTORS)[name][:40])
    with pytest.raises(Mismatch, match=f"layer {name} let only 40 of 50 vectors pass"):
        Stored(Execution("a", "", EXPECTED, shown=(place,)), of=ONE).simulate(VECTORS, EXPECTED)


@pytest.mark.parametrize("count", [0, 49])
def test_vectors_and_outputs_must_match(count: int) -> None:
    with pytest.raises(ValueError, match="expected outputs"):
        Stored().simulate(VECTORS[:count], EXPECTED if count else EXPECTED[:0])
