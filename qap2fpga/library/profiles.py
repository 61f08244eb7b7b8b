# SPDX-License-Identifier: Apache-2.0
"""The integers of a model file's nodes, over its own examples or given data: how they fill their ranges."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qap2fpga.ir.spread import Profile
from qap2fpga.system.progress import Progress

if TYPE_CHECKING:
    from qap2fpga.frontend.readings import Source


def of_source(source: Source, *, quiet: bool) -> Profile:
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
