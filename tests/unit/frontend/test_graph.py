# SPDX-License-Identifier: Apache-2.0
"""Graphs with kernels and branches, from the file to integers, compared with qonnx's own execution."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.frontend.prepare import Prepared, Source, prepare
from qap2fpga.frontend.values import RawGraph, RawStep
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import ConstantNetwork
from tests.support.drawn import drawn
from tests.support.qonnx_builder import Builder
from tests.support.rational import execute, fractions


def prepared(model: Any, folder: Path, **options: Any) -> Prepared:
    """What the front end makes of a model, all of it compared with qonnx."""
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return prepare(Source(path, Widths(), **options), lambda _: None)


def residual() -> Any:
    """Two convolutions with a skip around the second, a pool and a dense layer."""
    random = np.random.default_rng(0)
    one = Builder((1, 3, 6, 5))

    def weights(*size: int) -> str:
        return one.weights(random.integers(-7, 8, size) / 4, 0.25)

    start = one.quant("x", 0.25)
    first = one.add("Conv", start, weights(4, 3, 3, 3), one.constant(random.normal(size=4)), pads=[1, 1, 1, 1])
    normal = [random.normal(size=4) for _ in range(3)]
    first = one.add("Relu", one.batch_norm(first, *normal, random.uniform(0.5, 3, 4)))
    skip = one.quant(first, 0.2, signed=False)
    second = one.quant(one.add("Conv", skip, weights(4, 4, 3, 3), pads=[1, 1, 1, 1]), 1.613)
    total = one.quant(one.add("Add", second, skip), 0.3)
    pool = one.add("Flatten", one.add("MaxPool", total, kernel_shape=[2, 2], strides=[2, 2]))
    return one.model(one.add("MatMul", pool, weights(24, 3)))


def test_a_residual_network_is_exact(tmp_path: Path) -> None:
    result = prepared(residual(), tmp_path)
    kinds = [type(node) for node in result.lowered.nodes]
    assert (kinds.count(Linear), kinds.count(Sum), kinds.count(Max)) == (3, 1, 1)
    qonnx = result.simulations[-1]
    assert (qonnx.engine, qonnx.mismatches) == ("qonnx", 0)
    assert qonnx.vectors > 1000
    layers = result.facts.network.record()["layers"]
    assert isinstance(layers, list)
    assert [one.get("kernel") for one in layers] == [(3, 3), (3, 3), None]
    assert [one["kind"] for one in layers] == ["conv", "conv", "dense"]


# ---- drawn graphs beside rational arithmetic

DRAWN = 200
# A root of a variance has 1024 bits in the program, 400 digits in the reference; sums of them may differ by this.
CLOSE = Fraction(1, 2**800)


def walked(model: onnx.ModelProto) -> tuple[RawGraph, Graph]:
    """What is read of a graph, and lowered."""
    graph = read(ModelWrapper(model).transform(InferShapes()))
    return graph, verify(lower(graph), "lowering")


def assert_exact(graph: RawGraph, network: Graph, model: onnx.ModelProto, rows: np.ndarray) -> int:
    """Every activation and the sums at the end have the value that rational arithmetic gives them."""
    exact = execute(model, fractions(rows))
    results = network.trace(network.input.quantize(graph.input_axes.frames(rows)))
    compared = 0
    for raw in graph.nodes.values():
        if isinstance(raw, RawStep) and raw.name in results:
            signal = raw.entering
            units = np.tile(np.array(raw.units, object), signal.shape.positions)
            assert (results[raw.name] * units == signal.axes.frames(exact[raw.tensor])).all(), raw.name
            compared += results[raw.name].size
    end = graph.output
    if not end.quantized:
        (source,) = network[network.output].sources
        values = end.axes.frames(exact[end.tensor])
        for row, wanted in zip(results[source].tolist(), values, strict=True):
            found = [end.affine.value(place % end.affine.channels, value) for place, value in enumerate(row)]
            assert all(abs(one - other) <= CLOSE for one, other in zip(found, wanted, strict=True))
    return compared


@pytest.mark.parametrize("seed", range(DRAWN))
def test_a_drawn_graph_equals_rational_arithmetic(seed: int) -> None:
    """Each quantized tensor, exactly, and compaction changes no output."""
    model, rows = drawn(seed)
    graph, network = walked(model)
    assert assert_exact(graph, network, model, rows) > 0
    vectors = random_vectors(network, 20, seed)
    try:
        compacted = compact(network, vectors)
    except ConstantNetwork:
        return
    assert (compacted.run(vectors) == network.run(vectors)).all()
