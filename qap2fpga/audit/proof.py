# SPDX-License-Identifier: Apache-2.0
"""Somebody else's hardware proven to be the network, for every input, where its shape allows."""

from __future__ import annotations

from pathlib import Path

from qap2fpga.audit.ports import Lanes, Ports
from qap2fpga.ir.graph import Graph
from qap2fpga.prove import foreign
from qap2fpga.prove.attempts import attempt
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.certificate import Claim
from qap2fpga.prove.reading import flattened
from qap2fpga.prove.walk import Number
from qap2fpga.system.errors import QapError
from qap2fpga.verify.engine import Progress

CLAIM = "the Verilog computes the network's integers"
# A proof of 12,000 LUTs takes ten seconds.
LIMIT_S = 900.0


def prove(
    ports: Ports, sources: list[Path], sides: tuple[Lanes, Lanes], network: Graph, kind: str, place: Path,
    progress: Progress,
) -> Claim:  # fmt: skip
    """Return what comes of the proof; logs go to `place`.

    `sides` are the values at the input and output of `ports`, `kind` of outputs as in `ir.outputs`.
    """
    place.mkdir(parents=True, exist_ok=True)

    def work() -> str:
        if ports.latency is None:
            raise NotProven("it has a handshake; what is proven has a fixed latency, and takes a frame at each cycle")
        described = foreign.Ports(
            ports.input.port, _numbers(sides[0]), ports.output.port, _numbers(sides[1]), ports.latency,
            ports.clock, ports.reset, int(ports.reset_active == "low"),
        )  # fmt: skip
        try:
            module = flattened(sources, ports.top, place)
            return foreign.prove(module, described, network, kind, place, LIMIT_S, progress)
        except QapError as error:
            # What Yosys cannot read, and integers that are too wide.
            raise NotProven(error.message) from error

    done = attempt(CLAIM, work)
    progress(str(done))
    return done.claim


def _numbers(side: Lanes) -> tuple[Number, ...]:
    each = zip(side.bits, side.signed, side.exponents, strict=True)
    return tuple(Number(bits, signed, exponent) for bits, signed, exponent in each)
