# SPDX-License-Identifier: Apache-2.0
"""Graphs with positions and branches as hardware: evaluated in numpy, a few in Verilator, cycles too."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.rtl import backend
from qap2fpga.backends.rtl.backend import RtlBackend
from qap2fpga.backends.rtl.dataflow.parts import Delay, Skip
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.verify import rtl
from tests.support.branches import branching
from tests.support.graphs import small_cnn

BOARD = boards.load("pynq-z2")


def stimuli(graph: Graph, count: int = 20) -> np.ndarray:
    return np.concatenate([random_vectors(graph, count, 5), extremes(graph)[:20]])


def evaluated(graph: Graph, kind: str = "logits", **options: float) -> backend.Circuit:
    """The circuit, which gives the graph's integers."""
    circuit = backend.circuit(graph, BOARD, RtlOptions(output_kind=kind, **options))  # type: ignore[arg-type]
    frames = stimuli(graph)
    assert (circuit.flow.evaluate(frames) == reference.outputs(graph, kind, frames)).all()
    return circuit


def generated(graph: Graph, folder: Path, kind: str = "logits", **options: int) -> Design:
    nothing = np.zeros((0, graph.inputs), np.int64)
    chosen = RtlOptions(output_kind=kind, **options)  # type: ignore[arg-type]
    return RtlBackend().generate(graph, BOARD, folder / "rtl", chosen, nothing)


def simulated(graph: Graph, folder: Path, kind: str = "logits", **options: int) -> Design:
    design = generated(graph, folder, kind, **options)
    frames = stimuli(graph)
    engine = rtl.Rtl(design, folder / "simulate", network=graph, threads=1)
    runs = engine.simulate(frames, reference.outputs(graph, kind, frames))
    assert rtl.measured(runs) == (design.latency_cycles, design.interval_cycles)
    return design


def possible(seed: int) -> Graph | None:
    """A drawn graph; None where the backend refuses it."""
    graph = compact(branching(seed))
    return None if RtlBackend().check(graph, BOARD, RtlOptions()) else graph


@pytest.mark.parametrize("kind", ["logits", "values", "class", "accumulators"])
def test_a_small_cnn(kind: str) -> None:
    flow = evaluated(small_cnn(), kind).flow
    assert flow.interval == 30
    assert len(flow.modules) == 4 + (kind == "class")


@pytest.mark.parametrize("seed", [1, 2, 5, 8, 12])
def test_drawn_graphs(seed: int) -> None:
    graph = possible(seed)
    assert graph is None or evaluated(graph)


def test_sums_of_a_channel_that_is_always_zero() -> None:
    graph = possible(41)
    assert graph is not None
    sums = graph.node_ranges[graph.end.sources[0]]
    assert (sums.low[0], sums.high[0]) == (0, 0)
    assert evaluated(graph, "accumulators")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["logits", "class", "accumulators"])
def test_more_drawn_graphs(kind: str) -> None:
    graphs = [graph for graph in map(possible, range(20, 60)) if graph is not None]
    parts = {type(part) for graph in graphs for part in evaluated(graph, kind).flow.parts}
    assert len(graphs) > 15
    assert {Delay, Skip} & parts


@pytest.mark.slow
def test_a_small_cnn_in_verilator(tmp_path: Path) -> None:
    design = simulated(small_cnn(), tmp_path)
    assert (design.input.elements, design.input.lanes, design.interval_cycles) == (60, 2, 30)


def test_the_ports_and_probes_of_frames(tmp_path: Path) -> None:
    graph = small_cnn()
    design = generated(graph, tmp_path)
    assert (design.input.elements, design.input.lanes, design.input.bits) == (60, 2, 3)
    assert (design.output.elements, design.output.lanes) == (4, 4)
    probes = {probe.node: probe for probe in design.probes}
    assert list(probes) == ["conv1/step", "pool", "conv2/step", "logits"]
    assert {name: (probe.beats, len(probe.lanes)) for name, probe in probes.items()} == {
        "conv1/step": (30, 3), "pool": (6, 3), "conv2/step": (2, 2), "logits": (1, 4),
    }  # fmt: skip
    assert all(probe.valid and probe.ready for probe in design.probes)
    assert all((design.folder / name).is_file() for name in design.sources)


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    designs = [generated(small_cnn(), tmp_path / name) for name in ("a", "b")]
    texts = [[(design.folder / name).read_bytes() for name in design.sources] for design in designs]
    assert texts[0] == texts[1]


def test_a_faster_clock_takes_more_cycles() -> None:
    slow, fast = (evaluated(small_cnn(), clock=clock).expected for clock in (100.0, 3.0))
    assert slow.latency_cycles is not None and fast.latency_cycles is not None
    assert slow.latency_cycles < fast.latency_cycles
    assert slow.interval_cycles == fast.interval_cycles == 30


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"--target-interval is 29; a frame takes 30 cycles at least"):
        generated(small_cnn(), tmp_path, target_interval=29)


@pytest.mark.slow
def test_a_fault_is_traced_to_its_node_channel_and_position(tmp_path: Path) -> None:
    graph = small_cnn()
    design = generated(graph, tmp_path)
    path = design.folder / "l2.v"
    changed, count = re.subn(r"= ~\((n\d+|i\d+|\{[^}]*\}) \+ ", r"= ~(\1 - ", path.read_text(), count=1)
    assert count == 1
    path.write_text(changed)
    frames = stimuli(graph)
    engine = rtl.Rtl(design, tmp_path / "simulate", network=graph, threads=1)
    with pytest.raises(
        CheckFailed, match=r"layer conv2 is wrong first: its activation in vector \d+, row \d, column 0"
    ):
        engine.simulate(frames, graph.run(frames))
