# SPDX-License-Identifier: Apache-2.0
"""What the simulations of a build say of what is not proven."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qap2fpga.prove.certificate import NETLIST, Certificate, Claim, Word

CORE = "all other modules and the streams between them compute the network's integers"
NOT_SIMULATED = "it is not simulated, since it is proven"


@dataclass(frozen=True)
class Simulation:
    """A simulation of the build: what was compared, on how many vectors, and how many of them differed."""

    compared: str
    vectors: int
    mismatches: int

    @property
    def of(self) -> str:
        """RTL or netlist."""
        return self.compared.split()[0]


def settled(certificate: Certificate, simulations: Sequence[Simulation]) -> Certificate:
    """Return `certificate` with what `simulations` say of the modules that nothing is proven of."""
    netlist = any(one.of == "netlist" for one in simulations)
    claims = []
    for one in certificate.claims:
        if one.claim == CORE:
            claims.append(_simulated(one.detail, simulations))
        elif one.claim == NETLIST and one.word is Word.PROVEN and not netlist:
            claims.append(replace(one, detail=f"{one.detail}; {NOT_SIMULATED}"))
        else:
            claims.append(one)
    return replace(certificate, claims=tuple(claims))


def _simulated(modules: str, simulations: Sequence[Simulation]) -> Claim:
    differ = [one for one in simulations if one.mismatches]
    if differ:
        word, detail = Word.REFUTED, f"{differ[0].compared}: {differ[0].mismatches} mismatches"
    elif simulations:
        word, detail = Word.SIMULATED, f"{'; '.join(_vectors(simulations))}: {modules}"
    else:
        word, detail = Word.NOT_PROVEN, "not checked: nothing was simulated"
    return Claim(claim=CORE, word=word, detail=detail)


def _vectors(simulations: Sequence[Simulation]) -> Iterator[str]:
    """Yield on how many vectors each of RTL and netlist was simulated, and how often."""
    counts: dict[str, list[int]] = {}
    for one in simulations:
        counts.setdefault(one.of, []).append(one.vectors)
    for what, vectors in counts.items():
        times = f"{len(vectors)} schedules of " if len(vectors) > 1 else ""
        yield f"{what} in {times}{min(vectors):,} vectors{' or more' if len(set(vectors)) > 1 else ''}"
