# SPDX-License-Identifier: Apache-2.0
"""Modules with a stream in and one out, simulated in many streams at once with gaps, stalls and resets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.simulated import NoSimulation, Simulator

STREAMS, CYCLES, STUCK = 32, 400, 200
# The bits of a beat.
Beat = np.ndarray


@dataclass(frozen=True)
class Stream:
    """What goes in and is to come out, in vectors of so many `beats`.

    `vector` draws the beats of one. `expected` are the beats that come out because of the last one of those that have
    come of a vector.
    """

    beats: int
    vector: Callable[[np.random.Generator], list[Beat]]
    expected: Callable[[list[Beat]], list[Beat]]


def beat(values: np.ndarray, size: int) -> Beat:
    """Return integers (n,) side by side, the first one lowest, up to whole bytes."""
    bits = (values[:, None] >> np.arange(size) & 1).astype(bool).reshape(-1)
    return np.pad(bits, (0, -len(bits) % 8))


@dataclass
class _One:
    """One of the streams: what is to be sent and to come."""

    left: list[Beat]
    came: list[Beat]
    due: deque[Beat]
    offered: bool = False
    held: Beat | None = None
    idle: int = 0


def wrong(content: dict[str, Any], module: str, stream: Stream, seed: int) -> str:
    """Return what a module does wrong, nothing if nothing is seen; a quarter of the streams runs at full speed."""
    random = np.random.default_rng(seed)
    try:
        simulator = Simulator(content, module, STREAMS, random)
    except NoSimulation as error:
        return str(error)
    every = [_One([], [], deque()) for _ in range(STREAMS)]
    paces = random.integers(3, 11, (2, STREAMS))
    paces[:, ::4] = 10
    for cycle in range(CYCLES):
        resets = (random.integers(0, 120, STREAMS) == 0) & (np.arange(STREAMS) % 4 > 0) | (cycle < 2)
        readies = random.integers(0, 10, STREAMS) < paces[1]
        for one, offers in zip(every, random.integers(0, 10, STREAMS) < paces[0], strict=True):
            one.offered |= bool(offers)
            one.left = one.left or stream.vector(random)
        out = simulator.run({
            "ap_rst_n": ~resets[:, None], "out0_V_TREADY": readies[:, None],
            "in0_V_TVALID": np.array([[one.offered] for one in every]),
            "in0_V_TDATA": np.stack([one.left[0] for one in every]),
        })  # fmt: skip
        ports = (out["out0_V_TVALID"][:, 0], out["out0_V_TDATA"], out["in0_V_TREADY"][:, 0])
        for one, reset, ready, valid, data, takes in zip(every, resets, readies, *ports, strict=True):
            if reset:
                one.left, one.came, one.offered, one.held = [], [], False, None
                one.due.clear()
            elif what := _step(one, stream, ready=ready, valid=valid, data=data, takes=takes):
                return what
    return ""


def _step(one: _One, stream: Stream, *, ready: bool, valid: bool, data: Beat, takes: bool) -> str:
    if one.held is not None and not (valid and np.array_equal(data, one.held)):
        return "a result went away before it was taken"
    if valid and not one.due:
        return "a result without an input"
    if valid and not np.array_equal(data, one.due[0]):
        return "another result"
    one.held, one.idle = data if valid and not ready else None, one.idle + 1
    if one.offered and takes:
        one.came, one.offered, one.idle = [*one.came, one.left.pop(0)], False, 0
        one.due.extend(stream.expected(one.came))
        one.came = [] if len(one.came) == stream.beats else one.came
    if valid and ready:
        one.due.popleft()
        one.idle = 0
    return "nothing goes on" if one.idle > STUCK else ""
