# SPDX-License-Identifier: Apache-2.0
"""What hls4ml cannot do is said by the node's name, all of it at once, before anything is written."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.hls4ml import limits
from qap2fpga.backends.hls4ml.backend import Hls4mlBackend
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.hw import boards
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.units import dense
from tests.support.graphs import residual, small_chain, small_cnn

PYNQ = boards.load("pynq-z2")


def reasons(graph: Graph, **options: object) -> list[str]:
    return [str(reason) for reason in Hls4mlBackend().check(graph, PYNQ, Hls4mlOptions(**options))]


def vectors() -> Graph:
    return small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])


@pytest.mark.parametrize("io_type", ["parallel", "stream", None])
@pytest.mark.parametrize(
    "options", [{}, {"reuse_factor": 3}, {"strategy": "distributed_arithmetic"}], ids=["latency", "shared", "adders"]
)
def test_networks_of_all_kinds_of_nodes_are_taken(options: dict[str, object], io_type: str | None) -> None:
    for graph in (vectors(), small_cnn(), residual()):
        assert reasons(graph, io_type=io_type, **options) == []


def test_strategies_that_hls4ml_has_not_for_a_layer() -> None:
    shared = {"strategy": "resource_unrolled", "reuse_factor": 2}
    assert reasons(small_cnn(), io_type="stream", **shared) == reasons(vectors(), **shared) == []
    first, second = reasons(small_cnn(), io_type="parallel", **shared)
    assert first.startswith("layer conv1 (Conv2D): ") and second.startswith("layer conv2 (Conv2D): ")
    shared["strategy"] = "resource"
    assert reasons(small_cnn(), io_type="parallel", **shared) == reasons(vectors(), io_type="stream", **shared) == []
    (reason,) = reasons(vectors(), **shared)
    assert "'resource' keeps its loops" in reason


def test_readers_of_a_stream_sizes_of_arrays_and_classes_of_frames(tmp_path: Path) -> None:
    first = Input(name="in", size=Shape(2, 40, 60), quantizer=InputQuantizer(-2, 5, (1.0,)))
    nodes: tuple[Node, ...] = (first, Concat(name="c", sources=("in",) * 8))
    graph = verify(Graph(nodes, "c", Fraction(1)), "a test")
    (reason,) = reasons(graph)
    assert reason.startswith("node in: its result is taken 8 times, hls4ml copies a stream 7 times at most")
    both = reasons(graph, io_type="parallel", output_kind="class")
    assert [text.split(":")[0] for text in both] == ["node in", "node c", "node c"]
    assert "40x60x2 is too large for registers" in both[0] and "needs a vector" in both[2]
    assert reasons(graph, io_type="parallel", allow_oversize=True) == []
    options = Hls4mlOptions(io_type="parallel", output_kind="class")
    with pytest.raises(Exception, match=r"node in: .*; node c: .*; node c: "):
        Hls4mlBackend().generate(graph, PYNQ, tmp_path / "hls4ml", options, np.zeros((1, 4800), np.int64))
    assert not (tmp_path / "hls4ml").exists()


def test_frames_up_to_a_size_are_arrays_and_vectors_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small_cnn()
    largest = max(shape.size for shape in graph.shapes.values())
    assert limits.MAX_ARRAY == 4096, "as docs/limits.md says"
    monkeypatch.setattr(limits, "MAX_ARRAY", largest)
    assert reasons(graph, io_type="parallel") == []
    monkeypatch.setattr(limits, "MAX_ARRAY", largest - 1)
    assert all("is too large for registers" in one for one in reasons(graph, io_type="parallel"))
    assert reasons(graph, io_type="parallel") and reasons(graph) == []
    monkeypatch.setattr(limits, "MAX_ARRAY", 1)
    assert reasons(vectors()) == []


def test_the_class_of_a_vector_may_leave() -> None:
    assert reasons(small_cnn(), output_kind="class") == []


def test_accumulators_of_a_network_that_ends_in_none() -> None:
    (reason,) = reasons(residual(), output_kind="accumulators")
    assert "the network ends in the node dense (linear), which is no requantizer" in reason


def test_thresholds_on_no_line_and_weights_too_wide_are_named_together() -> None:
    rows = np.sort(np.random.default_rng(0).integers(-9000, 9000, (2, 2000)), axis=1)
    graph = vectors()
    weights = np.array([[127, 1 << 54], [127, 3]])
    unit = dense("fc", weights, Step(rows), 8, 8)
    graph = graph.with_layers((unit,)).with_input(replace(graph.input, low=-128, high=127))
    wide, *lines = reasons(graph)
    assert wide.startswith("layer fc (Dense): weights of 56 bits")
    assert [text.split(":")[0] for text in lines] == ["layer fc, channel 0", "layer fc, channel 1"]


def test_products_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small_cnn()
    count = limits.products(graph)
    assert count == sum(node.nonzeros for node in graph.weighted)
    assert limits.estimated_luts(vectors()) == round(limits.LUTS_PER_BIT * 5 * 4 * 4)
    monkeypatch.setattr(limits, "MAX_PRODUCTS", count)
    assert reasons(graph) == []
    monkeypatch.setattr(limits, "MAX_PRODUCTS", count - 1)
    (reason,) = reasons(graph)
    assert f"{count} multiplications at the same time" in reason
    assert reasons(graph, reuse_factor=2) == reasons(graph, allow_oversize=True) == []


def test_a_step_after_anything_is_looked_at() -> None:
    first = Input(name="in", size=Shape(1), quantizer=InputQuantizer(0, 9999, (1.0,)))
    row = np.sort(np.random.default_rng(1).integers(1, 9999, (1, 3000)))
    graph = verify(
        Graph((first, Requantizer(name="s", sources=("in",), function=Step(row))), "s", Fraction(1)), "a test"
    )
    (reason,) = reasons(graph)
    assert reason.startswith("layer in, channel 0: its 3000 thresholds do not lie on one line")
