# SPDX-License-Identifier: Apache-2.0
"""Whether memories of flows/finn/qap_sparse.sv compute a matrix, found by doing what the module does with them.

It shares nothing with the search for schedules but the numbers that are written: no memory is written unchecked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qap2fpga.backends.finn.sparse.words import Memories
from qap2fpga.system.errors import CheckFailed


def check(memories: Memories, weights: np.ndarray, name: str) -> None:
    """Go through a vector. Raises `CheckFailed`, with the block's `name`, if it is not multiplied by `weights`.

    `weights` is (inputs, outputs).
    """
    inputs, outputs = weights.shape
    if memories.beats * memories.simd != inputs or outputs % memories.pe:
        raise _wrong(name, f"{memories.beats} beats of {memories.simd} for {inputs} inputs, {outputs} outputs")
    there = _contents(memories, name)
    lanes = memories.pe * memories.banks
    sums: list[dict[int, int]] = [{} for _ in range(memories.pe)]
    finished = [0] * memories.pe
    left = 0
    for slot, word in enumerate(memories.program):
        place = f"slot {slot}"
        tasks = word >> 1 + memories.pe
        if tasks >> lanes * memories.lane_bits:
            raise _wrong(name, f"{place} has more bits than lanes")
        for lane in range(lanes):
            task = tasks >> lane * memories.lane_bits & (1 << memories.lane_bits) - 1
            weight = _signed(task & (1 << memories.weight_bits) - 1, memories.weight_bits)
            if not weight:
                continue
            group, bank = divmod(lane, memories.banks)
            number = there.get((bank, task >> memories.weight_bits))
            if number is None or number in sums[group]:
                raise _wrong(name, f"{place}: lane {lane} takes input {number}, which is not there or was taken")
            sums[group][number] = weight
        for group in range(memories.pe):
            if not word >> 1 + group & 1:
                continue
            _compare(name, place, sums[group], weights, finished[group] * memories.pe + group)
            sums[group] = {}
            finished[group] += 1
            # A beat of results is read while the next slot's sums are written.
            if memories.queue and finished[group] - left > memories.queue:
                raise _wrong(name, f"{place}: more than {memories.queue} sums of group {group} wait")
        left += word & 1
        if any(one < left or (memories.queue == 0 and one > left) for one in finished):
            raise _wrong(name, f"{place}: {left} beats have left of {finished} sums")
    if any(sums) or left * memories.pe != outputs or any(one != left for one in finished):
        raise _wrong(name, f"{left} beats leave, of {outputs} outputs")


def _contents(memories: Memories, name: str) -> dict[tuple[int, int], int]:
    """The input at each place of each bank once a vector has come in."""
    there: dict[tuple[int, int], int] = {}
    counts = [0] * memories.banks
    fewer = memories.banks > memories.simd
    if len(memories.banking) != memories.beats and (memories.banking or fewer):
        raise _wrong(name, f"{len(memories.banking)} words of banks")
    for beat in range(memories.beats):
        for bank, value, element in _placed(memories, beat):
            place = counts[bank] if fewer else beat
            if place >= memories.places or element >= memories.simd:
                raise _wrong(name, f"beat {beat} has no element {element}, or bank {bank} no place {place}")
            there[bank, place | value << memories.place_bits] = beat * memories.simd + element
            counts[bank] += 1
    return there


def _placed(memories: Memories, beat: int) -> Iterator[tuple[int, int, int]]:
    """Bank, value of its word, and element, for all that is written of a beat."""
    bits = memories.field_bits
    for position in range(memories.values * memories.banks):
        element = position
        if memories.banking:
            field = memories.banking[beat] >> position * bits & (1 << bits) - 1
            if memories.banks > memories.simd and not field >> memories.element_bits:
                continue
            element = field & (1 << memories.element_bits) - 1
        yield position % memories.banks, position // memories.banks, element


def _compare(name: str, place: str, sums: dict[int, int], weights: np.ndarray, output: int) -> None:
    if output >= weights.shape[1]:
        raise _wrong(name, f"{place}: there is no output {output}")
    wanted = {int(number): int(weights[number, output]) for number in np.flatnonzero(weights[:, output])}
    if sums != wanted:
        raise _wrong(name, f"{place}: output {output} is another sum than the network's")


def _signed(number: int, bits: int) -> int:
    return number - (number >> bits - 1 << bits)


def _wrong(name: str, what: str) -> CheckFailed:
    return CheckFailed(f"the schedule of {name} is wrong: {what}", "please report this network")
