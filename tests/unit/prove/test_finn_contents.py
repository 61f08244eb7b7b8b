# SPDX-License-Identifier: Apache-2.0
"""Memories of folded designs hold the network's weights and thresholds; one that holds another one is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.ir.graph import Graph
from qap2fpga.prove.certificate import Claim, Word
from qap2fpga.prove.finn import memories, reading
from qap2fpga.prove.run import Subject, prove
from qap2fpga.prove.simulated import CORE
from qap2fpga.system.errors import QapError
from tests.support.folded import subject
from tests.support.graphs import small_chain
from tests.support.streams import everything

pytestmark = pytest.mark.slow
CHAIN = small_chain(
    [[[3, -2, 5, 1], [-5, 6, 7, 0], [2, 7, -6, 4], [1, 1, 0, 2]], [[1, -3], [2, 5], [-1, 3], [4, 4]]],
    [[[-6, -1, 4], [-30, -21, 12], [-40, -25, 10], [-2, 3, 9]]],
)
FOLDS = {"MVAU_rtl_0": {"SIMD": 2, "PE": 2}, "Thresholding_rtl_0": {"PE": 2}, "MVAU_rtl_1": {"SIMD": 1, "PE": 2}}
Change = Callable[[str], str]


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A chain in folds of several sizes."""
    yield subject(CHAIN, tmp_path_factory.mktemp("chain"), mapped=False, folding=FOLDS)


def claims(one: Subject, place: Path) -> list[Claim]:
    return list(prove(one, place, 30).claims)


def copied(one: Subject, folder: Path) -> Subject:
    """Return the same design in another folder."""
    shutil.copytree(one.network_file.parent, folder / "build")
    design = replace(one.design, folder=folder / "build" / "finn" / "rtl")
    return replace(one, design=design, network_file=folder / "build" / "network.npz")


def test_contents_are_proven_and_every_file_is_named(folded: Subject, tmp_path: Path) -> None:
    certificate = prove(folded, tmp_path, 30)
    assert [one.word for one in certificate.claims[:2]] == [Word.PROVEN, Word.PROVEN]
    rest = certificate.claims[-1]
    assert (rest.claim, rest.word) == (CORE, Word.NOT_PROVEN) and not certificate.proven
    assert rest.detail == "StreamingFIFO_rtl_0, dwc_axi, mvu_vvu_axi, thresholding_axi"
    assert {f"finn/rtl/{name}" for name in (*folded.design.sources, *folded.design.data)} < set(certificate.files)


def test_a_graph_of_all_kinds_is_proven(tmp_path: Path) -> None:
    one = subject(everything(), tmp_path, mapped=False)
    assert [claim.word for claim in claims(one, tmp_path / "prove")[:2]] == [Word.PROVEN, Word.PROVEN]


# What is changed in the words of a memory, and what is said of it.
FAULTS: list[tuple[str, Change, int, str]] = [
    ("MVAU_rtl_0_weights.dat", lambda text: swapped(text, 0, 1), 0,
     r"node fc1: address 0, weight \d of the word is -?\d, not -?\d"),
    ("MVAU_rtl_1_weights.dat", lambda text: flipped(text, 3), 0, r"node fc2: address 3, weight 0 of the word is"),
    ("MVAU_rtl_1_weights.dat", lambda text: text.rsplit("\n", 2)[0] + "\n", 0, "the word at address 3 has no content"),
    ("Thresholding_rtl_0_threshs_1_0.dat", lambda text: flipped(text, 1), 1,
     r"node fc1/requantize: channel 3, threshold 2, address 1 of lane 1, stage 0, is -?\d+, not 3"),
    ("Thresholding_rtl_0_threshs_0_1.dat", lambda text: swapped(text, 0, 1), 1,
     r"node fc1/requantize: channel 0, threshold 1, address 0 of lane 0, stage 1, is 4, not -6"),
]  # fmt: skip


def swapped(text: str, first: int, second: int) -> str:
    """Return the words with two in each other's place."""
    words = text.split()
    words[first], words[second] = words[second], words[first]
    return "\n".join(words) + "\n"


def flipped(text: str, at: int) -> str:
    """Return the words with the lowest bit of one turned."""
    words = text.split()
    words[at] = f"{int(words[at], 16) ^ 1:0{len(words[at])}x}"
    return "\n".join(words) + "\n"


@pytest.mark.parametrize(("name", "change", "claim", "message"), FAULTS)
def test_another_word_is_named(
    folded: Subject, tmp_path: Path, name: str, change: Change, claim: int, message: str
) -> None:
    one = copied(folded, tmp_path)
    file = one.design.folder / name
    file.write_text(change(file.read_text()))
    results = claims(one, tmp_path / "prove")
    assert results[claim].word is not Word.PROVEN and results[1 - claim].word is Word.PROVEN

    assert re.search(message, results[claim].detail), results[claim].detail


def test_another_network_is_not_proven(folded: Subject, tmp_path: Path) -> None:
    def of(network: Graph) -> list[Word]:
        return [one.word for one in claims(replace(folded, network=network), tmp_path)[:2]]

    first, *rest = CHAIN.layers
    weights = first.weights.copy()
    weights[2, 1] += 1
    assert of(CHAIN.with_layers([first.changed(weights=weights), *rest])) == [Word.REFUTED, Word.PROVEN]
    assert Word.NOT_PROVEN in of(everything())


def test_a_wrong_hint_proves_nothing(folded: Subject, tmp_path: Path) -> None:
    names = {"fc1": "fc2", "fc2": "fc1"}
    nodes = tuple(replace(one, layer=names.get(one.layer, one.layer)) for one in folded.design.nodes)
    other = replace(folded, design=replace(folded.design, nodes=nodes))
    assert all(one.word is not Word.PROVEN for one in claims(other, tmp_path)[:2])


def test_weights_of_another_layers_memory_are_seen(folded: Subject, tmp_path: Path) -> None:
    one = copied(folded, tmp_path)
    top = one.design.folder / "finn_design.v"
    text = top.read_text()
    assert text.count("./MVAU_rtl_1_weights.dat") == 1
    top.write_text(text.replace("./MVAU_rtl_1_weights.dat", "./MVAU_rtl_0_weights.dat"))
    assert claims(one, tmp_path / "prove")[0].word is not Word.PROVEN


def test_a_memory_that_is_not_there_is_refused(folded: Subject, tmp_path: Path) -> None:
    one = copied(folded, tmp_path)
    (one.design.folder / "MVAU_rtl_0_weights.dat").unlink()
    with pytest.raises(QapError, match=r"MVAU_rtl_0_weights\.dat: a source reads it"):
        prove(one, tmp_path / "prove", 30)


def test_fields_are_cut_from_words_and_padding_is_left_out() -> None:
    memory = memories.Memory("m", np.array([[1, 0, 1, 1, 1], [0, 1, 0, 0, 0]], np.int8))
    assert memory.fields(2, 2, signed=True).tolist() == [[1, -1], [-2, 0]]
    assert memory.fields(1, 5, signed=False).tolist() == [[29], [2]]


def test_reading_names_what_it_read(folded: Subject, tmp_path: Path) -> None:
    read = reading.elaborated(folded.design, (), tmp_path)
    assert {path.name for path in read.data} == set(folded.design.data) and set(read.contents) == {
        "calls", "contents", "verilog",
    }  # fmt: skip
