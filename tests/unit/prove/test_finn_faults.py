# SPDX-License-Identifier: Apache-2.0
"""Random single faults in sparse units and upsampling: what is accepted does the same, as a simulator sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults import faulty
from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.stream.blocks import Kind as Numbers
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn import machine, memories, reading, repeats, sparse, units
from qap2fpga.prove.finn.memories import Instance
from qap2fpga.prove.finn.modules import Kind
from qap2fpga.prove.reading import module_of
from tests.support.beats import Beat, Stream, beat, wrong
from tests.support.folded import subject
from tests.support.sparse import block_of, sparse_matrix, unit
from tests.support.streams import everything

pytestmark = pytest.mark.slow
FAULTS = 12
UNITS = {
    "one bank": (sparse_matrix(12, 6, 0.3, 4), Fold(1, 1, 1), 0, Numbers(4, False)),
    "crossed": (sparse_matrix(12, 6, 0.3, 3, seed=1), Fold(1, 3, 4, cross=True), 1, Numbers(3, True)),
    "a queue": (sparse_matrix(16, 9, 0.2, 6, seed=2), Fold(8, 3, 1), 32, Numbers(5, False)),
}


def instances(contents: Mapping[str, dict[str, object]], kind: str) -> Instance:
    """Return the instance of a kind."""
    every = memories.instances(contents["calls"], contents["contents"], "finn_design")
    return next(one for one in every.values() if one.kind == kind)


def sparse_unit(name: str, place: Path) -> tuple[Instance, dict[str, object], Kind, Stream]:
    weights, fold, queue, numbers = UNITS[name]
    read = reading.elaborated(unit(place, block_of(weights, fold, queue, numbers)).design, (), place).contents
    one = instances(read, sparse.SPARSE)
    beats, size = len(weights) // fold.simd, one.number("OUT_BITS")

    def vector(random: np.random.Generator) -> list[Beat]:
        values = random.integers(numbers.low, numbers.high + 1, len(weights))
        extreme = random.choice([numbers.low, numbers.high, 0], len(weights))
        return [beat(row, numbers.bits) for row in (extreme if random.integers(2) else values).reshape(beats, -1)]

    def expected(came: list[Beat]) -> list[Beat]:
        if len(came) < beats:
            return []
        bits = np.stack([one[: fold.simd * numbers.bits] for one in came]).reshape(-1, numbers.bits).astype(np.int64)
        values = bits @ (1 << np.arange(numbers.bits)) - (bits[:, -1] << numbers.bits) * numbers.signed
        return [beat(row, size) for row in (values @ weights).reshape(-1, fold.pe)]

    return one, read["verilog"], units.kind(sparse.Unit(one)), Stream(beats, vector, expected)


def upsampling(place: Path) -> tuple[Instance, dict[str, object], Kind, Stream]:
    design = subject(everything(), place, mapped=False).design
    (place / "place").mkdir()
    read = reading.elaborated(design, (), place / "place").contents
    one = instances(read, "qap_repeat")
    columns, fold, rows, times = (one.number(name) for name in ("COLUMNS", "FOLD", "ROW_TIMES", "COLUMN_TIMES"))
    order = [column * fold + part for _ in range(rows) for column in range(columns) for _ in range(times)
             for part in range(fold)]  # fmt: skip

    def there(count: int) -> int:
        return next((at for at, number in enumerate(order) if number >= count), len(order))

    def vector(random: np.random.Generator) -> list[Beat]:
        return list(random.integers(0, 2, (columns * fold, one.number("WIDTH"))).astype(bool))

    def expected(came: list[Beat]) -> list[Beat]:
        return [came[number] for number in order[there(len(came) - 1) : there(len(came))]]

    kind = repeats.repeat(columns, fold, rows, times, "gen_distributed")
    return one, read["verilog"], kind, Stream(columns * fold, vector, expected)


@pytest.mark.parametrize("name", [*UNITS, "upsampling"])
def test_what_is_accepted_does_the_same(name: str, tmp_path: Path) -> None:
    one, verilog, kind, stream = upsampling(tmp_path) if name == "upsampling" else sparse_unit(name, tmp_path)
    whole = {"modules": {one.module: verilog[one.module]}}
    assert wrong(whole, one.module, stream, 0) == ""
    other_stream = replace(stream, expected=lambda came: [~one for one in stream.expected(came)])
    assert wrong(whole, one.module, other_stream, 0) == "another result"
    rejected = 0
    for seed in range(FAULTS):
        fault, other = faulty(whole, seed)
        try:
            module = module_of(one.module, other["modules"])
            machine.check(module, kind.begins, kind.spec, tmp_path, "module", 60)
        except NotProven:
            rejected += 1
        else:
            assert wrong(other, one.module, stream, seed) == "", fault
    assert FAULTS // 3 < rejected < FAULTS
