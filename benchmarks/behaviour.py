# SPDX-License-Identifier: Apache-2.0
"""Whether simulated hardware gives a network's outputs, under gaps, stalls and resets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.simulated import NoSimulation, Simulator
from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import outputs

# Cycles of all streams together, at least.
CYCLES = 240 * 64


@dataclass(frozen=True)
class Difference:
    """What is wrong, and the input that was to come out, if any."""

    what: str
    vector: tuple[int, ...] = ()


def all_vectors(network: Graph) -> np.ndarray:
    """Return every input there is, (n, inputs)."""
    values = np.arange(network.input.low, network.input.high + 1)
    grid = np.meshgrid(*[values] * network.inputs, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1)


def difference(
    content: dict[str, Any], design: Design, network: Graph, vectors: np.ndarray, seed: int, streams: int = 256
) -> Difference | None:
    """Return where the design that is `content` does not give the network's outputs for `vectors`; None if it does.

    A quarter of the streams run at full speed; the others have gaps, stalls and resets.
    """
    random = np.random.default_rng(seed)
    try:
        simulator = Simulator(content, design.top, streams, random)
    except NoSimulation as error:
        return Difference(str(error))
    return _Streams(simulator, design, network, random.permutation(vectors), random).run()


class _Streams:
    """What goes into the copies of a design, and what is to come out of them.

    A stream begins at a vector of its own, and sends one after the other. What a reset drops is sent again.
    """

    def __init__(
        self, simulator: Simulator, design: Design, network: Graph, vectors: np.ndarray, random: np.random.Generator
    ) -> None:
        self.simulator, self.design, self.vectors, self.random = simulator, design, vectors, random
        self.given = _bits(vectors, design.input.bits, design.input.beat_bits)
        expected = outputs(network, design.output_kind, vectors)
        self.expected = _bits(expected, design.output.bits, design.output.beat_bits)
        streams = simulator.streams
        self.first = np.arange(streams) * len(vectors) // streams
        self.sent, self.left = np.zeros(streams, np.int64), np.zeros(streams, np.int64)
        self.offered, self.held = np.zeros(streams, bool), np.zeros(streams, bool)
        self.word = np.zeros((streams, design.output.beat_bits), bool)
        self.fast = np.arange(streams) % 4 == 0
        self.paces = np.where(self.fast, 10, random.integers(4, 10, (2, streams)))
        self.seen = np.zeros(len(vectors), bool)

    def run(self) -> Difference | None:
        """Return the first difference, None if all vectors have come out right."""
        streams, depth = len(self.first), self.design.latency_cycles or 0
        least = max(3 * depth, CYCLES // streams)
        for cycle in range(least + 10 * depth + 20 * -(-len(self.vectors) // streams)):
            wrong = self._cycle(cycle)
            if wrong is not None:
                return wrong
            if cycle >= least and self.seen.all():
                return None
        return Difference(f"only {self.seen.sum()} of {len(self.seen)} vectors came out")

    def _cycle(self, cycle: int) -> Difference | None:
        random, streams, count = self.random, len(self.first), len(self.vectors)
        source, sink = self.design.input.name, self.design.output.name
        self.offered |= random.integers(0, 10, streams) < self.paces[0]
        ready = random.integers(0, 10, streams) < self.paces[1]
        reset = (random.integers(0, 150, streams) == 0) & ~self.fast | (cycle < 2)
        out = self.simulator.run({
            "ap_rst_n": ~reset[:, None], f"{source}_TVALID": self.offered[:, None], f"{sink}_TREADY": ready[:, None],
            f"{source}_TDATA": self.given[(self.first + self.sent) % count],
        })  # fmt: skip
        running, valid = ~reset, out[f"{sink}_TVALID"][:, 0]
        word, due = out[f"{sink}_TDATA"], (self.first + self.left) % count
        checks = {
            "a result went away before it was taken": self.held & (~valid | (word != self.word).any(axis=1)),
            "a result without an input": valid & (self.left >= self.sent),
            "another result": valid & (word != self.expected[due]).any(axis=1),
            "more vectors inside than there is room for": self.sent - self.left > (self.design.latency_cycles or 0),
        }
        for what, wrong in checks.items():
            if (wrong & running).any():
                return Difference(what, tuple(self.vectors[due[np.argmax(wrong & running)]].tolist()))
        self.seen[due[valid & running]] = True
        self.held, self.word = valid & ~ready & running, word
        self.left = self.left + (valid & ready & running)
        accepted = self.offered & out[f"{source}_TREADY"][:, 0] & running
        self.sent = np.where(running, self.sent + accepted, self.left)
        self.offered &= ~accepted & running
        return None


def _bits(values: np.ndarray, size: int, beat: int) -> np.ndarray:
    """Return words (n, beat) of `values` (n, elements), each of `size` bits, the first one lowest."""
    bits = (values[:, :, None] >> np.arange(size) & 1).astype(bool).reshape(len(values), -1)
    return np.pad(bits, ((0, 0), (0, beat - bits.shape[1])))
