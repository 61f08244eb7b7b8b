# SPDX-License-Identifier: Apache-2.0
"""Sparse units are the matrix that their program says, in every state; other programs and other modules are not."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.stream.blocks import Kind
from qap2fpga.hw.design import Design
from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.finn import contents, machine, memories, netlist, own, reading, units
from qap2fpga.prove.finn.run import Subject
from qap2fpga.prove.finn.sparse import SPARSE, Unit
from qap2fpga.prove.reading import module_of
from tests.support.folded import subject
from tests.support.sparse import Deep, block_of, sparse_matrix, unit
from tests.support.streams import cnn, dense_layers, pruned

NETWORK = pruned(cnn(), 0.3)


@dataclass(frozen=True)
class Case:
    """A matrix as it is folded."""

    shape: tuple[int, int]
    density: float
    fold: Fold
    queue: int
    kind: Kind
    deep: bool = False

    @property
    def weights(self) -> np.ndarray:
        return sparse_matrix(*self.shape, self.density, 4, seed=sum(self.shape))

    def design(self, folder: Path) -> Design:
        """Write the unit alone to `folder`."""
        block = block_of(self.weights, self.fold, self.queue, self.kind)
        if self.deep:
            block = Deep.of(block)
        return unit(folder, block).design


CASES = {
    "one bank": Case((12, 6), 0.3, Fold(1, 1, 1), 0, Kind(4, False)),
    "several banks for each beat, a queue of one": Case((12, 6), 0.3, Fold(1, 3, 4, cross=True), 1, Kind(3, True)),
    "words of several elements, a queue": Case((16, 8), 0.3, Fold(4, 4, 2, cross=True), 32, Kind(3, False)),
    "words of three elements": Case((9, 2), 0.4, Fold(3, 1, 1), 0, Kind(5, True)),
    "one beat": Case((16, 4), 0.02, Fold(16, 4, 2), 0, Kind(1, False)),
    "one element": Case((1, 4), 0.9, Fold(1, 2, 1), 1, Kind(4, True)),
    "block RAM": Case((64, 8), 0.4, Fold(4, 2, 2), 1, Kind(4, True), deep=True),
    "block RAM, words of three elements": Case((18, 4), 0.4, Fold(6, 2, 2), 1, Kind(2, False), deep=True),
}


def instance(design: Design, place: Path) -> tuple[memories.Instance, reading.Folded]:
    """Return the sparse unit of a design, as Yosys reads it."""
    place.mkdir(exist_ok=True)
    read = reading.elaborated(design, (), place)
    every = memories.instances(read.contents["calls"], read.contents["contents"], design.top)
    return next(one for one in every.values() if one.kind == SPARSE), read


def proven(design: Design, place: Path) -> np.ndarray:
    """Return the matrix that a unit is proven to be."""
    one, read = instance(design, place)
    found = Unit(one)
    matrix, kind = found.matrix(), units.kind(found)
    machine.check(module_of(one.module, read.contents["verilog"]), kind.begins, kind.spec, place, "unit", 60)
    return matrix


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_is_its_matrix(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    assert np.array_equal(proven(case.design(tmp_path), tmp_path / "place"), case.weights)


# What is changed in the module, and the case whose proof sees it.
FAULTS = [
    ("beat == BEATS-1", "beat == BEATS-2", "one bank"),
    ("!full[1]", "!full[0]", "one bank"),
    ("full + filled - freed", "full + filled", "one bank"),
    ("todo != 0", "full != 0", "one bank"),
    ("begun_page <= read_page", "begun_page <= write_page", "one bank"),
    ("slot == SLOTS-1", "slot == SLOTS-2", "one bank"),
    ("begun && word[0]", "word[0]", "one bank"),
    ("active[SUM_AT-1:0], begun", "active[SUM_AT-1:0], 1'b1", "one bank"),
    ("pages[{write_page, place}] <= comes", "pages[{read_page, place}] <= comes", "one bank"),
    ("upper - row : upper + row", "upper - row : upper - row", "one bank"),
    ("IN_SIGNED? value[IN_BITS-1] : 1'b0", "1'b0", "several banks for each beat, a queue of one"),
    ("count <= count + 1'b1", "count <= count + 2", "several banks for each beat, a queue of one"),
    ("!ap_rst_n || filled", "!ap_rst_n", "several banks for each beat, a queue of one"),
    ("left + right", "left - right", "several banks for each beat, a queue of one"),
    ("STAGES = SUM_AT + 2 + (QUEUE > 0)", "STAGES = SUM_AT + 3 + (QUEUE > 0)", "one bank"),
    ("STAGES = SUM_AT + 2 + (QUEUE > 0)", "STAGES = SUM_AT + 2", "words of several elements, a queue"),
    ("SUM_AT = 1 + LEVELS", "SUM_AT = 2 + LEVELS", "words of several elements, a queue"),
    ("FULL = PRODUCT_BITS + HEIGHT", "FULL = PRODUCT_BITS", "words of several elements, a queue"),
    ("first <= last[pe]", "first <= gen_last[0].mark[pe]", "words of several elements, a queue"),
    ("waiting[back] <= next", "waiting[back] <= sum", "words of several elements, a queue"),
    ("move && emit[STAGES-2]", "move && emit[STAGES-1]", "words of several elements, a queue"),
    ("back <= back + 1'b1", "back <= 0", "words of several elements, a queue"),
    ("data <= each[chosen]", "data <= each[0]", "words of three elements"),
    ("chosen*IN_BITS", "chosen", "block RAM"),
    ("if(move)  data <= each[chosen]", "if(move || !begun)  data <= each[chosen]", "one bank"),
    ("if(move)  product <=", "if(move || !active[0])  product <=", "block RAM"),
]  # fmt: skip


@pytest.fixture(scope="module")
def designs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Design]:
    """The units of all cases that faults are planted in."""
    return {name: CASES[name].design(tmp_path_factory.mktemp("unit")) for name in {fault[2] for fault in FAULTS}}


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "name"), FAULTS)
def test_another_module_is_not_proven(
    designs: dict[str, Design], tmp_path: Path, old: str, new: str, name: str
) -> None:
    design = designs[name]
    shutil.copytree(design.folder, tmp_path / "rtl")
    path = tmp_path / "rtl" / "qap_sparse.sv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(NotProven):
        proven(replace(design, folder=tmp_path / "rtl"), tmp_path / "place")


def turned(one: memories.Instance, name: str, *places: tuple[int, int]) -> Unit:
    """Return a unit with some bits of a memory turned."""

    class Other(memories.Instance):
        def memory(self, asked: str) -> memories.Memory:
            memory = super().memory(asked)
            if asked != name:
                return memory
            bits = memory.bits.copy()
            for word, bit in places:
                bits[word, bit] ^= 1
            return memories.Memory(memory.name, bits)

    return Unit(Other(**{field.name: getattr(one, field.name) for field in fields(one)}))


@pytest.fixture(scope="module")
def queued(tmp_path_factory: pytest.TempPathFactory) -> memories.Instance:
    """A unit with a queue, whose groups finish at different times."""
    place = tmp_path_factory.mktemp("queued")
    return instance(CASES["words of several elements, a queue"].design(place), place / "place")[0]


def test_another_program_is_another_matrix_or_none(queued: memories.Instance) -> None:
    found, rom = Unit(queued), "gen_logic.rom"
    weight, (_, _, banks, _, groups, slots, _) = found.lanes[0], found.sizes
    first, *_ = np.argwhere(weight)
    at = 1 + groups + int(first[1] * banks + first[2]) * sum(found.field_sizes)
    other = turned(queued, rom, (int(first[0]), at)).matrix()
    assert (other != found.matrix()).sum() == 1
    marks = found.program.bits[:, : 1 + groups]
    emits, finishes = (np.flatnonzero(marks[:, column]) for column in (0, 1))
    with pytest.raises(NotProven, match="group 0 finishes"):
        turned(queued, rom, (int(emits[0]), 0)).matrix()
    with pytest.raises(NotProven, match="group 0 finishes 1 sums, and 2 beats leave"):
        turned(queued, rom, (int(finishes[0]), 1)).matrix()
    sooner = next(slot for slot in range(slots) if not marks[slot, 0])
    with pytest.raises(NotProven, match="finishes sum 0 after its beat has left"):
        turned(queued, rom, (int(emits[0]), 0), (sooner, 0)).matrix()
    lowest = [(int(first[0]), at + bit) for bit in range(found.field_sizes[0])
              if (int(weight[tuple(first)]) >> bit & 1) != (bit == found.field_sizes[0] - 1)]  # fmt: skip
    with pytest.raises(NotProven, match="has the lowest weight"):
        turned(queued, rom, *lowest).matrix()


def test_a_queue_that_is_too_short_is_seen(queued: memories.Instance) -> None:
    short = replace(queued, parameters={**queued.parameters, "QUEUE": "0"})
    with pytest.raises(NotProven, match="with no queue"):
        Unit(short).matrix()
    with pytest.raises(NotProven, match="sizes that a sparse unit cannot have"):
        Unit(replace(queued, parameters={**queued.parameters, "QUEUE": "11"})).matrix()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A network whose layers are all sparse units."""
    place = tmp_path_factory.mktemp("sparse")
    design = subject(NETWORK, place, mapped=False, sparse="always").design
    (place / "place").mkdir()
    yield Subject(design, NETWORK, reading.elaborated(design, (), place / "place"))


@pytest.mark.slow
def test_a_network_of_sparse_units_is_proven(whole: Subject, tmp_path: Path) -> None:
    assert contents.weights(NETWORK, whole.instances, whole.hints).startswith("220 weights in 34 words")
    detail = own.prove(NETWORK, whole.instances, whole.hints, whole.folded.contents["verilog"], tmp_path, 60)
    assert "3 qap_sparse" in detail


@pytest.mark.slow
def test_other_weights_are_named(whole: Subject) -> None:
    node = NETWORK["conv2"]
    weights = node.weights.copy()  # type: ignore[attr-defined]
    weights[5, 2] += 1
    other = NETWORK.with_nodes(replace(node, weights=weights))  # type: ignore[call-arg]
    with pytest.raises(Refuted, match="node conv2: the program's weight of input 5 and output 2 is"):
        contents.weights(other, whole.instances, whole.hints)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What Yosys reads of a network of sparse units and of its netlist, whose banks are copies in LUTs."""
    place = tmp_path_factory.mktemp("mapped")
    one = subject(pruned(dense_layers(16, 32, 24, 5), 0.25), place, sparse="always", target_fps=3e6)
    (place / "place").mkdir()
    return reading.elaborated(one.design, one.netlist, place / "place").contents


@pytest.mark.slow
def test_a_netlist_with_copies_of_banks_is_the_verilog(mapped: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    cells = [name for module in mapped["netlist"].values() for name in module["cells"]]
    assert any(re.fullmatch(r"gen_bank.*pages\.1\.0", name) for name in cells)
    netlist.prove(mapped, "finn_design", tmp_path, 60)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["data", "address", "enable", "begins"])
def test_a_copy_of_a_bank_with_a_fault_is_rejected(
    mapped: dict[str, dict[str, Any]], fault: str, tmp_path: Path
) -> None:
    other = copy.deepcopy(mapped)
    cell = next(cell for module in other["netlist"].values() for name, cell in module["cells"].items()
                if re.fullmatch(r"gen_bank.*pages\.1\.0", name))  # fmt: skip
    pins, lane = (
        cell["connections"],
        next(lane for lane in "CBA" if isinstance(cell["connections"][f"DI{lane}"][0], int)),
    )
    match fault:
        case "data":
            pins[f"DI{lane}"][0] = pins[f"DI{lane}"][0] - 1
        case "address":
            pins["ADDRD"][0], pins["ADDRD"][1] = pins["ADDRD"][1], pins["ADDRD"][0]
        case "enable":
            pins["WE"] = ["1"]
        case "begins":
            cell["parameters"][f"INIT_{lane}"] = "1" * 64
    with pytest.raises(NotProven, match="copies of register .* begin as" if fault == "begins" else "u_qap_sparse"):
        netlist.prove(other, "finn_design", tmp_path, 60)
