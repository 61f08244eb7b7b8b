# SPDX-License-Identifier: Apache-2.0
"""Schedules of sparse matrices: whole, dense in time, the same every time; and the check of what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.backends.finn.sparse import banking, schedule
from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.sparse.check import check
from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.sparse.words import Memories
from qap2fpga.system.errors import CheckFailed
from tests.support.sparse import sparse_matrix

FOLDS = [
    Fold(1, 1, 1), Fold(1, 2, 4, cross=True), Fold(2, 4, 8, cross=True), Fold(4, 4, 2), Fold(8, 8, 1), Fold(4, 2, 4),
    Fold(8, 2, 2, cross=True), Fold(4, 2, 4, cross=True), Fold(2, 2, 3, cross=True),
]  # fmt: skip


def product(memories: Memories, inputs: np.ndarray, outputs: int) -> np.ndarray:
    """What the module computes of a vector, by its memories: written anew, so that the check is checked."""
    banks = np.full((memories.banks, memories.places, max(1, memories.simd // memories.banks)), 99_999)
    ends = [0] * memories.banks
    simd, bits = memories.simd, memories.element_bits
    for beat, elements in enumerate(inputs.reshape(-1, simd)):
        for position in range(max(simd, memories.banks)):
            bank, number = position % memories.banks, position
            if memories.banking:
                size = bits + (memories.banks > simd)
                field = memories.banking[beat] // (1 << position * size) % (1 << size)
                if memories.banks > simd and field < 1 << bits:
                    continue
                number = field % (1 << bits)
            banks[bank, ends[bank] if memories.banks > simd else beat, position // memories.banks] = elements[number]
            ends[bank] += 1
    results: list[list[int]] = [[] for _ in range(memories.pe)]
    sums = [0] * memories.pe
    for word in memories.program:
        text = f"{word:0{memories.program_bits}b}"[::-1]
        for group in range(memories.pe):
            for bank in range(memories.banks):
                at = 1 + memories.pe + (group * memories.banks + bank) * memories.lane_bits
                task = text[at : at + memories.lane_bits]
                bits = memories.weight_bits
                weight = int(task[: bits - 1][::-1], 2) - (int(task[bits - 1]) << bits - 1)
                place = int(task[bits : bits + memories.place_bits][::-1], 2)
                value = int(task[bits + memories.place_bits :][::-1] or "0", 2)
                sums[group] += weight * int(banks[bank, place, value]) if weight else 0
            if text[1 + group] == "1":
                results[group].append(sums[group])
                sums[group] = 0
    return np.array(results).T.reshape(outputs)


@pytest.mark.parametrize("density", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("fold", FOLDS, ids=str)
@pytest.mark.parametrize("queue", schedule.QUEUES)
def test_a_schedule_computes_the_product(fold: Fold, queue: int, density: float) -> None:
    weights = sparse_matrix(16, 8, density, 4)
    inputs = np.random.default_rng(3).integers(-8, 8, 16)
    memories = Matrix("fc", weights, 4).memories(fold, queue)
    assert product(memories, inputs, 8).tolist() == (inputs @ weights).tolist()


def test_a_longer_queue_is_no_slower_and_none_is_needed_for_one_group() -> None:
    matrix = Matrix("fc", sparse_matrix(64, 32, 0.2, 4), 4)
    slots = [matrix.slots(Fold(1, 8, 2, cross=True), queue) for queue in schedule.QUEUES]
    assert slots == sorted(slots, reverse=True)
    assert slots[0] > slots[2]
    assert len({matrix.slots(Fold(1, 1, 4, cross=True), queue) for queue in schedule.QUEUES}) == 1


def test_slots_are_those_of_the_schedule() -> None:
    matrix = Matrix("fc", sparse_matrix(32, 24, 0.3, 4), 4)
    for fold in (Fold(1, 4, 4, cross=True), Fold(2, 3, 2)):
        for queue in schedule.QUEUES:
            assert matrix.slots(fold, queue) == len(matrix.memories(fold, queue).program)
        assert max(matrix.places(fold)) == matrix.memories(fold, 0).places


@pytest.mark.parametrize("fold", FOLDS, ids=str)
@pytest.mark.parametrize("queue", schedule.QUEUES)
@pytest.mark.parametrize(("density", "sort"), [
    (0.2, "any"), (1.0, "any"), (0.5, "positive"), (0.5, "even"), (1.0, "odd"), (0.5, "dead"),
])  # fmt: skip
def test_bits_of_a_program_that_differ(fold: Fold, queue: int, density: float, sort: str) -> None:
    weights = sparse_matrix(48, 16, density, 5)
    kinds = {"positive": np.abs(weights), "even": weights & ~3, "odd": weights | (weights != 0)}
    weights = kinds.get(sort, weights)
    if sort == "dead":
        weights[:, ::2] = 0
    matrix = Matrix("fc", weights, 5)
    first, *others = matrix.memories(fold, queue).program
    differ = 0
    for word in others:
        differ |= word ^ first
    assert matrix.differing(fold, queue) == differ.bit_count()


@pytest.mark.parametrize(("simd", "gain"), [(1, 0.85), (2, 0.9), (4, 0.9), (8, 0.9)])
def test_moving_inputs_between_banks_saves_slots(simd: int, gain: float) -> None:
    weights = sparse_matrix(128, 64, 0.15, 4)
    fold = Fold(simd, 4, 4, cross=True)
    by_turns = np.arange(128) % 4
    before = schedule.slots(banking.lengths(weights, by_turns, fold), 4, 32)
    found = banking.positions(weights, fold)
    assert schedule.slots(banking.lengths(weights, found, fold), 4, 32) < gain * before
    assert found.tolist() == banking.positions(weights, fold).tolist()


def test_weights_that_are_spread_evenly_leave_no_slot_unused() -> None:
    # Of each four inputs of an output one is left.
    random = np.random.default_rng(4)
    weights = np.zeros((64, 32), np.int64)
    for output in range(32):
        weights[4 * np.arange(16) + random.integers(4, size=16), output] = random.integers(1, 8, 16)
    for fold in (Fold(1, 4, 4, cross=True), Fold(1, 8, 1), Fold(1, 2, 8, cross=True)):
        assert Matrix("fc", weights, 4).slots(fold, 1) * fold.lanes == 16 * 32


@pytest.mark.parametrize("fold", FOLDS, ids=str)
def test_the_inputs_of_a_beat_do_not_meet(fold: Fold) -> None:
    weights = sparse_matrix(48, 16, 0.2, 4)
    found = banking.positions(weights, fold).reshape(-1, fold.simd)
    assert all(len(set(beat)) == fold.simd for beat in found.tolist())
    assert set(found.ravel()) == set(range(fold.positions))
    assert fold.cross or (found == np.arange(fold.simd)).all()


def test_more_banks_than_inputs_need_a_table() -> None:
    with pytest.raises(AssertionError, match="cannot be built"):
        Fold(1, 1, 2)
    with pytest.raises(AssertionError, match="cannot be built"):
        Fold(3, 1, 2)


def changed(memories: Memories, bit: int) -> Memories:
    """With a bit turned of the first word in which lane 0 multiplies."""
    program = list(memories.program)
    slot = next(slot for slot, word in enumerate(program) if word >> 1 + memories.pe & (1 << memories.weight_bits) - 1)
    program[slot] ^= 1 << bit
    return replace(memories, program=tuple(program))


FAULTS: dict[str, Callable[[Memories], Memories]] = {
    "a weight": lambda one: changed(one, 1 + one.pe),
    "a place": lambda one: changed(one, 1 + one.pe + one.weight_bits),
    "the last weight of a sum": lambda one: changed(one, 1),
    "a beat of results": lambda one: changed(one, 0),
    "two slots": lambda one: replace(
        one, program=(one.program[-1], *one.program[1:-1], one.program[0])
    ),
    "a slot less": lambda one: replace(one, program=one.program[:-1]),
    "a slot more": lambda one: replace(one, program=(*one.program, one.program[-1])),
    "a bank": lambda one: replace(one, banking=(one.banking[0] ^ 3, *one.banking[1:])),
    "a lane": lambda one: replace(one, program=tuple(word | 1 << one.program_bits for word in one.program)),
    "places": lambda one: replace(one, places=one.places - 1),
    "beats": lambda one: replace(one, beats=one.beats - 1),
    "no queue": lambda one: replace(one, queue=0),
    "a table": lambda one: replace(one, banking=one.banking[1:]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees(fault: str) -> None:
    weights = sparse_matrix(32, 8, 0.4, 4)
    memories = Matrix("fc", weights, 4).memories(Fold(1, 2, 4, cross=True), 1)
    check(memories, weights, "fc")
    with pytest.raises(CheckFailed, match="the schedule of fc is wrong"):
        check(FAULTS[fault](memories), weights, "fc")


def test_the_check_sees_a_queue_that_overflows() -> None:
    weights = sparse_matrix(32, 64, 0.3, 4)
    memories = Matrix("fc", weights, 4).memories(Fold(1, 4, 1), 32)
    with pytest.raises(CheckFailed, match="more than 1 sums"):
        check(replace(memories, queue=1), weights, "fc")


def test_the_check_sees_every_weight() -> None:
    weights = sparse_matrix(16, 4, 0.3, 4)
    memories = Matrix("fc", weights, 4).memories(Fold(2, 2, 2), 32)
    for place in np.argwhere(weights != 7):
        other = weights.copy()
        other[tuple(place)] += 1
        with pytest.raises(CheckFailed, match="is another sum"):
            check(memories, other, "fc")


@pytest.mark.parametrize("fold", FOLDS, ids=str)
@pytest.mark.parametrize("queue", [0, 1, 32])
def test_no_schedule_takes_less_than_an_even_one(fold: Fold, queue: int) -> None:
    matrix = Matrix("fc", sparse_matrix(48, 24, 0.2, 4), 4)
    assert matrix.even.products <= matrix.even.slots(fold, queue) * fold.lanes
    assert matrix.even.slots(fold, queue) <= matrix.slots(fold, queue)
    assert max(matrix.even.places(fold)) <= max(matrix.places(fold))
