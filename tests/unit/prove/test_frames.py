# SPDX-License-Identifier: Apache-2.0
"""Images and signals: every position of every frame passes by once and in order, and kernels see what they are to."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove import reading
from qap2fpga.prove.certificate import Claim, Word
from qap2fpga.prove.reading import Reading
from qap2fpga.prove.run import Subject, prove_reading
from tests.support import frames, mutated
from tests.support.frames import Fault
from tests.support.streams import Nodes, cnn, residual

TOP, WINDOW, GATE, VALID = "rtl_design.v", "qap_window.sv", "qap_frames.sv", "qap_valid.sv"
SEES, DATA = "is not what its kernel sees there", "rtl_design: "
FAULTS: dict[str, tuple[Fault, str]] = {
    "another pad": ((TOP, r"PAD\(\{2'h0\}\)", "PAD({2'h1})"), SEES),
    "rows of another length": ((TOP, r"\.WIDTH\(4\)", ".WIDTH(5)"), SEES),
    "a line too few": ((TOP, r"\.LAST_ROW\(2\)", ".LAST_ROW(1)"), SEES),
    "a row too many is above": ((WINDOW, "down < TOP", "down <= TOP"), SEES),
    "a column is counted too many": ((WINDOW, "across == WIDTH - 1", "across == WIDTH"), SEES),
    "the position beside": ((WINDOW, r"\(LAST_COLUMN - j\)", "(LAST_COLUMN - j + 1)"), SEES),
    "a frame's end is missed": ((WINDOW, "place == POSITIONS - 1 [?] 0", "place == POSITIONS ? 0"), SEES),
    "a frame does not begin anew": ((WINDOW, "valid && !of_frame [?] 0 : next", "next"), SEES),
    "no window is valid": ((WINDOW, "busy <= 1", "busy <= 0"), "does not pass by before"),
    "windows are valid for ever": ((WINDOW, "fresh <= go;", "fresh <= 1;"), "has not begun passes by"),
    "held without a move": ((WINDOW, r"if \(go\) held", "if (go || valid) held"), "changes without a move"),
    "a frame is shorter": ((GATE, "place == POSITIONS - 1", "place == POSITIONS - 2"), "until the next one comes"),
    "the last window is not pushed out": ((GATE, "left <= FLUSH", "left <= FLUSH - 1"), "may never pass by"),
    "a result leaves twice": ((GATE, "= result && !taken", "= result"), "TVALID is not a result"),
    "a result is taken twice": ((GATE, "taken <= !move && ", "taken <= "), "may be taken twice"),
    "a result does not wait": ((GATE, "free = !out_valid .. out_ready", "free = 1"), "a move does not wait"),
    "an input is lost": ((GATE, "in_ready = free &&", "in_ready ="), "does not enter"),
    "an input is never taken": ((GATE, "in_ready = free &&", "in_ready = !free &&"), "does not enter"),
    "nothing moves between frames": ((GATE, "between .. rest != 0.;", "rest != 0);"), "until the next one comes"),
    "a frame is waited for for ever": ((GATE, "left <= left - 1'b1", "left <= 1"), "may never be taken"),
    "begins taken": ((GATE, "taken = 0", "taken = 1"), "does not begin as 0"),
    "begins within a frame": ((GATE, "place <= 0;", ""), "depends on what is not known"),
    "valid a move later": ((TOP, r"STAGES\(4\)", "STAGES(5)"), "when its bits are not there"),
    "valid a move sooner": ((TOP, r"STAGES\(4\)", "STAGES(3)"), "when its bits are not there"),
    "channels change places": ((TOP, r"= d2\[1:0\]", "= d2[3:2]"), "sums have its weights: not"),
    "the result at once": ((TOP, r"= d2\[1:0\]", "= d2[1:0] ^ {2{in0_TVALID}}"), "an input that is no data"),
    "padding": ((TOP, "4'd0, o1", "4'd1, o1"), "padding is not zero"),
}  # fmt: skip
# These change nothing that can be seen: no position without a frame completes a window here.
SAME: dict[str, Fault] = {
    "windows without a frame": (WINDOW, "real_frame <= valid", "real_frame <= 1"),
    "windows without a frame leave": (VALID, "{valids, valid}", "{valids, valid | flush}"),
}
Built = tuple[Subject, dict[str, Reading], Path]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("frames")
    subject = frames.subject(frames.convolution(), place)
    faults = {**{name: fault for name, (fault, _) in FAULTS.items()}, **SAME, "none": None}
    return subject, frames.readings(subject, place, faults), place


def claims(subject: Subject, reading: Reading, place: Path) -> list[Claim]:
    return [one.claim for one in prove_reading(subject, reading, place, 30)]


def test_a_convolution_is_proven(built: Built) -> None:
    subject, readings, place = built
    for name in ("none", *SAME):
        network, handshake, netlist = claims(subject, readings[name], place)
        assert (network.word, handshake.word) == (Word.PROVEN, Word.PROVEN) and "states of control" in network.detail
        assert netlist.detail == "there is none yet"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen(built: Built, name: str) -> None:
    subject, readings, place = built
    network = claims(subject, readings[name], place)[0]
    assert network.word is Word.NOT_PROVEN and FAULTS[name][1] in network.detail


def test_another_network_is_not_proven(built: Built) -> None:
    subject, readings, place = built
    conv = subject.network["conv"]
    others = [
        frames.convolution(pad=1), subject.network.with_nodes(replace(conv, weights=conv.weights[:, ::-1])),
        subject.network.with_nodes(replace(conv, weights=conv.weights[::-1])),
    ]  # fmt: skip
    for other in others:
        assert claims(replace(subject, network=other), readings["none"], place)[0].word is Word.NOT_PROVEN


def test_without_probes_nothing_is_known(built: Built) -> None:
    subject, readings, place = built
    for probes, message in (((), "no probe says where its inputs"), (None, "no net '.valid' of one bit")):
        own = probes if probes is not None else tuple(replace(one, valid="") for one in subject.design.probes)
        claim = claims(replace(subject, design=replace(subject.design, probes=own)), readings["none"], place)[0]
        assert claim.word is Word.NOT_PROVEN and message in claim.detail


def strides() -> Graph:
    """Return a convolution with strides and a dilation, and one beside it that waits for nothing."""
    nodes = Nodes(Shape(2, 5, 4), -2, 1, seed=5)
    nodes.linear("conv", INPUT, 2, 2, Geometry((2, 2), (2, 1), (2, 1), (1, 0, 1, 1)))
    nodes.step("out", "conv", 2, 3)
    return nodes.graph()


def pool() -> Graph:
    """Return a pool with pads, strides and a class that leaves."""
    nodes = Nodes(Shape(2, 4, 4), -2, 1, seed=5)
    nodes.add(Max(name="pool", sources=(INPUT,), geometry=Geometry((3, 3), (2, 2), pads=(1, 1, 0, 0), pad=-9)))
    nodes.linear("fc", "pool", 2, 3, Geometry((2, 2)))
    nodes.logits("out", "fc", 3)
    return nodes.graph()


def mean() -> Graph:
    """Return the mean of every channel over a frame."""
    nodes = Nodes(Shape(2, 3, 2), -2, 1, seed=5)
    nodes.add(Depthwise(name="mean", sources=(INPUT,), weights=np.array([[1, 3]] * 6), weight_bits=3, input_bits=2,
                        geometry=Geometry((3, 2))))  # fmt: skip
    nodes.step("act", "mean", 2, 3)
    nodes.linear("fc", "act", 2, 3)
    nodes.logits("out", "fc", 3)
    return nodes.graph()


@pytest.mark.slow
@pytest.mark.parametrize("network", [strides(), pool(), mean(), residual(height=4, width=3, channels=2)])
def test_other_kinds_of_parts_are_proven(network: Graph, tmp_path: Path) -> None:
    subject = frames.subject(network, tmp_path, "class" if "fc" in network.shapes else "values")
    reading = frames.readings(subject, tmp_path, {"none": None})["none"]
    assert [one.word for one in claims(subject, reading, tmp_path)[:2]] == [Word.PROVEN] * 2


@pytest.mark.slow
def test_a_netlist_is_proven_and_with_a_fault_it_is_not(tmp_path: Path) -> None:
    own = mutated.subject(residual(height=4, width=3, channels=2), tmp_path, kind="values")
    contents = reading.elaborated(own.sources, own.netlist, own.design.top, tmp_path)
    assert [one.word for one in claims(own, Reading(contents, own.design.top), tmp_path)] == [Word.PROVEN] * 3
    detail = claims(own, Reading(contents, own.design.top), tmp_path)[2].detail
    assert detail.startswith("datapaths with as many registers on every way, all else register by register; ")
    assert frames.behaves(contents["netlist"], own, 1)
    for seed in range(12):
        netlist = copy.deepcopy(contents["netlist"])
        kind, faulty = mutated.faulty(netlist, seed)
        claim = claims(own, Reading({**contents, "netlist": faulty}, own.design.top), tmp_path)[2]
        assert claim.word is not Word.PROVEN or frames.behaves(faulty, own, seed), (seed, kind)


SUMS, SERIAL = "qap_mac.sv", "qap_serial.sv"
SUM_FAULTS: dict[str, tuple[Fault, str]] = {
    "a sum does not begin anew": ((SUMS, "firsts.STAGES. [?] 0 : sum", "sum"), "what its kernel sees"),
    "an element is left out": ((SUMS, "place == LAST", "place == LAST - 1"), "layer fc"),
    "elements in another order": ((SERIAL, "y = held.BITS-1:0.", "y = held[2*BITS-1:BITS]"), "layer fc"),
    "a sum begins later": ((SUMS, "firsts <= {firsts, place == 0}", "firsts <= {firsts, place == 1}"), "layer fc"),
}  # fmt: skip


@pytest.mark.slow
def test_elements_one_after_the_other_are_proven_and_with_a_fault_they_are_not(tmp_path: Path) -> None:
    own = frames.subject(cnn(), tmp_path, "logits")
    assert SUMS in own.design.sources
    readings = frames.readings(own, tmp_path, {"none": None, **{name: one for name, (one, _) in SUM_FAULTS.items()}})
    assert claims(own, readings["none"], tmp_path)[0].word is Word.PROVEN
    for name, (_, message) in SUM_FAULTS.items():
        claim = claims(own, readings[name], tmp_path)[0]
        assert claim.word is Word.NOT_PROVEN and message in claim.detail, (name, claim.detail)


@pytest.mark.slow
def test_another_value_than_the_largest_is_not_proven(tmp_path: Path) -> None:
    own = frames.subject(pool(), tmp_path, "class")
    reading = frames.readings(own, tmp_path, {"fault": ("l0.v", " (>=|>|<=|<) ", " != ")})["fault"]
    claim = claims(own, reading, tmp_path)[0]
    assert claim.word is Word.NOT_PROVEN and "layer pool: a result is not the largest" in claim.detail
