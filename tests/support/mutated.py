# SPDX-License-Identifier: Apache-2.0
"""Designs with single faults, and whether they behave: what the benchmark of the proofs plants and simulates."""

from __future__ import annotations

from typing import Any

from benchmarks.behaviour import all_vectors, difference
from benchmarks.faults import faulty
from benchmarks.proof_networks import subject
from qap2fpga.prove.run import Subject

__all__ = ["behaves", "faulty", "subject"]


def behaves(content: dict[str, Any], subject: Subject, seed: int) -> bool:
    """Return whether the simulated design gives the network's outputs for all inputs, under gaps, stalls and resets."""
    design, network = subject.design, subject.network
    return difference(content, design, network, all_vectors(network), seed) is None
