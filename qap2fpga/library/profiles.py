# SPDX-License-Identifier: Apache-2.0
"""The integers of a model file's nodes, over its own examples or given data: how they fill their ranges."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from qap2fpga.ir import spread
from qap2fpga.ir.spread import Spread
from qap2fpga.library.table import Items, Table, of_dicts
from qap2fpga.report import show
from qap2fpga.system.codec import Record
from qap2fpga.system.progress import Progress

if TYPE_CHECKING:
    from qap2fpga.frontend.source import Source

# What every record has.
RECORD = {one.name for one in fields(Record)}


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Items[Spread]):
    """How the integers of a network's nodes are spread over the ranges that they may have; a sequence of `Spread`.

    Attributes:
        vectors: over how many rows of inputs.
        of: of which kind these are: 'given'.
        spreads: of each node in order: its weights, and what leaves it.
        notes: what saturates, what hardly moves, and levels that are never used.
    """

    vectors: int
    of: str
    spreads: tuple[Spread, ...]
    notes: tuple[str, ...]

    @property
    def items(self) -> tuple[Spread, ...]:
        """Return the spreads."""
        return self.spreads

    @property
    def heading(self) -> str:
        """Return the profile in one line."""
        nodes = len({one.node for one in self.spreads})
        notes = show.several(len(self.notes), "note") if self.notes else "nothing is odd"
        return f"{show.several(nodes, 'node')} over {show.several(self.vectors, f'{self.of} vector')}, {notes}"

    @property
    def table(self) -> Table:
        """One row per spread; what is odd stands above."""
        names = [one.name for one in fields(Spread) if one.name not in RECORD]
        rows = [{name: getattr(one, name) for name in names} | {"node": one.node.removesuffix("/")} for one in self]
        return of_dicts(rows, "; ".join(self.notes))


def profile_of(record: spread.Profile) -> Profile:
    """Return `record` as it is shown in a notebook."""
    return Profile(record.vectors, record.of, record.spreads, record.notes)


def of_source(source: Source, *, quiet: bool) -> spread.Profile:
    """Return the profile of `source`; where it is compared with floats, its notes say where their rounding differs."""
    from qap2fpga.frontend.prepare import prepare
    from qap2fpga.ir.profile import profile

    with Progress(quiet=quiet) as progress, progress.stage(f"read {source.path.name}") as say:
        prepared = prepare(source, say)
        say("counting integers")
        recorded = len(prepared.recorded) > 0
        vectors, of = (prepared.recorded, "recorded") if recorded else (prepared.random, "random")
        result = profile(prepared.lowered, vectors, of)
    ties = (
        f"{one.engine}: {one.rounding_ties:,} values are one level off the integers, each a rounding tie"
        for one in prepared.simulations
        if one.rounding_ties
    )
    return replace(result, notes=(*result.notes, *ties))
