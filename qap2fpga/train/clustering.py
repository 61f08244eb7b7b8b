# SPDX-License-Identifier: Apache-2.0
"""From the particles of one event to the features of one jet: clustered, cut on, groomed."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.train.features import FloatArray, jet_features

if TYPE_CHECKING:
    from fastjet import PseudoJet
    from pythia8mc import Event

RADIUS = 0.8
PARTICLE_ETA = 4.0
JET_ETA = 1.5
JET_PT = (920.0, 1080.0)
Z_CUT = 0.1
# A Cambridge/Aachen radius beyond any distance within a jet: one tree of all its constituents.
TREE_RADIUS = 10.0


@dataclass(frozen=True)
class Jet:
    """A jet that passed the cuts: its 16 features, and its constituents (n, 3): pT in GeV, rapidity, azimuth."""

    features: FloatArray
    constituents: FloatArray


def one_jet(fastjet: ModuleType, event: Event, which: int) -> Jet | None:
    """Return the hardest (`which` 0) or second (1) jet of an event, None if it fails the cuts."""
    particles = [
        fastjet.PseudoJet(p.px(), p.py(), p.pz(), p.e())
        for p in (event[i] for i in range(event.size()))
        if p.isFinal() and p.isVisible() and abs(p.eta()) < PARTICLE_ETA
    ]
    # A PseudoJet asks its ClusterSequence for everything: the sequence must live as long.
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    jets = fastjet.sorted_by_pt(sequence.inclusive_jets(JET_PT[0] / 2))
    if len(jets) <= which or not JET_PT[0] < jets[which].pt() < JET_PT[1] or abs(jets[which].eta()) > JET_ETA:
        return None
    members = list(jets[which].constituents())
    groomed, mass = groom(fastjet, members)
    constituents = _coordinates(members)
    return Jet(jet_features(constituents, groomed, mass), constituents)


def groom(fastjet: ModuleType, members: list[PseudoJet]) -> tuple[FloatArray, float]:
    """Apply the modified mass drop: what is left of the `members` (n, 3), and its mass in GeV.

    The Cambridge/Aachen tree is undone from the top; where the softer of two branches carries less than
    `Z_CUT` of their pT it is dropped, else the grooming ends (Dasgupta et al. 2013, section 7).
    """
    tree = fastjet.ClusterSequence(members, fastjet.JetDefinition(fastjet.cambridge_algorithm, TREE_RADIUS))
    jet = fastjet.sorted_by_pt(tree.inclusive_jets())[0]
    harder, softer = fastjet.PseudoJet(), fastjet.PseudoJet()
    while jet.has_parents(harder, softer):
        if harder.pt() < softer.pt():
            harder, softer = softer, harder
        if softer.pt() > Z_CUT * (harder.pt() + softer.pt()):
            break
        jet, harder, softer = harder, fastjet.PseudoJet(), fastjet.PseudoJet()
    return _coordinates(list(jet.constituents())), float(jet.m())


def _coordinates(particles: list[PseudoJet]) -> FloatArray:
    return np.array([(p.pt(), p.rap(), p.phi()) for p in particles])
