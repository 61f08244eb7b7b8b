# SPDX-License-Identifier: Apache-2.0
"""The layers that hls4ml is given of a graph, without writing any: names, types, shapes, and what is traced."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.backends.hls4ml.model import Plan
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.hls4ml.translate import plan
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from tests.support.branches import branching
from tests.support.graphs import residual, small_chain, small_cnn

FRAME = Shape(2, 3, 3)


def planned(graph: Graph, **options: object) -> Plan:
    return plan(graph, Hls4mlOptions(**options))


def named(result: Plan, prefix: str) -> list[dict[str, object]]:
    return [layer for layer in result.layers if str(layer["name"]).rstrip("0123456789") == prefix]


def frames(*nodes: Node, size: Shape = FRAME) -> Graph:
    first = Input(name="in", size=size, quantizer=InputQuantizer(-2, 5, (1.0,)))
    return verify(Graph((first, *nodes), nodes[-1].name, Fraction(1)), "a test")


def test_a_chain_of_vectors_is_as_ever() -> None:
    graph = small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])
    result = planned(graph)
    assert [layer["name"] for layer in result.layers] == ["features", "dense0", "step0", "dense1", "step1"]
    assert {layer["class_name"] for layer in result.layers} == {"InputLayer", "Dense", "QapStep"}
    assert not result.needs_frames and not result.stream and result.interval == 1
    assert (result.input.lanes, result.output.lanes) == (2, 1)


@pytest.mark.parametrize("io_type", ["parallel", "stream"])
@pytest.mark.parametrize("graph", [residual(), small_cnn(), *(branching(seed) for seed in range(4))])
def test_every_node_has_a_trace_and_a_type_of_its_range(graph: Graph, io_type: str) -> None:
    result = planned(graph, io_type=io_type)
    assert [trace.node for trace in result.traces] == [node.name for node in graph.nodes[1:]]
    by_layer = {tensor.layer: tensor for tensor in result.ends}
    for trace in result.traces:
        tensor, values = by_layer[trace.name], graph.node_ranges[trace.node]
        assert tensor.shape == graph.shapes[trace.node] and trace.elements == tensor.shape.size
        assert tensor.low <= values.lowest and tensor.high >= values.highest
        signed = "" if tensor.low < 0 else "u"
        precision = result.config[trace.name]["Precision"]
        assert precision["result"] == precision["default"] == f"{signed}int<{tensor.bits}>"
        if "accum" in precision:
            assert precision["accum"] == f"int<{values.signed_bits}>"
    known = {"features"}
    for layer in result.layers[1:]:
        assert set(layer["inputs"]) <= known, "a layer reads what is not there yet"
        known.add(layer["name"])


def test_a_stream_has_a_position_in_a_beat() -> None:
    graph = residual()
    assert planned(graph).stream, "frames pass as streams where nothing else is asked for"
    result = planned(graph, io_type="stream")
    assert (result.input.elements, result.input.lanes, result.input.bits, result.input.signed) == (40, 2, 2, True)
    assert planned(graph, io_type="parallel").input.lanes == 40


def test_pads_of_any_value_are_a_layer_of_ours_whose_type_holds_them() -> None:
    graph = frames(Max(name="m", sources=("in",), geometry=Geometry((2, 2), pads=(1, 0, 0, 1), pad=-9)))
    result = planned(graph)
    (pad,), (pool,) = named(result, "pad"), named(result, "max")
    assert pad["call"] == "qap::pad<{types}, 3, 3, 2, 1, 0, 0, 1, -9LL>" and pad["shape"] == [4, 4, 2]
    assert result.config["pad0"]["Precision"]["result"] == "int<5>"
    assert pool["call"] == "qap::largest<{types}, 4, 4, 2, 2, 2, 1, 1, 1, 1>" and pool["inputs"] == ["pad0"]


def test_sums_of_several_sources_are_pairs_with_types_of_their_own() -> None:
    step = Requantizer(name="s", sources=("in",), function=Step(np.array([[0, 1], [2, 3]])))
    total = Sum(name="t", sources=("in", "s", "in", "other"), multipliers=(2, -3, 1, 5))
    graph = frames(step, Requantizer(name="other", sources=("in",), function=Step(np.array([[0], [1]]))), total)
    result = planned(graph)
    first, second = named(result, "sum")
    assert "qap::weighted_sum<3LL, -3LL, 2>" in str(first["call"]) and first["inputs"] == ["features", "step0"]
    assert "qap::weighted_sum<1LL, 5LL, 2>" in str(second["call"]) and second["inputs"] == ["sum0", "step1"]
    ends = {tensor.layer: (tensor.low, tensor.high) for tensor in result.ends}
    assert (ends["sum0"], ends["sum1"]) == ((-12, 15), (-12, 20))
    assert [trace.name for trace in result.traces if trace.node == "t"] == ["sum1"]


def test_a_sum_of_one_tensor_multiplies_and_channels_are_put_side_by_side() -> None:
    graph = frames(
        Sum(name="t", sources=("in", "in"), multipliers=(2, -5)), Concat(name="c", sources=("t", "in", "in")),
        Concat(name="d", sources=("c",)),
    )  # fmt: skip
    result = planned(graph)
    (one,) = named(result, "sum")
    assert "qap::multiple<-3LL, 2>" in str(one["call"])
    calls = [str(layer["call"]) for layer in named(result, "concat")]
    assert ["side_by_side<2, 2>" in calls[0], "side_by_side<4, 2>" in calls[1], "multiple<1LL, 6>" in calls[2]] == [
        True
    ] * 3
    assert result.ends[-1].shape == Shape(6, 3, 3)


def test_a_dense_layer_takes_a_frame_flat_and_a_row_of_positions_is_a_layer_of_one_dimension() -> None:
    result = planned(small_cnn())
    (flat,) = named(result, "flat")
    dense = next(layer for layer in result.layers[1:] if layer["inputs"] == ["flat0"])
    assert flat["target_shape"] == [dense["n_in"]] and np.shape(dense["weight_data"]) == (dense["n_in"], dense["n_out"])
    row = planned(branching_row())
    assert {layer["class_name"] for layer in named(row, "conv")} == {"Conv1D"}


def branching_row() -> Graph:
    graph = small_cnn()
    conv = graph.nodes[1]
    geometry = Geometry((1, 3), pads=(0, 1, 0, 1))
    weights = np.ones((6, 3), np.int64)
    return frames(replace(conv, sources=("in",), geometry=geometry, weights=weights), size=Shape(2, 1, 6))


@pytest.mark.parametrize("io_type", ["parallel", "stream"])
def test_what_leaves_the_chip(io_type: str) -> None:
    graph = small_cnn()
    whole, sums = (planned(graph, io_type=io_type, output_kind=kind) for kind in ("logits", "accumulators"))
    assert whole.traces[-1].node == graph.output and sums.traces[-1].node == graph.end.sources[0]
    number = planned(graph, io_type=io_type, output_kind="class")
    assert (number.output.elements, number.output.signed) == (1, False)
    assert 1 << number.output.bits >= graph.outputs > 1 << number.output.bits - 1
