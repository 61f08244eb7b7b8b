# SPDX-License-Identifier: Apache-2.0
"""Wires that are no result of a layer, but a function of one: copies that were made apart, constants, comparisons.

Logic behind a layer may read these beside its results. That such a wire is a function of one result alone is shown by
running through all sums that the result can have.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from qap2fpga.prove.cells import BITWISE, Bits, NotProven, Part
from qap2fpga.prove.ground import Ground, Result
from qap2fpga.prove.layers import Channels, results
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.searches import Search
from qap2fpga.prove.signatures import Signatures

# Bits of a result of which another wire may be any function.
MOST_BITS = 10
# Wires that are tried; where there are more, the logic is of another kind.
MOST_TRIED = 2000
SUMS = ("sum", "difference", "product")


def derived(
    ground: Ground, channels: Channels, cut: Signatures, of: Sequence[Result], others: Sequence[Value], outputs: Bits
) -> list[Part]:
    """Return wires that the logic of `outputs` may read beside results of a layer and `others`, as functions of these.

    `of` are what is known of the results of `channels`; `cut` is the logic behind the layer's inputs.
    """
    known = {at: one for at, one in enumerate(of) if one.missing is None}
    results = {bit for one in known.values() for bit in one.value.bits} - {0, 1}
    parts = channels.pipeline.module.parts
    search, owners = channels.beyond(parts), _owners(channels, known, parts)
    drivers = {bit: part for part in ground.parts for bit in part.driven}
    alike = {one for bit in results for one in ground.alike(cut, bit)} - results - ground.derived.keys()
    # Bits of a sum stay together, and what it lends from above stays beside it.
    single = sorted(bit for bit in alike if bit in drivers and drivers[bit].kind in BITWISE)
    parts_of = partial(_functions, channels, known, search, owners)
    every = [part for bit in single for part in itertools.islice(parts_of(bit), 1)]
    values, tried = [*others, *(one.value for one in of)], 0
    # Bits of sums are torn out of these only where nothing else helps.
    for sums in (False, True):
        reached = ground.reached(values, every)
        waiting, seen = list(outputs), set(reached)
        while waiting and tried < MOST_TRIED:
            bit = waiting.pop()
            if bit in seen:
                continue
            seen.add(bit)
            ground.require_time(f"layer {channels.layer.name}")
            driver = drivers.get(bit)
            its = None
            if bit in owners and (sums or driver is None or driver.kind not in SUMS):
                tried += 1
                its = next(parts_of(bit), None)
            if its is not None:
                every.append(its)
            elif driver is not None:
                waiting += [one for operand in driver.operands for one in operand]
    return every


def _owners(channels: Channels, known: dict[int, Result], parts: Sequence[Part]) -> dict[int, frozenset[int]]:
    """Return the channels on whose sums alone each bit depends; on a constant all do."""
    owners = {bit: frozenset(known) for bit in (0, 1, *channels.pipeline.open)}
    every = channels.beyond(())
    for channel in known:
        for place in every.of(channels.wanted(channel)):
            for bit in place.vector:
                owners[bit] = owners.get(bit, frozenset()) | {channel}
    for part in parts:
        its = [owners.get(bit, frozenset()) for operand in part.operands for bit in operand]
        common = frozenset.intersection(*its) if its else frozenset(known)
        for bit in part.driven if common else ():
            owners[bit] = owners.get(bit, frozenset()) | common
    return owners


def _functions(
    channels: Channels, known: dict[int, Result], search: Search, owners: dict[int, frozenset[int]], bit: int
) -> Iterator[Part]:
    """Yield `bit` as a function of each of the results that it is one of."""
    for channel in sorted(owners.get(bit, ())):
        its = known[channel]
        entries = dict[int, int]()
        try:
            between = search.between((bit,), channels.wanted(channel), channels.where(channel))
            for sums in channels.sums(channel, between):
                sums = sums[channels.there(channel, sums)]
                inputs = (results(channels.layer.function, channel, sums) - its.offset) // its.factor
                actual, sure = between.evaluate(Lane((bit,), signed=False), sums, channels.where(channel))
                if not sure.all():
                    break
                pairs = np.unique(np.stack([inputs, actual]), axis=1).T.tolist()
                if any(entries.setdefault(number, value) != value for number, value in pairs):
                    break
            else:
                if len(its.value.bits) <= MOST_BITS:
                    yield _part(its.value, entries, bit)
        except NotProven:
            continue


def _part(value: Value, entries: dict[int, int], bit: int) -> Part:
    """Return `bit` as what `entries` say of each integer on the bits of `value`."""
    if len(set(entries.values())) == 1:
        return Part(f"wire {bit}", "same", ((next(iter(entries.values())),),), (bit,))
    for place, one in enumerate(value.bits):
        column = {number >> place & 1 ^ its for number, its in entries.items()}
        if len(column) == 1:
            return Part(f"wire {bit}", "not" if column == {1} else "same", ((one,),), (bit,))
    mask, table = (1 << len(value.bits)) - 1, 0
    for number, its in entries.items():
        table |= its << (number & mask)
    return Part(f"wire {bit}", "table", (value.bits,), (bit,), table)
