# SPDX-License-Identifier: Apache-2.0
"""Networks with branches of vectors: proven from end to end, and with faults in what joins them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.proof_networks import random_network
from benchmarks.proofs import SEED
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove import reading
from qap2fpga.prove.certificate import Claim, Word
from qap2fpga.prove.network import has_frames
from qap2fpga.prove.run import Subject, of_verilog, prove_reading
from tests.support import mutated
from tests.support.graphs import small_chain
from tests.support.streams import Nodes, cnn
from tests.support.streams import residual as image

RISING = Step(np.array([[-3, 0, 2], [-1, 1, 4]]))


def residual(factors: tuple[int, int] = (2, 1)) -> Graph:
    """Return two dense layers beside a skip."""
    nodes = Nodes(Shape(2), -2, 1, seed=7)
    nodes.linear("fc1", INPUT, 2, 2)
    nodes.function("act1", "fc1", RISING)
    nodes.linear("fc2", "act1", 2, 2)
    nodes.function("act2", "fc2", RISING)
    nodes.add(Sum(name="sum", sources=("act2", INPUT), multipliers=factors))
    nodes.function("out", "sum", Step(np.array([[3, 4, 6], [-1, 1, 4]]), -1, 2))
    return nodes.graph()


def concat(*, end: bool = False) -> Graph:
    """Return a dense layer beside the input, joined before another one, or as the network's `end`."""
    nodes = Nodes(Shape(2), 0, 3, seed=5)
    nodes.linear("fc1", INPUT, 2, 2)
    nodes.function("act1", "fc1", RISING)
    nodes.add(Concat(name="cat", sources=("act1", INPUT)))
    if not end:
        nodes.linear("fc2", "cat", 4, 2)
        nodes.function("out", "fc2", RISING)
    return nodes.graph()


def test_what_has_frames_and_what_are_vectors() -> None:
    assert not any(has_frames(one) for one in (residual(), concat(), small_chain([[[1, -1]]], [])))
    nodes = Nodes(Shape(2))
    nodes.linear("fc", INPUT, 2, 2, Geometry((3, 3), pads=(1, 1, 1, 1)))
    assert all(has_frames(one) for one in (image(), cnn(), nodes.graph()))


@pytest.fixture(scope="module", params=["residual", "concat"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Subject, Path]]:
    place = tmp_path_factory.mktemp(request.param)
    yield mutated.subject({"residual": residual, "concat": concat}[request.param](), place), place


def claims(subject: Subject, place: Path, netlist: tuple[Path, ...] = ()) -> list[Claim]:
    contents = reading.elaborated(subject.sources, netlist, subject.design.top, place)
    return [one.claim for one in prove_reading(subject, reading.Reading(contents, subject.design.top), place, 30)]


def edited(subject: Subject, place: Path, pattern: str, text: str) -> Subject:
    """Return the design with another line in its top module."""
    folder = place / "edited"
    shutil.copytree(subject.design.folder, folder, dirs_exist_ok=True)
    top = folder / "rtl_design.v"
    changed, count = re.subn(pattern, text, top.read_text())
    assert count == 1
    top.write_text(changed)
    return replace(subject, design=replace(subject.design, folder=folder))


@pytest.mark.slow
def test_branches_are_proven_and_behave(built: tuple[Subject, Path]) -> None:
    subject, place = built
    results = claims(subject, place, subject.netlist)
    assert [one.word for one in results] == [Word.PROVEN] * 3
    assert (results[2].claim, results[2].detail.split("; ")[0]) == (
        "the netlist is the Verilog", "as many registers on every way",
    )  # fmt: skip
    contents = reading.elaborated(subject.sources, subject.netlist, subject.design.top, place)
    assert mutated.behaves(contents["flat"], subject, 1)


@pytest.mark.slow
def test_branches_in_cells_of_ecp5_are_proven(tmp_path: Path) -> None:
    # The valid bits of its delay never change, so their module is not in the netlist.
    subject = mutated.subject(residual(), tmp_path, "ulx3s-85f")
    assert [one.word for one in claims(subject, tmp_path, subject.netlist)] == [Word.PROVEN] * 3


DELAY = r"CYCLES\((\d+)\)"
FAULTS = {
    "a register too few in the delay": (DELAY, lambda one: f"CYCLES({int(one[1]) - 1})", "come from stages"),
    "a register too many": (DELAY, lambda one: f"CYCLES({int(one[1]) + 1})", "come from stages"),
    "branches in another order": (r"= \{d(\d+), d(\d+)\}", r"= {d\2, d\1}", "sums have its weights"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_what_joins_branches_is_seen(built: tuple[Subject, Path], name: str) -> None:
    (subject, place), (pattern, text, message) = built, FAULTS[name]
    network, handshake, netlist = claims(edited(subject, place, pattern, text), place, subject.netlist)
    assert network.word is Word.NOT_PROVEN and message in network.detail
    assert handshake.word is Word.PROVEN and netlist.word is not Word.PROVEN


@pytest.mark.slow
def test_another_network_is_not_proven(built: tuple[Subject, Path]) -> None:
    subject, place = built
    network = subject.network
    if "sum" in network.shapes:
        others = [residual((1, 1)), residual((2, -1)), residual((2, 3))]
    else:
        joined = network["cat"]
        others = [network.with_nodes(replace(joined, sources=joined.sources[::-1]))]
    for other in others:
        claim = claims(replace(subject, network=other), place)[0]
        assert claim.word is Word.NOT_PROVEN and "not the weights" in claim.detail


@pytest.mark.slow
def test_sums_that_no_probe_shows_are_not_proven(built: tuple[Subject, Path]) -> None:
    subject, place = built
    design = replace(subject.design, probes=tuple(one for one in subject.design.probes if one.node != "act1"))
    claim = claims(replace(subject, design=design), place)[0]
    assert (claim.word, claim.detail) == (Word.NOT_PROVEN, "node act1: no probe says where its results lie")


@pytest.mark.slow
def test_a_network_that_ends_in_a_join_and_one_whose_class_leaves(tmp_path: Path) -> None:
    for network, kind in ((concat(end=True), "values"), (residual(), "class")):
        subject = mutated.subject(network, tmp_path / kind, kind=kind)
        assert [one.word for one in claims(subject, tmp_path)[:2]] == [Word.PROVEN] * 2


def unproven(subject: Subject, place: Path) -> str:
    """Return why the Verilog of `subject` is not proven to be its network."""
    contents = reading.elaborated(subject.sources, (), subject.design.top, place)
    first = of_verilog(subject, reading.Reading(contents, subject.design.top), place, 30)[0].claim
    assert first.word is not Word.PROVEN, first
    return first.detail


def steps(*, twice: bool) -> Graph:
    nodes = Nodes(Shape(2), 0, 7, seed=1)
    if twice:
        nodes.function("act1", INPUT, Step(np.array([[5, 6, 7], [1, 2, 3]])))
    nodes.function("act2", "act1" if twice else INPUT, Step(np.array([[1, 2, 3], [1, 2, 3]])))
    return nodes.graph()


def pooled(*, function: bool) -> Graph:
    nodes = Nodes(Shape(1, 4, 4), 0, 3, seed=1)
    nodes.add(Max(name="pool", sources=(INPUT,), geometry=Geometry((2, 2), (2, 2))))
    if function:
        nodes.function("act", "pool", Step(np.array([[2, 3, 3]])))
    return nodes.graph()


@pytest.mark.slow
def test_no_function_of_the_network_is_passed_over(tmp_path: Path) -> None:
    """Hardware without it, and probes that are silent or lie."""
    (tmp_path / "a").mkdir()
    subject = mutated.subject(steps(twice=False), tmp_path / "a", mapped=False)
    assert "no probe says" in unproven(replace(subject, network=steps(twice=True)), tmp_path / "a")
    (tmp_path / "b").mkdir()
    subject = mutated.subject(pooled(function=False), tmp_path / "b", mapped=False)
    probes = tuple(replace(one, node="act" if one.node == "pool" else one.node) for one in subject.design.probes)
    lying = replace(subject, network=pooled(function=True), design=replace(subject.design, probes=probes))
    assert "no probe says" in unproven(lying, tmp_path / "b")


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit, said",
    [
        (lambda text: re.sub(r"(assign out0_TDATA = )([^;]*);", r"\1(\2) ^ {8{~move}};", text), "anything moves"),
        (lambda text: text.replace("endmodule", "kept k(.a(in0_TDATA[0]), .y());\nendmodule", 1)
         + "(* keep_hierarchy *) module kept(input a, output y); assign y = ~a; endmodule\n", "is kept apart"),
    ],
    ids=["outputs that change while nothing moves", "a module that is kept apart"],
)  # fmt: skip
def test_what_the_pipeline_does_not_show_is_not_proven(edit, said: str, tmp_path: Path) -> None:
    subject = mutated.subject(residual(), tmp_path, mapped=False)
    path = subject.design.folder / f"{subject.design.top}.v"
    before = path.read_text()
    path.write_text(edit(before))
    assert path.read_text() != before
    assert said in unproven(subject, tmp_path)


def constant_branch() -> Graph:
    """A layer of which nothing depends on its inputs, beside a skip."""
    nodes = Nodes(Shape(2), -2, 1, seed=7)
    nodes.linear("fc1", INPUT, 2, 2)
    nodes.function("act1", "fc1", Step(np.array([[-50, -40, 60], [-50, -40, -30]])))
    nodes.add(Sum(name="sum", sources=("act1", INPUT), multipliers=(2, 1)))
    nodes.function("out", "sum", Step(np.array([[3, 4, 6], [-1, 1, 4]]), -1, 2))
    return nodes.graph()


def constant_class() -> Graph:
    """Two logits, of which the second is the larger one always."""
    nodes = Nodes(Shape(2), -2, 1, seed=7)
    nodes.linear("fc1", INPUT, 2, 2)
    nodes.function("out", "fc1", Logits(np.array([1, 1]), np.array([-99, 99]), 0, 1))
    return nodes.graph()


def late(bits: int, stages: int, value: str) -> str:
    """Lines in which `y` is `value` so many moves after the start, and not before."""
    return f"""
  reg [{bits * stages - 1}:0] late;
  always @(posedge ap_clk) if (move) late <= {{late[{bits * (stages - 1) - 1}:0], {value}}};
  assign y = late[{bits * stages - 1}:{bits * (stages - 1)}];
"""


def rewritten(subject: Subject, name: str, *edits: tuple[str, str]) -> None:
    """Change a source of the design."""
    path = subject.design.folder / name
    text = path.read_text()
    for pattern, other in edits:
        text, count = re.subn(pattern, other, text)
        assert count
    path.write_text(text)


def settling(subject: Subject, place: Path) -> tuple[str, bool]:
    """Return why the Verilog is not proven, nothing if it is, and whether it behaves in a simulation of all inputs."""
    contents = reading.elaborated(subject.sources, (), subject.design.top, place)
    first = of_verilog(subject, reading.Reading(contents, subject.design.top), place, 30)[0].claim
    behaves = mutated.behaves(contents["flat"], subject, 1)
    return "" if first.word is Word.PROVEN else first.detail, behaves


@pytest.mark.slow
@pytest.mark.parametrize("stages", [1, 2, 3, 14])
def test_a_layer_may_become_constant_as_late_as_what_reads_it(stages: int, tmp_path: Path) -> None:
    """All of what it gives is right after some moves, and what reads it is there after two."""
    subject = mutated.subject(constant_branch(), tmp_path, mapped=False)
    rewritten(subject, "l0.v", (r"\n  assign y = [^;]*;", late(4, stages, "n8, n7")))
    why, behaves = settling(subject, tmp_path)
    assert ("come from stage 2, after which one of them becomes constant" in why) == (stages > 2), why
    assert behaves if stages <= 2 else stages < 14 or not behaves


@pytest.mark.slow
@pytest.mark.parametrize("stages", [1, 4, 5, 20])
def test_a_class_may_become_constant_as_late_as_its_valid_bit(stages: int, tmp_path: Path) -> None:
    """The first vectors leave after four moves."""
    subject = mutated.subject(constant_class(), tmp_path, kind="class", mapped=False)
    rewritten(subject, "choose_class.v", (r"\n  assign y = [^;]*;", late(1, stages, "1'd1")))
    rewritten(subject, "rtl_design.v", (r"\[4:0\]  valid", "[3:0]  valid"), (r"valid\[4\]", "valid[3]"),
              (r"valid\[3:0\], in0", "valid[2:0], in0"))  # fmt: skip
    why, behaves = settling(subject, tmp_path)
    said = f"the outputs are constant {stages} moves after the start, their valid bit comes 4"
    assert why == (said if stages > 4 else "")
    assert behaves if stages <= 4 else stages < 20 or not behaves


@pytest.mark.slow
def test_outputs_that_are_all_constant_are_proven(tmp_path: Path) -> None:
    nodes = Nodes(Shape(2), -2, 1, seed=7)
    nodes.linear("fc1", INPUT, 2, 2)
    nodes.function("out", "fc1", Step(np.array([[-50, -40, 60], [-50, -40, -30]])))
    subject = mutated.subject(nodes.graph(), tmp_path, mapped=False)
    assert settling(subject, tmp_path) == ("", True)
    values = (r"assign y = [^;]*;", "assign y = 4'd0;")
    rewritten(subject, "l0.v", values)
    why, behaves = settling(subject, tmp_path)
    assert "gives 0, not 2" in why and not behaves


@pytest.mark.slow
@pytest.mark.parametrize("number", [106, 116, 117, 150])
def test_random_networks_with_constants_and_sums_that_never_are(number: int, tmp_path: Path) -> None:
    """What the proofs long did not go through for: docs/proofs-measured.md."""
    network = random_network(number, SEED)
    subject = mutated.subject(network, tmp_path, mapped=False)
    contents = reading.elaborated(subject.sources, (), subject.design.top, tmp_path)
    done = of_verilog(subject, reading.Reading(contents, subject.design.top), tmp_path, 60)
    assert [one.claim.word for one in done] == [Word.PROVEN, Word.PROVEN]
