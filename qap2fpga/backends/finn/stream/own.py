# SPDX-License-Identifier: Apache-2.0
"""Blocks of our own, modules of flows/finn: what FINN has no RTL for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.output_stage import Module
from qap2fpga.backends.finn.stream import models
from qap2fpga.backends.finn.stream.blocks import Attributes, Block, Kind
from qap2fpga.backends.finn.stream.library import BLOCK_RAM_DEPTH
from qap2fpga.backends.finn.verilog import packed_number
from qap2fpga.exact.integers import width


@dataclass(frozen=True, kw_only=True)
class Own(Block):
    """A module in flows/finn."""

    library = False

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return {"lanes": self.taken.lanes, "shape": list(self.given.shape)}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {
            "PE": self.taken.lanes, "IN_BITS": self.taken.kind.bits, "IN_SIGNED": int(self.taken.kind.signed),
            "OUT_BITS": self.given.kind.bits,
        }  # fmt: skip

    def contents(self) -> Mapping[str, tuple[Sequence[int], int]]:
        """Return the words of each memory that it reads from a file, by parameter, and the bits of a word."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Extend(Own):
    """The same values in more bits, `offset` added: wires where that is 0."""

    op = "qap_extend"
    offset: int = 0

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.turns((1,))

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return super().attributes() | {"offset": self.offset}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {**super().parameters(), "OFFSET": self.offset}


@dataclass(frozen=True, kw_only=True)
class Flip(Own):
    """The bits of `value` turned in every lane: wires. FMPadding pads with 0, which is `value` between two of these."""

    op = "qap_flip"
    value: int

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.turns((1,))

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return super().attributes() | {"mask": self.value}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        bits = self.taken.kind.bits
        code = self.value & ((1 << bits) - 1)
        return {"PE": self.taken.lanes, "BITS": bits, "MASK": code}


@dataclass(frozen=True, kw_only=True)
class Largest(Own):
    """The largest of `taps` beats, per lane."""

    op = "qap_pool"
    taps: int

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.pipeline(1, self.taps)

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return super().attributes() | {"taps": self.taps}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {
            "PE": self.taken.lanes, "TAPS": self.taps, "BITS": self.taken.kind.bits,
            "SIGNED": int(self.taken.kind.signed),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighted(Own):
    """Sums of products of each channel's taps with its own weights (taps, channels)."""

    op = "qap_dw"
    weights: np.ndarray
    weight_bits: int
    density: float  # the part of the weights that is not zero

    @property
    def taps(self) -> int:
        """Beats per result."""
        return len(self.weights)

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.pipeline(2, self.taps)

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return super().attributes() | {"taps": self.taps}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {"TAPS": self.taps, "WEIGHT_BITS": self.weight_bits, **super().parameters()}

    def constants(self) -> dict[str, tuple[np.ndarray, Kind]]:
        """Return the weights."""
        return {"weights": (self.weights, Kind(self.weight_bits, True))}

    def words(self) -> list[int]:
        """Return the memory of weights: for each fold of the channels a word per tap, `lanes` weights each."""
        lanes = self.taken.lanes
        parts = np.split(self.weights, self.weights.shape[1] // lanes, axis=1)
        return [packed_number(row.tolist(), self.weight_bits) for part in parts for row in part]


@dataclass(frozen=True, kw_only=True)
class Fork(Own):
    """A stream with several readers."""

    op = "qap_fork"
    ways: int

    @property
    def targets(self) -> tuple[str, ...]:
        """The edges that it gives its results to."""
        return tuple(f"{self.name}_{way}" for way in range(self.ways))

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.fork()

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {"WIDTH": self.taken.bus, "WAYS": self.ways}


@dataclass(frozen=True, kw_only=True)
class Add(Own):
    """A sum of the sources, each times its factor."""

    op = "qap_sum"
    factors: tuple[int, ...]

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.pipeline(1)

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return super().attributes() | {"factors": list(self.factors)}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        bits = width(min(*self.factors, -1), max(*self.factors, 1))
        return {
            "SOURCES": len(self.factors), "FACTOR_BITS": bits, "FACTORS": packed_number(self.factors, bits),
            **super().parameters(),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Join(Own):
    """The channels of all sources, `parts` of them, one after the other."""

    op = "qap_concat"
    parts: tuple[int, ...]

    @property
    def cycles(self) -> int:
        """Cycles per frame."""
        return self.given.beats

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.turns(tuple(part // self.given.lanes for part in self.parts))

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        beats = [part // self.given.lanes for part in self.parts]
        return {
            "WIDTH": self.given.bus, "SOURCES": len(beats), "COUNT_BITS": width(0, max(beats)),
            "BEATS": packed_number(beats, width(0, max(beats))),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Again(Own):
    """Every row `rows` times and every position of it `columns` times."""

    op = "qap_repeat"
    rows: int
    columns: int

    @property
    def memory(self) -> int:
        """Beats of two rows."""
        return 2 * self.taken.fold * self.taken.shape[1]

    @property
    def in_block_ram(self) -> bool:
        """Whether its memory is block RAM."""
        return self.memory >= BLOCK_RAM_DEPTH

    def model(self) -> models.Model:
        """Return what it does with beats."""
        fold, width_ = self.taken.fold, self.taken.shape[1]
        row = [
            column * fold + part
            for column in range(width_)
            for _ in range(self.columns)
            for part in range(fold)
        ]  # fmt: skip
        return models.repeated(width_ * fold, row * self.rows)

    def attributes(self) -> Attributes:
        """Return what our node needs to be executed."""
        return super().attributes() | {"rows": self.rows, "columns": self.columns}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {
            "WIDTH": self.taken.bus, "COLUMNS": self.taken.shape[1], "FOLD": self.taken.fold,
            "ROW_TIMES": self.rows, "COLUMN_TIMES": self.columns, "BLOCK": int(self.in_block_ram),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class End(Own):
    """A module of the output stage."""

    stage: Module

    @property
    def cycles(self) -> int:
        """Cycles per frame."""
        return self.taken.beats


@dataclass(frozen=True, kw_only=True)
class Scores(End):
    """Logits, or the levels of the last step function."""

    op = "qap_logits"

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.pipeline(self.stage.latency)


@dataclass(frozen=True, kw_only=True)
class Class(End):
    """The number of the largest element."""

    op = "qap_class"

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.choice(self.taken.beats)


ENDS: dict[str, type[End]] = {cls.op: cls for cls in (Scores, Class)}
