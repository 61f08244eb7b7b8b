# SPDX-License-Identifier: Apache-2.0
"""What was proven of a build, of which files, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from qap2fpga.system.codec import Record

FORMAT = 1
# What is claimed of every kind of design.
NETLIST = "the netlist is the Verilog"
COMMON = (
    "the models of cells in qap2fpga/prove/cells.py, selections.py, primitives.py, blocks.py and block_rams.py",
    "ABC's answer 'equivalent'",
    "qap2fpga/prove, Python and numpy",
)
TRUSTED = (
    "Yosys' readers of Verilog, its flattening, and its memories as registers",
    *COMMON,
    "the ports' description: where an input's or output's bits lie, and that inputs lie in the quantizer's range",
)


class Word(StrEnum):
    """What is known of a part: proven for all inputs, equal on the vectors of the build, shown to be wrong, or none."""

    PROVEN = "proven"
    SIMULATED = "simulated"
    NOT_PROVEN = "not proven"
    REFUTED = "refuted"


@dataclass(frozen=True, kw_only=True)
class Claim(Record):
    """One thing to prove: what it says, what came of it, and details: how, or why not."""

    claim: str
    word: Word
    detail: str


@dataclass(frozen=True, kw_only=True)
class Certificate(Record):
    """Everything that was proven; `files` are digests of what was read, by name."""

    format: int
    files: Mapping[str, str]
    versions: Mapping[str, str]
    claims: tuple[Claim, ...]
    trusted: tuple[str, ...] = TRUSTED

    @property
    def proven(self) -> bool:
        """Whether every claim is proven."""
        return bool(self.claims) and all(one.word is Word.PROVEN for one in self.claims)

    @property
    def netlist(self) -> Claim | None:
        """What is known of the netlist; None: nothing was tried."""
        return next((one for one in self.claims if one.claim == NETLIST), None)

    @property
    def left(self) -> tuple[Claim, ...]:
        """The claims that were to be proven and are not."""
        return tuple(one for one in self.claims if one.word not in (Word.PROVEN, Word.SIMULATED))
