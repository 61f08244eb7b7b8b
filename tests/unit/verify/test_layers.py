# SPDX-License-Identifier: Apache-2.0
"""A mismatch names the layer that is wrong first, its channel and the vector: faults planted layer by layer."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.hw.beats import pack
from qap2fpga.hw.design import Design, Probe
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.synth import yosys
from qap2fpga.verify import layers, netlist, rtl
from qap2fpga.verify.compare import Mismatch, compare
from qap2fpga.verify.verilator import Run
from tests.support.graphs import layer_results
from tests.unit.backends import test_finn
from tests.unit.backends.test_rtl import BOARD, generated, network

NAMED = re.compile(
    r"layer (\w+) is wrong first: its (\w+) in vector (\d+), channel (\d+): found (-?\d+), expected (-?\d+)"
)


def first_difference(exact: Graph, wrong: Graph, vectors: np.ndarray) -> tuple[str, ...]:
    """What must be named, when hardware computes `wrong`: the same six facts, from the two networks."""
    for layer, one, other in zip(
        exact.layers, layer_results(exact, vectors), layer_results(wrong, vectors), strict=True
    ):
        if (one != other).any():
            vector, channel = np.argwhere(one != other)[0]
            numbers = (vector, channel, other[vector, channel], one[vector, channel])
            return (layer.name, layer.requantizer.word, *(str(number) for number in numbers))
    raise AssertionError("the fault does not show")


def with_flipped_weight(one: Graph, index: int) -> Graph:
    weights = one.layers[index].weights.copy()
    weights[tuple(np.argwhere(weights)[0])] *= -1
    changed = list(one.layers)
    changed[index] = one.layers[index].changed(weights=weights)
    return one.with_layers(tuple(changed))


def stimuli(one: Graph) -> np.ndarray:
    return np.concatenate([random_vectors(one, 300, 5), extremes(one)])


def traced(design: Design, one: Graph, folder: Path, kind: str = "logits") -> str:
    """What the simulation says of a design with a fault, which must be the same under every schedule."""
    vectors = stimuli(one)
    with pytest.raises(Mismatch) as caught:
        rtl.Rtl(design, folder, network=one, threads=1).simulate(vectors, reference.outputs(one, kind, vectors))
    whole = str(caught.value)
    outputs, message = whole.split("; first vector")[0], whole.split("; ")[-1]
    assert "vectors differ" in outputs
    mismatch = Mismatch("again", caught.value.comparison)
    suspect = layers.Suspect(design, [design.folder / name for name in design.sources], one, folder / "layers", 1)
    for schedule in rtl.schedules(design):
        again = suspect.traced(mismatch, vectors, schedule, lambda text: None)
        assert str(again) == f"again; {message}", schedule.name
    return message


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 2])
def test_a_flipped_weight_in_the_verilog_names_its_layer(index, tmp_path):
    """One layer's module is that of a network with one other weight."""
    one = network(8, bits=4)
    wrong = with_flipped_weight(one, index)
    design, other = generated(one, tmp_path / "right"), generated(wrong, tmp_path / "wrong")
    assert design.latency_cycles == other.latency_cycles
    (design.folder / design.sources[index]).write_text((other.folder / other.sources[index]).read_text())
    message = traced(design, one, tmp_path / "simulate")
    assert NAMED.search(message).groups() == first_difference(one, wrong, stimuli(one)), message


@pytest.mark.slow
def test_a_fault_after_the_last_layer_is_not_a_layers(tmp_path):
    one = network(8, bits=4)
    design = generated(one, tmp_path, output_kind="class")
    tail = design.folder / "choose_class.v"
    text = tail.read_text()
    tail.write_text(text.replace(">= $signed", "<= $signed", 1))
    assert tail.read_text() != text
    assert layers.RIGHT in traced(design, one, tmp_path / "sim", "class")


@pytest.mark.slow
def test_one_flipped_bit_of_a_memory_names_its_layer(tmp_path):
    """FINN's streams carry accumulators and counts; the wrong one is the accumulator after the memory."""
    one = test_finn.random_network([6, 8, 4, 3], 4, 0.4, seed=3)
    design = test_finn.build(one, tmp_path / "finn")
    memory = design.folder / "MVAU_rtl_1_weights.dat"
    words = memory.read_text().split()
    words[0] = f"{int(words[0], 16) ^ 1:0{len(words[0])}x}"
    memory.write_text("\n".join(words) + "\n")
    message = traced(design, one, tmp_path / "simulate")
    layer, stage, vector, channel, result, expected = NAMED.search(message).groups()
    assert (layer, stage) == ("fc2", "accumulator"), message
    before = layer_results(one, stimuli(one))[0]
    right = one.trace(stimuli(one))["fc2"][int(vector), int(channel)]
    assert int(expected) == right and abs(int(result) - right) in before[int(vector)]


@pytest.mark.slow
def test_a_flipped_bit_in_a_netlist_names_its_layer(tmp_path):
    one = network(8, widths=(4, 5, 3), bits=3)
    design = generated(one, tmp_path / "right")
    mapped = yosys.map_design(design, BOARD, tmp_path / "yosys")
    part = next(path for path in mapped.netlist if path.name == "u_l1.v")
    text = part.read_text()
    tables = list(re.finditer(r"LUT(\d) #\(\s*\.INIT\(\d+'h([0-9a-f]+)\)", text))
    largest = max(tables, key=lambda found: int(found[1]))
    inverted = f"{int(largest[2], 16) ^ (1 << (1 << int(largest[1]))) - 1:0{len(largest[2])}x}"
    part.write_text(text[: largest.start(2)] + inverted + text[largest.end(2) :])
    vectors = stimuli(one)
    expected = reference.outputs(one, "logits", vectors)
    with pytest.raises(Mismatch, match="layer fc2 is wrong first: its logit in vector"):
        netlist.Netlist(design, BOARD, mapped, tmp_path / "sim", network=one).simulate(vectors, expected)


def test_what_was_written_down_is_read_back(tmp_path):
    """Two lanes of 3 signed and 2 unsigned bits, two beats per vector; what came before the last reset is forgotten."""
    path = tmp_path / "probe.txt"
    path.write_text("1f\nreset\n03\nreset\n0d\n1c\n07\n00\n1f\n")
    probe = Probe("fc1", "u_a.y", ((3, True), (2, False)), beats=2)
    assert layers.recorded(path, probe).tolist() == [[-3, 1, -4, 3], [-1, 0, 0, 0]]


def test_without_probes_the_mismatch_stays_as_it_is(tmp_path):
    one = network(8, bits=4)
    design = replace(generated(one, tmp_path), probes=())
    suspect = layers.Suspect(design, [], one, tmp_path / "layers", 1)
    mismatch = Mismatch("RTL: 1 of 2 vectors differ", compare(np.zeros((1, 1)), np.ones((1, 1))))
    assert suspect.traced(mismatch, stimuli(one), rtl.schedules(design)[0], print) is mismatch


def test_what_goes_wrong_while_looking_does_not_hide_the_mismatch(tmp_path):
    one = network(8, bits=4)
    design = generated(one, tmp_path)
    suspect = layers.Suspect(design, [tmp_path / "lost.v"], one, tmp_path / "layers", 1)
    mismatch = Mismatch("RTL: 1 of 2 vectors differ", compare(np.zeros((1, 1)), np.ones((1, 1))))
    (tmp_path / "lost.v").write_text("module nonsense")
    message = suspect.traced(mismatch, stimuli(one), rtl.schedules(design)[0], lambda text: None)
    assert str(message).startswith("RTL: 1 of 2 vectors differ; its layers could not be looked at (")


def test_a_mismatch_that_does_not_show_again_says_so(tmp_path, monkeypatch):
    one = network(8, bits=4)
    design, vectors = generated(one, tmp_path), stimuli(one)
    right = reference.outputs(one, "logits", vectors)

    def build(*given, **options) -> Path:
        for index in range(len(design.probes)):
            (tmp_path / f"probe{index}.txt").write_text("")
        return tmp_path / "simulate"

    monkeypatch.setattr(layers.verilator, "build", build)
    monkeypatch.setattr(layers.verilator, "run", lambda *given: Run(given[-1], pack(right, design.output), {}))
    wrong = right.copy()
    wrong[7, 1] += 1
    mismatch = Mismatch("RTL: 1 of 2 vectors differ", compare(wrong, right))
    message = layers.Suspect(design, [], one, tmp_path, 1).traced(mismatch, vectors, rtl.schedules(design)[0], print)
    assert str(message) == "RTL: 1 of 2 vectors differ; it did not show again in a second simulation"
