# SPDX-License-Identifier: Apache-2.0
"""Graphs of all kinds through FINN: every step exact, the RTL exact in Verilator, cycles and cells as predicted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import fifos, layers
from qap2fpga.backends.finn.stream.draw import Drawing, Lanes
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.outputs import outputs
from qap2fpga.synth import yosys
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify.rtl import Rtl, measured
from tests.support.streams import cnn, everything, residual

BOARD = boards.load("pynq-z2")


@dataclass(frozen=True)
class Built:
    """A graph and its design."""

    graph: Graph
    design: Design
    folder: Path


def frames(graph: Graph, count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(graph.input.low, graph.input.high + 1, (count, graph.inputs))


def build(graph: Graph, folder: Path, **options: Any) -> Built:
    design = FinnBackend().generate(graph, BOARD, folder, FinnOptions(**options), frames(graph, 2))
    return Built(graph, design, folder)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A design of all kinds of nodes."""
    return build(everything(), tmp_path_factory.mktemp("everything"))


def test_the_design_says_what_it_is(built: Built) -> None:
    design = built.design
    assert sorted(path.name for path in built.folder.glob("*.onnx")) == ["00_layers.onnx", "01_generate_rtl.onnx"]
    assert all((design.folder / name).is_file() for name in (*design.sources, *design.data))
    assert {probe.node for probe in design.probes} >= {"conv1", "dw", "act2", "sum", "pool", "up", "cat", "fc"}
    # Levels that are no counts are not what a probe of a step function shows.
    assert not {probe.node for probe in design.probes} & {"act1", "act3"}
    deep = design.details["fifos"]
    assert isinstance(deep, dict)
    assert deep == {node.name: node.depth for node in design.nodes if node.depth}  # type: ignore[attr-defined]
    for kind in ("lut", "ff", "dsp", "bram18"):
        assert sum(node.estimate[kind] or 0 for node in design.nodes) == design.estimate[kind]


def test_the_same_graph_gives_the_same_files(built: Built, tmp_path: Path) -> None:
    again = build(everything(), tmp_path).design
    for name in again.sources:
        assert (again.folder / name).read_bytes() == (built.design.folder / name).read_bytes()


def test_a_step_that_changes_the_network_is_caught_where_it_does(tmp_path: Path) -> None:
    graph = cnn()
    ones = {node.name: Lanes() for node in graph.nodes}
    drawn = Drawing(graph, ones, fifos.without(), deep=False, kind="logits").drawn(HANDLERS)
    model = layers.write(drawn)
    comparison = layers.Comparison(graph, drawn, frames(graph, 2))
    comparison.compare("layers", model)
    weights = model.get_initializer("MVAU_rtl_1_weights").copy()
    weights[3, 2] += 1
    model.set_initializer("MVAU_rtl_1_weights", weights)
    with pytest.raises(
        CheckFailed, match=re.escape("FINN step 'layers' changed the network: node conv2, channel 2, row")
    ):
        comparison.compare("layers", model)


def simulated(built: Built, kind: str = "logits", count: int = 24) -> None:
    """Compare with Verilator under all schedules, and its cycles with those predicted."""
    inputs = frames(built.graph, count)
    expected = outputs(built.graph, kind, inputs)
    results = Rtl(built.design, built.folder / "simulate", threads=1).simulate(inputs, expected)
    assert measured(results) == (built.design.latency_cycles, built.design.interval_cycles)


@pytest.mark.slow
def test_all_kinds_of_nodes_in_verilator(built: Built) -> None:
    simulated(built)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "options", "kind"), [
    (cnn, {"folding": {}}, "logits"),
    (cnn, {}, "class"),
    (residual, {"target_fps": 1e5}, "logits"),
])  # fmt: skip
def test_foldings_in_verilator(make: Callable[[], Graph], options: dict[str, Any], kind: str, tmp_path: Path) -> None:
    simulated(build(make(), tmp_path, output_kind=kind, **options), kind)


@pytest.mark.slow
def test_a_wrong_weight_makes_the_simulation_fail(built: Built, tmp_path: Path) -> None:
    graph = built.graph
    node = graph["conv3"]
    assert isinstance(node, Linear)
    weights = node.weights.copy()
    weights[0, 0] += 2
    other = replace(built, graph=graph.with_nodes(replace(node, weights=weights)), folder=tmp_path)
    with pytest.raises(CheckFailed, match="differ"):
        simulated(other)


@pytest.mark.slow
def test_yosys_takes_what_was_expected(built: Built) -> None:
    total = yosys.measurement(yosys.map_design(built.design, BOARD, built.folder / "synthesize", threads=1)).total
    assert total.dsp == built.design.estimate["dsp"]
    for kind in ("lut", "ff"):
        assert abs(getattr(total, kind) / (built.design.estimate[kind] or 1) - 1) < 0.15
