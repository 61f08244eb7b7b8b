# SPDX-License-Identifier: Apache-2.0
"""What simulations say of what is not proven, and of a netlist that is."""

from __future__ import annotations

import pytest

from qap2fpga.prove.certificate import FORMAT, NETLIST, Certificate, Claim, Word
from qap2fpga.prove.simulated import CORE, NOT_SIMULATED, Simulation, settled

CLAIMS = (
    Claim(claim="the memories hold the weights", word=Word.PROVEN, detail="3 memories"),
    Claim(claim=NETLIST, word=Word.PROVEN, detail="4 modules"),
    Claim(claim=CORE, word=Word.NOT_PROVEN, detail="fifo, mvu"),
)
RTL = (Simulation("RTL of top, one frame at a time", 9, 0), Simulation("RTL of top, full speed", 5, 0))
GATES = Simulation("netlist (xc7)", 256, 0)


def certificate(*claims: Claim) -> Certificate:
    return Certificate(format=FORMAT, files={}, versions={}, claims=claims)


@pytest.mark.parametrize(("simulations", "word", "detail"), [
    (RTL, Word.SIMULATED, "RTL in 2 schedules of 5 vectors or more: fifo, mvu"),
    ((*RTL, GATES), Word.SIMULATED, "RTL in 2 schedules of 5 vectors or more; netlist in 256 vectors: fifo, mvu"),
    ((RTL[0], Simulation("RTL of top, bursts", 9, 2)), Word.REFUTED, "RTL of top, bursts: 2 mismatches"),
    ((), Word.NOT_PROVEN, "not checked: nothing was simulated"),
])  # fmt: skip
def test_what_is_not_proven_is_what_was_simulated(simulations: tuple[Simulation, ...], word: Word, detail: str) -> None:
    done = settled(certificate(*CLAIMS), simulations).claims
    assert done[0] is CLAIMS[0] and (done[2].claim, done[2].word, done[2].detail) == (CORE, word, detail)


def test_a_netlist_that_is_proven_says_that_it_is_not_simulated() -> None:
    assert settled(certificate(CLAIMS[1]), RTL).claims[0].detail == f"4 modules; {NOT_SIMULATED}"
    assert settled(certificate(CLAIMS[1]), (GATES,)).claims == (CLAIMS[1],)
    left = Claim(claim=NETLIST, word=Word.NOT_PROVEN, detail="no time")
    assert settled(certificate(left), RTL).claims == (left,)
