# SPDX-License-Identifier: Apache-2.0
"""Graphs with kernels and branches, from the file to integers, compared with qonnx's own execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Prepared, Source, prepare
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from tests.support.qonnx_builder import Builder


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
    assert [one.get("pads") for one in layers] == [(1, 1, 1, 1), (1, 1, 1, 1), None]
    assert [one["kind"] for one in layers] == ["conv", "conv", "dense"]
    record = result.facts.network.record()
    assert record["frame"] == {
        "height": 6, "width": 5, "channels": 3, "model": [3, 6, 5], "parts": [3, 6, 5], "moves": [1, 2, 0],
    }  # fmt: skip
    nodes = record["nodes"]
    assert isinstance(nodes, list)
    assert [node["name"] for node in nodes] == [node.name for node in result.lowered.nodes]
