# SPDX-License-Identifier: Apache-2.0
"""A network in Python: its integers are the graph's, from any array, and what it says of itself is the report's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import qap2fpga
from qap2fpga import Network
from qap2fpga.system.errors import QapError
from tests.support.brevitas_modules import module as brevitas_module
from tests.support.command import save
from tests.support.networks import random_model

MODEL = random_model(3)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("network") / "net.pt", MODEL)


@pytest.fixture(scope="module")
def network(path: Path) -> Network:
    return qap2fpga.load(path, quiet=True)


def test_it_computes_what_the_graph_computes_from_any_array(network: Network) -> None:
    rows = MODEL.example
    expected = network.graph.run(network.graph.input.quantize(rows))
    assert np.array_equal(network.run(rows), expected)
    assert np.array_equal(network.run(torch.tensor(rows, requires_grad=True)), expected)
    assert np.array_equal(network.run(rows.astype(np.float64).tolist()), expected)
    assert np.array_equal(network.run(network.graph.input.quantize(rows), quantized=True), expected)
    assert expected.shape == (len(rows), network.outputs) and expected.std() > 0


def test_a_trace_ends_in_the_outputs_and_has_every_node_of_the_table(network: Network) -> None:
    trace = network.trace(MODEL.example[:7])
    assert list(trace) == [row["name"] for row in network.nodes]
    assert np.array_equal(trace[list(trace)[-1]], network.run(MODEL.example[:7]))
    for row in network.nodes:
        assert trace[str(row["name"])].shape == (7, row["channels"])


def test_it_says_what_the_report_says(network: Network) -> None:
    layers = network.facts.network.layers
    assert network.bops() == network.facts.network.bops
    known = [row for row in network.nodes if row["weights"] is not None]
    assert [(row["name"], row["zeros"], row["bops"]) for row in known] == [
        (layer.name, layer.zeros, layer.bops.paper) for layer in layers
    ]
    assert network.weights == 5 * 7 + 7 * 6 + 6 * 3
    assert network.sparsity == sum(layer.zeros for layer in layers) / network.weights
    assert repr(network).startswith("<Network net.pt: 5 inputs, 3 outputs, 3 layers, 95 weights of which ")
    assert {one.engine.split()[0] for one in network.comparisons} == {"compacted", "torch", "qonnx"}
    assert list(network.to_pandas()["name"]) == [row["name"] for row in network.nodes]


def test_accuracy_is_the_share_of_the_largest_outputs(network: Network) -> None:
    right = network.run(MODEL.example).argmax(axis=1)
    assert network.accuracy(MODEL.example, MODEL.labels) == network.facts.accuracy
    assert network.accuracy(MODEL.example, right) == 1
    assert network.accuracy(MODEL.example, np.eye(3)[(right + 1) % 3]) == 0


@pytest.mark.parametrize(("y", "what"), [
    (np.full(64, 3), "y does not hold the number of one output"), (np.full(64, 0.5), "y does not hold the number"),
    (np.zeros(63, int), "y has 63 rows, X 64"), (np.zeros(0, int), "y does not hold the number"),
])  # fmt: skip
def test_what_is_no_class_per_row_is_refused(network: Network, y: np.ndarray, what: str) -> None:
    with pytest.raises(QapError, match=what):
        network.accuracy(MODEL.example, y)


def test_one_output_has_no_largest(tmp_path: Path) -> None:
    model = random_model(4, (5, 6, 1))
    one = qap2fpga.load(save(tmp_path / "one.pt", model), compare=False, quiet=True)
    with pytest.raises(QapError, match="one output"):
        one.accuracy(model.example, np.zeros(64, int))


@pytest.mark.parametrize(("X", "quantized", "what"), [
    (np.zeros((2, 6)), False, r"X has shape \(2, 6\)"), (np.zeros(5), False, r"X has shape \(5,\)"),
    (np.full((2, 5), "1"), False, "X has shape"), (np.full((2, 5), np.nan), False, "X has NaN in row 0, column 0"),
    (np.zeros((0, 5)), False, "empty"), (np.full((2, 5), 8), True, "from -8 to 7"),
    (np.full((2, 5), 0.5), True, "from -8 to 7"),
])  # fmt: skip
def test_rows_that_do_not_fit_are_refused(network: Network, X: np.ndarray, quantized: bool, what: str) -> None:
    with pytest.raises(QapError, match=what):
        network.run(X, quantized=quantized)


def test_an_image_is_taken_as_the_model_takes_it(tmp_path: Path) -> None:
    module, rows = brevitas_module("image classifier")
    qap2fpga.save(module, rows, tmp_path / "conv.pt")
    network = qap2fpga.load(tmp_path / "conv.pt", quiet=True)
    with torch.no_grad():
        floats = module(rows).numpy()
    assert np.array_equal(network.run(rows).argmax(axis=1), floats.argmax(axis=1))
    trace = network.trace(rows)
    for row in network.nodes:
        extents = () if row["height"] == row["width"] == 1 else (row["height"], row["width"])
        assert trace[str(row["name"])].shape == (len(rows), *extents, row["channels"])
    assert "image" in str(network.nodes[0]["what"])
    with pytest.raises(QapError, match="X has shape") as caught:
        network.run(np.zeros((2, 3)))
    assert "(n, " in caught.value.hint


@pytest.mark.parametrize(("arguments", "what"), [
    ({"input_range": (2, 1)}, "--input-range is '2,1'"), ({"input_range": (-2.0, float("inf"))}, "--input-range"),
    ({"input_range": (-2, 0)}, "--input-range is '-2,0'"), ({"bits": 99}, "a bit width of 99"),
    ({"input_data": "none.npz"}, "none.npz does not exist"), ({"output_kind": "all"}, "unknown output kind 'all'"),
    ({"weight_bits": (4, 4, 4)}, "model.pt has its own"),
])  # fmt: skip
def test_arguments_that_cannot_be_used(path: Path, arguments: dict[str, object], what: str) -> None:
    with pytest.raises(QapError, match=what):
        qap2fpga.load(path, quiet=True, **arguments)  # type: ignore[arg-type]
    with pytest.raises(QapError, match="is a folder"):
        qap2fpga.load(path.parent, quiet=True)


def test_a_model_without_input_quantizer_is_given_one(tmp_path: Path) -> None:
    bare = random_model(5, batch_norm=False)
    model = save(tmp_path / "bare.pt", type(bare)(bare.ops[1:], bare.masks, {}))
    network = qap2fpga.load(model, input_range=(-3, 3.9), input_bits=6, quiet=True, compare=False)
    assert (network.graph.input.bits, network.graph.input.scale) == (6, (0.25,))
    assert any("has no input quantizer" in note for note in network.notes)


def test_a_profile_is_over_the_rows_that_are_given(network: Network) -> None:
    profile = network.profile(MODEL.example)
    assert (profile.vectors, profile.of) == (len(MODEL.example), "given")
    seen = network.graph.input.quantize(MODEL.example)
    inputs = profile.spreads[0]
    assert (inputs.kind, inputs.least, inputs.largest) == ("inputs", seen.min(), seen.max())
    assert {one.node for one in profile.spreads} == set(network.lowered.shapes)


def test_a_profile_is_short_in_text_and_a_table_in_a_notebook(network: Network) -> None:
    profile = network.profile(MODEL.example)
    nodes, rows = len(network.lowered.shapes), len(MODEL.example)
    assert profile.notes and repr(profile) == (
        f"<Profile {nodes} nodes over {rows} given vectors, {len(profile.notes)} notes>"
    )
    assert len(profile) == len(profile.table) > nodes and profile[0] == profile.spreads[0]
    first = profile.table[0]
    assert (first["node"], first["largest"]) == (profile[0].node.removesuffix("/"), profile[0].largest)
    html = profile._repr_html_()
    assert html.startswith("<p><b>Profile</b>") and html.count("<tr>") == 1 + len(profile) and profile.notes[0] in html
    calm = replace(profile, notes=())
    assert repr(calm).endswith("vectors, nothing is odd>")
