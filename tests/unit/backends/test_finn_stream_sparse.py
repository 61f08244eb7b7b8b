# SPDX-License-Identifier: Apache-2.0
"""The sparse unit in Verilator, of all widths, densities and foldings: exact, and in the cycles expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.stream.blocks import Kind
from qap2fpga.backends.finn.stream.cost import sparse_memory
from qap2fpga.backends.finn.stream.way import BlockNode
from qap2fpga.hw import boards
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import outputs
from qap2fpga.synth import yosys
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify.netlist import LEAST_VECTORS, Netlist
from qap2fpga.verify.rtl import Rtl, measured
from tests.support.sparse import Deep, Unit, block_of, sparse_matrix, unit
from tests.support.streams import cnn, dense_layers, pruned

BOARD = boards.load("pynq-z2")


def simulated(one: Unit, folder: Path, count: int = 40) -> None:
    """Compare with numpy under all schedules, and cycles with those expected."""
    inputs, expected = one.vectors(count)
    results = Rtl(one.design, folder / "simulate", threads=1).simulate(inputs, expected)
    latency, interval = measured(results)
    # Short vectors come in pairs, one sooner after the other than the next one: what is expected is rounded up.
    assert (latency, np.ceil(interval)) == (one.cycles.latency, one.cycles.interval)
    assert one.cycles.interval == one.block.cycles


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "density", "fold", "queue", "bits", "kind"), [
    ((12, 6), 0.3, Fold(1, 1, 1), 0, 4, Kind(4, False)),
    ((12, 6), 0.3, Fold(1, 3, 4, cross=True), 1, 3, Kind(3, True)),
    ((16, 8), 0.2, Fold(2, 4, 8, cross=True), 32, 8, Kind(8, True)),
    ((16, 8), 0.2, Fold(4, 2, 2, cross=True), 32, 7, Kind(8, False)),
    ((20, 10), 0.5, Fold(4, 5, 4, cross=True), 1, 5, Kind(6, False)),
    ((16, 9), 0.2, Fold(8, 3, 1), 32, 6, Kind(5, False)),
    ((16, 4), 0.02, Fold(16, 4, 2), 0, 2, Kind(1, False)),
    ((16, 4), 1.0, Fold(2, 2, 4, cross=True), 1, 2, Kind(2, True)),
    ((9, 1), 0.4, Fold(3, 1, 3), 0, 4, Kind(7, False)),
    ((27, 8), 0.3, Fold(3, 4, 6, cross=True), 1, 4, Kind(3, True)),
    ((1, 4), 0.9, Fold(1, 2, 1), 1, 4, Kind(4, True)),
    ((1, 1), 1.0, Fold(1, 1, 1), 0, 3, Kind(2, False)),
    ((40, 12), 0.1, Fold(1, 12, 2, cross=True), 32, 1, Kind(1, False)),
])  # fmt: skip
def test_it_multiplies(
    shape: tuple[int, int], density: float, fold: Fold, queue: int, bits: int, kind: Kind, tmp_path: Path
) -> None:
    weights = sparse_matrix(*shape, density, max(bits, 2), seed=sum(shape))
    simulated(unit(tmp_path, block_of(weights, fold, queue, kind)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("fold", [Fold(1, 2, 4, cross=True), Fold(4, 2, 2)], ids=str)
def test_block_ram_holds_what_logic_and_lut_ram_do(fold: Fold, tmp_path: Path) -> None:
    block = block_of(sparse_matrix(64, 8, 0.4, 4), fold, 1, Kind(4, True))
    one = unit(tmp_path, Deep.of(block))
    simulated(one, tmp_path)
    done = yosys.map_design(one.design, BOARD, tmp_path / "synthesize", threads=1)
    total = yosys.measurement(done).total
    assert {"bram18": total.bram18, "lutram": total.lutram} == sparse_memory(one.block)
    assert total.bram18 == fold.lanes + -(-one.block.program_bits // 36)
    Netlist(one.design, BOARD, done, tmp_path / "netlist").simulate(*one.vectors(LEAST_VECTORS))


def test_memories_are_block_ram_where_that_is_cheaper() -> None:
    for inputs, deep in ((256, False), (4096, True)):
        block = block_of(sparse_matrix(inputs, 2, 0.2, 4), Fold(1, 1, 1), 0, Kind(8, False))
        assert (block.banks_in_block_ram, block.program_in_block_ram) == (deep, deep)


def test_a_program_is_block_ram_where_its_columns_are_many() -> None:
    weights = sparse_matrix(512, 1, 1.0, 4)
    few, many = (block_of(np.tile(weights, pe), Fold(1, pe, 1), 0, Kind(4, False)) for pe in (1, 8))
    assert few.slots == many.slots == 512
    assert (few.program_in_block_ram, many.program_in_block_ram) == (False, True)


def test_block_ram_has_no_bits_of_a_program_that_are_always_the_same() -> None:
    weights = sparse_matrix(512, 16, 0.5, 8)
    two = np.where(weights, 32 << (weights & 1), 0)
    plain, powers = (block_of(one, Fold(1, 4, 2, cross=True), 1, Kind(4, False)) for one in (weights, two))
    assert plain.program_in_block_ram
    assert powers.program_in_block_ram
    # Weights of 32 and 64, of 8 lanes, have two bits that differ, of eight.
    assert plain.block_bits - powers.block_bits == 8 * 6
    assert sparse_memory(powers)["bram18"] < sparse_memory(plain)["bram18"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Unit, Path]:
    """A unit with both memories, and where it is."""
    folder = tmp_path_factory.mktemp("unit")
    weights = sparse_matrix(16, 8, 0.4, 4)
    return unit(folder, block_of(weights, Fold(1, 2, 4, cross=True), 32, Kind(4, True))), folder


# The memory, and the bit that is turned of its first word; of the program, of the first one where lane 0 multiplies.
MUTATIONS: dict[str, tuple[str, int]] = {
    "schedule": ("program", 1), "result": ("program", 0), "weight": ("program", 3), "place": ("program", 3 + 4),
    "bank": ("banking", 0),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_memory_with_a_bit_turned_gives_other_results(mutation: str, built: tuple[Unit, Path]) -> None:
    one, folder = built
    memory, bit = MUTATIONS[mutation]
    path = one.design.folder / f"end_{memory}.dat"
    text = path.read_text()
    lines = text.split()
    slot = next(slot for slot, word in enumerate(lines) if memory == "banking" or int(word, 16) >> 3 & 15)
    lines[slot] = f"{int(lines[slot], 16) ^ 1 << bit:0{len(lines[slot])}x}"
    path.write_text("\n".join(lines))
    try:
        with pytest.raises(CheckFailed):
            simulated(one, folder)
    finally:
        path.write_text(text)


def two_layers() -> Graph:
    return dense_layers(16, 12, 5)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "options"), [
    (two_layers, {}),
    (two_layers, {"target_fps": 1e6}),
    (cnn, {"target_fps": 2e5}),
])  # fmt: skip
def test_whole_designs_are_exact_in_verilator_and_as_netlists(
    make: Callable[[], Graph], options: dict[str, Any], tmp_path: Path
) -> None:
    graph = pruned(make(), 0.3)
    inputs = np.random.default_rng(1).integers(graph.input.low, graph.input.high + 1, (LEAST_VECTORS, graph.inputs))
    expected = outputs(graph, "logits", inputs)
    design = FinnBackend().generate(graph, BOARD, tmp_path, FinnOptions(sparse="always", **options), inputs[:2])
    kinds = {node.op_type for node in design.nodes if isinstance(node, BlockNode)}
    assert "qap_sparse" in kinds
    assert "MVAU_rtl" not in kinds
    results = Rtl(design, tmp_path / "simulate", threads=1).simulate(inputs, expected)
    assert measured(results) == (design.latency_cycles, design.interval_cycles)
    done = yosys.map_design(design, BOARD, tmp_path / "synthesize", threads=1)
    assert yosys.measurement(done).total.dsp == design.estimate["dsp"] == 0
    Netlist(design, BOARD, done, tmp_path / "netlist").simulate(inputs, expected)
