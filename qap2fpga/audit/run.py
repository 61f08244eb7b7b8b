# SPDX-License-Identifier: Apache-2.0
"""Somebody else's hardware, compared with the integer network: in Verilator, under the schedules of our own, and proven
for every input where its shape allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.audit import design as designs
from qap2fpga.audit import ports as described
from qap2fpga.audit import proof
from qap2fpga.exact.integers import shifted
from qap2fpga.hw.design import Design
from qap2fpga.ir import outputs
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.prove.certificate import Claim, Word
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify.compare import Mismatch
from qap2fpga.verify.engine import Progress
from qap2fpga.verify.rtl import Rtl
from qap2fpga.verify.verilator import Schedule

# So many inputs are all tried, whatever they are.
MOST_INPUTS = 1 << 16


@dataclass(frozen=True)
class Audit:
    """What came of each schedule, and of the proof; None: none was tried.

    `every`: the vectors are all inputs that there are.
    """

    design: Design
    simulations: tuple[Simulation, ...]
    every: bool
    proof: Claim | None = None

    @property
    def proven(self) -> bool:
        """Whether the hardware is proven to compute the network's integers for every input."""
        return self.proof is not None and self.proof.word is Word.PROVEN


def audit(
    network: Graph, vectors: np.ndarray, kind: str, folder: Path, ports: Path, place: Path, progress: Progress,
    *, prove: bool = False,
) -> Audit:  # fmt: skip
    """Compare the Verilog in `folder` with `network`, and return what was compared; files are written to `place`.

    `vectors` (n, inputs) are input integers; where there are few inputs, all of them are taken instead. `kind` of
    outputs as in `ir.outputs`. Where `prove`, a proof for every input is tried. Raises `QapError` for ports that do not
    fit, `Mismatch` for a wrong integer, and `CheckFailed` with an input that refutes the proof.
    """
    its = described.load(ports)
    sources = described.sources(its, folder)
    every = _every(network)
    vectors = vectors if every is None else every
    expected = outputs.outputs(network, kind, vectors)
    shape = network.source.size
    sides = (
        described.lanes(its.input, network.inputs, "input"), described.lanes(its.output, expected.shape[1], "output"),
    )  # fmt: skip
    described.require_fit(sides[0], network.node_ranges[network.source.name], shape.positions)
    progress(f"reading {len(sources)} files with Yosys")
    elements = (network.inputs, expected.shape[1])
    given = described.given(sides[0], network.node_ranges[network.source.name], shape.positions)
    design = designs.of_verilog(its, sources, sides, given, elements, place)
    # Values of several units come out in the smallest of them.
    unit = -min(0, *sides[1].exponents)
    engine = _Theirs(design, place / "simulate", resets=bool(its.reset) or its.latency is not None)
    try:
        simulations = engine.simulate(vectors, shifted(expected, unit, "the expected outputs"), progress)
    except Mismatch as mismatch:
        hint = "is the latency right, and the order of the values?" if its.latency else "is the order of values right?"
        raise Mismatch(mismatch.message, mismatch.comparison, hint) from mismatch
    claim = proof.prove(its, sources, sides, network, kind, place / "prove", progress) if prove else None
    if claim is not None and claim.word is Word.REFUTED:
        raise CheckFailed(f"Verilog of {its.top}: {claim.detail}", "the vectors that were simulated do not show it")
    return Audit(design, tuple(simulations), every is not None, claim)


class _Theirs(Rtl):
    """Messages and the report call it by what it is. Without `resets` it cannot keep the schedule with one."""

    what = "Verilog"

    def __init__(self, design: Design, folder: Path, *, resets: bool) -> None:
        super().__init__(design, folder, threads=1)
        self.resets = resets

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        return tuple(one for one in super().plan() if self.resets or not one.reset_after)


def _every(network: Graph) -> np.ndarray | None:
    """Return all input vectors, if they are few."""
    values = network.node_ranges[network.source.name]
    count = 1
    for low, high in values.ends * network.source.size.positions:
        count *= high - low + 1
        if count > MOST_INPUTS:
            return None
    each = (range(low, high + 1) for low, high in values.ends * network.source.size.positions)
    return np.array(list(itertools.product(*each)), np.int64)


def lines(audit: Audit) -> Iterator[str]:
    """Yield what was compared, a schedule a line, and what it says."""
    for one in audit.simulations:
        notes = f"; {one.note}" if one.note else ""
        yield f"{one.engine} {one.version}: {one.compared}: {one.mismatches} mismatches in {one.vectors} vectors{notes}"
    vectors = max(one.vectors for one in audit.simulations)
    of_all = "all inputs that there are; " if audit.every else ""
    yield f"simulated: {vectors} vectors; {of_all}stalls and resets only as the schedules have them"
    if audit.proof is not None and audit.proven:
        yield f"proven: {audit.proof.claim}, for every input: {audit.proof.detail}"
        return
    why = "no proof was asked for" if audit.proof is None else f"not proven: {audit.proof.detail}"
    yield f"not checked: {'a frame after any others' if audit.every else 'all other inputs'}; {why}"
