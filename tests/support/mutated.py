# SPDX-License-Identifier: Apache-2.0
"""Designs with single faults, and whether they behave: what the benchmark of the proofs plants and simulates."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from benchmarks.behaviour import all_vectors, difference
from benchmarks.faults import faulty
from benchmarks.proof_networks import subject
from qap2fpga.prove.run import Subject

__all__ = ["behaves", "damaged", "faulty", "subject"]


def behaves(content: dict[str, Any], subject: Subject, seed: int) -> bool:
    """Return whether the simulated design gives the network's outputs for all inputs, under gaps, stalls and resets."""
    design, network = subject.design, subject.network
    return difference(content, design, network, all_vectors(network), seed) is None


def damaged(content: dict[str, Any], seed: int) -> tuple[str, dict[str, Any]]:
    """Return what is gone from modules that Yosys has read, drawn by `seed`, and what is left of them.

    A module, a cell, a pin or a port, or one bit of these last two; or a port has the other direction.
    """
    random, left = np.random.default_rng(seed), copy.deepcopy(content)

    def one_of(named: dict[str, Any]) -> str:
        return str(random.choice(sorted(named)))

    modules = left["modules"]
    name = one_of({name: one for name, one in modules.items() if one["cells"]})
    module = modules[name]
    cell = one_of(module["cells"])
    pins, ports = module["cells"][cell]["connections"], module["ports"]
    pin, port = one_of(pins), one_of(ports)
    match random.choice(["module", "cell", "pin", "pin's bit", "port", "port's bit", "direction"]):
        case "module":
            del modules[name]
        case "cell":
            del module["cells"][cell]
        case "pin":
            del pins[pin]
        case "pin's bit":
            pins[pin] = pins[pin][:-1]
        case "port":
            del ports[port]
        case "port's bit":
            ports[port]["bits"] = ports[port]["bits"][:-1]
        case _:
            ports[port]["direction"] = "output" if ports[port]["direction"] == "input" else "input"
    return f"{name}, {cell}, {pin}, {port}", left
