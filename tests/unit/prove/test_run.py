# SPDX-License-Identifier: Apache-2.0
"""A whole small design: proven, and with single faults; what is accepted then must be the same function."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.prove import reading
from qap2fpga.prove.certificate import Certificate, Claim, Word
from qap2fpga.prove.run import Subject, prove, prove_reading
from qap2fpga.system.codec import decode, encode
from tests.support import mutated
from tests.support.graphs import residual, small_chain

pytestmark = pytest.mark.slow
FAULTS, DAMAGES = 20, 40
NETWORK = small_chain(
    [[[3, -2, 5], [-5, 12, 7], [2, 7, -11]], [[1, -3], [2, 5], [-1, 3]]],
    [[[-6, -1, 4, 9, 14, 19, 24], [-30, -21, -12, -3, 6, 15, 24], [-40, -25, -10, 5, 20, 35, 50]]],
)
Content = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Subject, Content, Path]]:
    """A design, what Yosys reads of it, and a folder."""
    place = tmp_path_factory.mktemp("proof")
    subject = mutated.subject(NETWORK, place)
    yield subject, reading.elaborated(subject.sources, subject.netlist, subject.design.top, place), place


def claims(subject: Subject, contents: Content, place: Path) -> list[Claim]:
    read = reading.Reading(contents, subject.design.top)
    return [one.claim for one in prove_reading(subject, read, place, 30)]


def words(subject: Subject, contents: Content, place: Path) -> list[Word]:
    return [claim.word for claim in claims(subject, contents, place)]


def test_all_of_it_is_proven_and_the_certificate_can_be_read(built: tuple[Subject, Content, Path]) -> None:
    subject, _, place = built
    certificate = prove(subject, place / "prove", 30)
    assert certificate.proven and len(certificate.claims) == 3
    assert set(certificate.files) >= {"network.npz", "rtl/l0.v", "synthesize/u_l0.v"}
    assert decode(Certificate, encode(certificate), "", "here") == certificate
    assert not replace(certificate, claims=()).proven


@pytest.mark.parametrize("seed", range(FAULTS))
def test_a_fault_is_rejected_or_is_the_same_function(built: tuple[Subject, Content, Path], seed: int) -> None:
    subject, contents, place = built
    which, part = ("flat", slice(0, 2)) if seed % 2 else ("netlist", slice(2, 3))
    _, faulty = mutated.faulty(contents[which], seed)
    results = words(subject, {**contents, which: faulty}, place)[part]
    if all(word is Word.PROVEN for word in results):
        assert mutated.behaves(faulty, subject, seed)


def test_the_simulator_sees_the_design_and_a_fault_in_it(built: tuple[Subject, Content, Path]) -> None:
    subject, contents, _ = built
    assert mutated.behaves(contents["flat"], subject, 1) and mutated.behaves(contents["netlist"], subject, 2)
    wrong = [mutated.behaves(mutated.faulty(contents["flat"], seed)[1], subject, seed) for seed in (1, 3)]
    assert not all(wrong)


def test_another_network_and_another_description_are_not_proven(built: tuple[Subject, Content, Path]) -> None:
    subject, contents, place = built
    design = subject.design
    others = [
        replace(subject, network=residual()),
        replace(
            subject, network=NETWORK.with_layers([layer.changed(weights=-layer.weights) for layer in NETWORK.layers])
        ),
        replace(subject, design=replace(design, output_kind="class")),
        replace(subject, design=replace(design, probes=())),
        replace(subject, design=replace(design, probes=tuple(replace(one, signal="u_l0.x") for one in design.probes))),
        replace(subject, design=replace(design, input=replace(design.input, signed=False))),
        replace(subject, design=replace(design, input=replace(design.input, bits=2))),
        replace(subject, design=replace(design, output=replace(design.output, bits=design.output.bits - 1))),
    ]
    for other in others:
        assert words(other, contents, place)[0] is Word.NOT_PROVEN
    unsigned = replace(subject, design=replace(design, input=replace(design.input, signed=False)))
    assert "does not hold -4 to 3" in claims(unsigned, contents, place)[0].detail


def test_a_cell_that_is_not_known_spoils_its_own_proof_alone(built: tuple[Subject, Content, Path]) -> None:
    subject, contents, place = built
    netlist = copy.deepcopy(contents["netlist"])
    next(iter(netlist["modules"][subject.design.top]["cells"].values()))["type"] = "DCU"
    results = claims(subject, {**contents, "netlist": netlist}, place)
    assert [one.word for one in results] == [Word.PROVEN, Word.PROVEN, Word.NOT_PROVEN]
    assert "DCU" in results[2].detail


@pytest.mark.parametrize("which", ["flat", "verilog", "netlist"])
def test_what_is_damaged_is_read_as_far_as_it_goes(built: tuple[Subject, Content, Path], which: str) -> None:
    subject, contents, place = built
    part, results = slice(0, 2) if which == "flat" else slice(2, 3), []
    for seed in range(DAMAGES):
        _, damaged = mutated.damaged(contents[which], seed)
        results.append(words(subject, {**contents, which: damaged}, place)[part])
    # A few of what goes had no part in it.
    assert sum(all(word is Word.PROVEN for word in one) for one in results) < DAMAGES / 10


def test_without_a_netlist_the_verilog_alone_is_proven(built: tuple[Subject, Content, Path]) -> None:
    subject, contents, place = built
    contents = {name: one for name, one in contents.items() if name != "netlist"}
    assert words(subject, contents, place) == [Word.PROVEN, Word.PROVEN, Word.NOT_PROVEN]


def test_a_netlist_of_ecp5_is_proven_and_a_fault_in_it_refuted(tmp_path: Path) -> None:
    subject = mutated.subject(NETWORK, tmp_path, "ulx3s-85f")
    contents = reading.elaborated(subject.sources, subject.netlist, subject.design.top, tmp_path)
    assert words(subject, contents, tmp_path) == [Word.PROVEN] * 3
    netlist = copy.deepcopy(contents["netlist"])
    cells = [cell for module in netlist["modules"].values() for cell in module["cells"].values()]
    assert {"CCU2C", "TRELLIS_FF"} <= {cell["type"] for cell in cells}
    table = next(cell for cell in cells if cell["type"] == "LUT4")["parameters"]
    table["INIT"] = table["INIT"].translate(str.maketrans("01", "10"))
    assert words(subject, {**contents, "netlist": netlist}, tmp_path)[2] is Word.REFUTED
