# SPDX-License-Identifier: Apache-2.0
"""Sparse units by themselves: random matrices, and the design that is nothing but one of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from qap2fpga.backends.finn.sources import Sources
from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.stream import schedule
from qap2fpga.backends.finn.stream.blocks import Kind, Stream
from qap2fpga.backends.finn.stream.draw import INPUT, Drawn
from qap2fpga.backends.finn.stream.schedule import Cycles
from qap2fpga.backends.finn.stream.sparse import Sparse
from qap2fpga.backends.finn.stream.wiring import Wiring
from qap2fpga.backends.finn.verilog import TOP
from qap2fpga.exact.integers import width
from qap2fpga.hw.design import Design
from qap2fpga.hw.design import Stream as Port


@dataclass(frozen=True)
class Unit:
    """A sparse unit, its design and the cycles expected of it."""

    block: Sparse
    design: Design
    cycles: Cycles

    def vectors(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return input vectors, the extreme ones first, and what must come out."""
        kind = self.block.taken.kind
        inputs = np.random.default_rng(5).integers(kind.low, kind.high + 1, (count, len(self.block.matrix.weights)))
        inputs[0], inputs[1] = kind.low, kind.high
        return inputs, inputs @ self.block.matrix.weights


class Deep(Sparse):
    """A unit whose memories are block RAM, as deep ones are."""

    program_in_block_ram = banks_in_block_ram = True

    @classmethod
    def of(cls, block: Sparse) -> Sparse:
        """Return `block` with such memories."""
        return cls(**{field.name: getattr(block, field.name) for field in fields(block)})


def sparse_matrix(inputs: int, outputs: int, density: float, bits: int, *, seed: int = 0) -> np.ndarray:
    """Return random weights of which the part `density` is not 0, of at least one; the extreme ones are among them."""
    random = np.random.default_rng(seed)
    high = (1 << bits - 1) - 1
    values = random.integers(1, high + 1, (inputs, outputs)) * random.choice([-1, 1], (inputs, outputs))
    there = random.random((inputs, outputs)) < density
    there[random.integers(inputs), random.integers(outputs)] = True
    rows, columns = np.nonzero(there)
    values[rows[0], columns[0]], values[rows[-1], columns[-1]] = high, -high
    return np.where(there, values, 0)


def block_of(weights: np.ndarray, fold: Fold, queue: int, kind: Kind) -> Sparse:
    """Return the block of a matrix that values of `kind` come to."""
    inputs, outputs = weights.shape
    weight_bits = max(2, int(np.abs(weights).max()).bit_length() + 1)
    ends = np.stack([weights * kind.low, weights * kind.high, np.zeros_like(weights)])
    low, high = int(ends.min(axis=0).sum(axis=0).min()), int(ends.max(axis=0).sum(axis=0).max())
    bits = max(width(min(low, -1), high), weight_bits + kind.bits - kind.signed)
    return Sparse(
        name="end", node="fc", sources=(INPUT,), taken=Stream((1, 1, inputs), fold.simd, kind),
        given=Stream((1, 1, outputs), fold.pe, Kind(bits, True)), matrix=Matrix("fc", weights, weight_bits),
        banks=fold.banks, queue=queue, cross=fold.cross,
    )  # fmt: skip


def unit(folder: Path, block: Sparse) -> Unit:
    """Write a design of one block to `folder`."""
    drawn = Drawn((block,), block.taken, block.name)
    sources = Sources(folder / "rtl")
    Wiring(drawn, sources, lambda one: folder).write()
    cycles = schedule.cycles(drawn)
    ports = [
        Port(name, one.channels, one.lanes, one.kind.bits, one.kind.signed)
        for name, one in (("in0", block.taken), ("out0", block.given))
    ]
    design = Design(
        "finn", sources.folder, TOP, tuple(sources.verilog), tuple(sources.data), *ports, cycles.interval,
        latency_cycles=cycles.latency,
    )  # fmt: skip
    return Unit(block, design, cycles)
