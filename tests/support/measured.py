# SPDX-License-Identifier: Apache-2.0
"""Lines of a calibration campaign, and what is fitted to them."""

from __future__ import annotations

import numpy as np

from qap2fpga.estimate import fit
from qap2fpga.hw.design import NodeEstimate


def lines(count: int = 120, noise: float = 0.0, factor: float = 1.1) -> list[dict]:
    """Designs of two kinds of nodes that take `factor` and twice their estimates."""
    results = []
    for number in range(count):
        random = np.random.default_rng(number)
        a, b = (int(value) for value in random.integers(100, 3000, 2))
        lut = round((factor * a + 2 * b) * float(np.exp(random.normal(0, noise))))
        nonzeros = int(random.integers(20, 2000))
        results.append({
            "seed": number, "recipe": {"kind": ("layer", "network", "jet")[number % 3]},
            "network": [{"inputs": 16, "outputs": 8, "nonzeros": nonzeros, "weight_bits": 4, "input_bits": 4,
                         "accumulator_bits": 10}],
            "nodes": nodes(a, b),
            "parts": {"u_a": {"lut": round(lut * factor * a / (factor * a + 2 * b)), "ff": a}},
            "measured": {"lut": lut, "ff": a + b, "dsp": 3, "bram18": 0},
            "predicted": {"lut": a + b, "dsp": 3, "bram18": 0, "latency_cycles": 5, "interval_cycles": 1},
            "simulated": {"latency_cycles": 5, "interval_cycles": 1.0} if number % 5 == 0 else None,
        })  # fmt: skip
    return results


def nodes(a: int, b: int) -> list[NodeEstimate]:
    """Two nodes; synthesis reports the first as a part, the second is what is outside of it."""
    return [node(kind, some) for kind, some in (("a", a), ("b", b))]


def node(kind: str, some: int) -> NodeEstimate:
    features = {name: {kind: some} for name in ("lut", "ff")}
    return NodeEstimate(name=kind, layer="", estimate={}, features=features)


def fitted(**changes) -> tuple[dict, list]:
    return fit.fit("rtl", lines(**changes), ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
