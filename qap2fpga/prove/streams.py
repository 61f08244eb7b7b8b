# SPDX-License-Identifier: Apache-2.0
"""Streams of positions: where results of nodes pass by, what the taps of a kernel see of them, names of their bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import POINT, Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node
from qap2fpga.prove.automaton import Token
from qap2fpga.prove.cells import Bits, NotProven
from qap2fpga.prove.expressions import Codes
from qap2fpga.prove.linear import Value
from qap2fpga.prove.logic import Logic

# Frames that are in a part of the design at a time; older ones are not followed.
MOST_FRAMES = 4
# The first of the bits that a layer's taps see, where these have no nets of their own.
INPUTS = 2


@dataclass(frozen=True)
class Stream:
    """Where the results of a node pass by: on `bits`, `stages` moves after a position is seen at `valid`."""

    valid: int
    flush: int
    bits: Bits
    stages: int
    positions: int


@dataclass(frozen=True, eq=False)
class Channel:
    """A channel of a node's results: `value` of the `stream`, of which position `places[i]` is the node's i-th."""

    stream: str
    value: Value
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class Tap:
    """What a tap of a kernel sees of a channel on `bits`, position by position: numbers of places, -1 where `pad`."""

    channel: Channel
    value: Value
    places: np.ndarray
    pad: int


class Labels:
    """Names of the bits of streams: of every frame that is in a part, position and bit."""

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self.streams, self.firsts, self.total = streams, dict[str, int](), 0
        for name, one in streams.items():
            self.firsts[name] = 2 + self.total
            self.total += one.positions * len(one.bits)

    def bits(self, name: str, token: Token | None) -> dict[int, int | None]:
        """Return the names of the bits of a stream while a position passes by."""
        bits = self.streams[name].bits
        if token is None or token.age >= MOST_FRAMES:
            return dict.fromkeys(bits)
        first = self.firsts[name] + token.place * len(bits) + token.age * self.total
        return dict(zip(bits, range(first, first + len(bits)), strict=True))

    def expected(self, taps: Sequence[Tap], place: int, moving: Logic) -> Codes:
        """Return the names of what taps see at a place, of the newest frame."""
        codes: list[int | None] = []
        for tap in taps:
            value, seen, size = tap.channel.value, int(tap.places[place]), len(tap.value.bits)
            own: list[int | None] = [tap.pad >> at & 1 for at in range(size)]
            if seen >= 0:
                names = self.bits(tap.channel.stream, Token(0, seen)) | {0: 0, 1: 1}
                own = [names[bit] for bit in moving.settle(value.bits)][:size]
                own += [own[-1] if value.signed else 0] * (size - len(own))
            codes += own
        return tuple(codes)

    def older(self, code: int) -> int | None:
        """Return the name of the same bit of the frame before."""
        return self.of_age(code, 1)

    def of_age(self, code: int | None, age: int) -> int | None:
        """Return the name of the same bit of an older frame; None if that is too old to be followed."""
        if code is None or code < 2:
            return code
        older = code + age * self.total
        return older if older < 2 + MOST_FRAMES * self.total else None


def taps_of(network: Graph, sums: Node, channels: Sequence[Channel]) -> list[Tap]:
    """Return what the taps of a layer see of `channels`, tap by tap, on the bits from `INPUTS` on."""
    geometry: Geometry = getattr(sums, "geometry", POINT)
    shape = network.shapes[sums.sources[0]]
    grid = np.arange(shape.positions).reshape(1, shape.height, shape.width, 1)
    places = replace(geometry, pad=-1).windows(grid).reshape(-1, geometry.taps)
    lanes = [lane for source in sums.sources for lane in geometry.seen(network.node_ranges[source]).ends]
    taps, at = [], INPUTS
    for column in places.T:
        for channel, (low, high) in zip(channels, lanes, strict=True):
            size, signed = width(low, high), low < 0
            seen = {channel.value.low, channel.value.high} if (column >= 0).any() else set()
            seen |= {geometry.pad} if (column < 0).any() else set()
            top = 1 << size - int(signed)
            if not (-top if signed else 0) <= min(seen) <= max(seen) < top:
                raise NotProven(f"node {sums.name}: {size} bits do not hold {min(seen)} to {max(seen)}")
            value = Value(tuple(range(at, at + size)), signed, min(seen), max(seen))
            taps.append(Tap(channel, value, np.where(column < 0, -1, channel.places[column]), geometry.pad))
            at += size
    return taps


def placed(taps: Sequence[Tap], bits: Bits) -> list[Value]:
    """Return the values of taps that lie on `bits`."""
    return [replace(tap.value, bits=tuple(bits[bit - INPUTS] for bit in tap.value.bits)) for tap in taps]


def floors(taps: Sequence[Tap], channels: int) -> list[int]:
    """Return what the largest that taps see of a channel is at least: the source's, unless some see pads alone."""
    result = []
    for channel in range(channels):
        group = taps[channel::channels]
        real = np.any([tap.places >= 0 for tap in group], axis=0).all()
        result.append(group[0].channel.value.low if real else min(tap.value.low for tap in group))
    return result


def sums_up(network: Graph, sums: Node) -> bool:
    """Return whether a node multiplies the sum of each channel over the whole frame."""
    if not isinstance(sums, Depthwise) or sums.geometry.taps == 1:
        return False
    whole = sums.geometry.sees_whole(network.shapes[sums.sources[0]])
    return whole and bool((sums.weights == sums.weights[:1]).all())
