# SPDX-License-Identifier: Apache-2.0
"""Dense layers that take their integers one after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.rtl import backend
from qap2fpga.backends.rtl.circuit import Delays
from qap2fpga.backends.rtl.dataflow import mac
from qap2fpga.backends.rtl.dataflow.mac import Mac
from qap2fpga.backends.rtl.dataflow.parts import Flow
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.backends.rtl.netlist.cells import Table
from qap2fpga.backends.rtl.netlist.evaluate import run
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.tensors import Shape
from tests.support.graphs import pooled, wide
from tests.unit.backends.test_rtl_dataflow import BOARD, evaluated, generated, simulated, stimuli

DELAYS = Delays(1.0, 1.4, 0.03, 1.2)


@pytest.mark.parametrize("kind", ["logits", "accumulators", "class"])
def test_two_serial_layers(kind: str) -> None:
    flow = evaluated(pooled(), kind).flow
    assert sum(isinstance(part, Mac) for part in flow.parts) == 2
    assert flow.interval == 64


@pytest.mark.parametrize("interval, serial", [(36, 0), (100, 1), (1000, 3)])
def test_convolutions_that_may_take_more_cycles(interval: int, serial: int) -> None:
    flow = evaluated(wide(), target_interval=interval).flow
    assert sum(isinstance(part, Mac) for part in flow.parts) == serial
    assert interval - 36 < flow.interval <= interval


@pytest.mark.slow
@pytest.mark.parametrize("interval", [100, 1000])
def test_serial_convolutions_in_verilator(tmp_path: Path, interval: int) -> None:
    simulated(wide(), tmp_path, target_interval=interval)


@pytest.mark.slow
def test_serial_layers_in_verilator(tmp_path: Path) -> None:
    simulated(pooled(), tmp_path)


@pytest.mark.parametrize("clock", [2.0, 20.0])
def test_the_weights_of_every_place(clock: float) -> None:
    weights = np.random.default_rng(0).integers(-9, 4, (37, 3))
    module = mac.weights_module("l0", weights, clock, DELAYS)
    assert (run([module.netlist], np.arange(37)[:, None]) == weights).all()


def test_a_changed_weight_is_seen() -> None:
    graph = pooled()
    flow = backend.circuit(graph, BOARD, RtlOptions()).flow
    part = next(part for part in flow.parts if isinstance(part, Mac))
    cells = list(part.rom.netlist.cells)
    place = next(place for place, cell in enumerate(cells) if isinstance(cell, Table))
    table = cells[place]
    assert isinstance(table, Table)
    cells[place] = replace(table, columns=(table.columns[0] ^ 1, *table.columns[1:]))
    rom = replace(part.rom, netlist=replace(part.rom.netlist, cells=tuple(cells)))
    broken = replace(flow, parts=tuple(replace(part, rom=rom) if one is part else one for one in flow.parts))
    frames = stimuli(graph)
    assert (broken.evaluate(frames) != reference.outputs(graph, "logits", frames)).any()


def test_frames_that_come_too_fast_are_a_bug() -> None:
    flow = Flow("0", Shape(3, 2, 2), ((0, 3),) * 3, Timing(np.arange(4), np.arange(4), 4))
    with pytest.raises(AssertionError, match="frames of 2x2x3 come faster"):
        mac.timing(flow, mac.weights_module("l0", np.ones((12, 1), np.int64), 9.0, DELAYS), whole=True)


def test_its_probe_shows_the_sums(tmp_path: Path) -> None:
    graph = pooled()
    probes = {probe.node: probe for probe in generated(graph, tmp_path).probes}
    assert list(probes) == ["pool", "dense1", "dense1/end", "dense2", "dense2/end"]
    bits = graph.node_ranges["dense1"].signed_bits
    assert probes["dense1"].lanes == ((bits, True),) * 12
