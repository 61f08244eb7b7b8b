# SPDX-License-Identifier: Apache-2.0
"""All parts of a design, in an order in which each comes after those that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qap2fpga.backends.rtl.dataflow.mac import Mac
from qap2fpga.backends.rtl.dataflow.parts import Compute, Delay, Flow, Join, Part, Skip, Source
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.hw.design import Probe

# What connects parts and streams, beside the modules of the parts.
FRAMES = "qap_frames.sv"


@dataclass(frozen=True, eq=False)
class Dataflow:
    """`parts`, the first of which is the `Source`; `output` is what leaves. `owners` are the graph's nodes that parts
    are of; `shows` the nodes whose results leave datapaths, and whether they are counts of thresholds.
    """

    parts: tuple[Part, ...]
    output: Flow
    owners: dict[Part, str]
    shows: dict[str, tuple[Compute | Mac, bool]]

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules that are written for this network alone: its datapaths, and the weights of serial layers."""
        return tuple(module for part in self.parts for module in part.modules)

    @property
    def input(self) -> Flow:
        """What comes in."""
        return self.parts[0].out

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next at full speed."""
        return self.input.timing.period

    @property
    def latency(self) -> int:
        """Cycles from a frame's first position to its last result, both included."""
        return self.output.timing.last + 1

    @cached_property
    def flush(self) -> int:
        """Positions that must follow a frame until all of it has passed by everywhere."""
        return max(part.out.timing.flush for part in self.parts)

    @cached_property
    def drain(self) -> int:
        """Cycles after these positions until what came of them has left."""
        return max(part.drain(self.flush) for part in self.parts)

    @cached_property
    def read(self) -> frozenset[Flow]:
        """The flows whose bits beside the data something depends on."""
        read = {self.output}
        for part in reversed(self.parts):
            match part:
                case Compute() | Delay():
                    read |= {part.operand} if part.out in read else set()
                case Join():
                    read |= {part.joined[0]} if part.out in read else set()
                case Skip():
                    read |= {part.operand, part.leader}
                case _:
                    read |= set(part.operands)
        return frozenset(read)

    @property
    def is_chain(self) -> bool:
        """Whether frames are one position that passes through one datapath after the other."""
        return self.interval == 1 and all(isinstance(part, Source | Compute) for part in self.parts)

    @property
    def files(self) -> tuple[str, ...]:
        """The modules in `flows/rtl` that it is made of."""
        return () if self.is_chain else tuple(sorted({FRAMES, *(name for part in self.parts for name in part.files)}))

    def evaluate(self, frames: np.ndarray) -> np.ndarray:
        """Return the output integers (n, elements) of input integers (n, elements), as the hardware computes them."""
        results: dict[Flow, np.ndarray] = {}
        for part in self.parts:
            operands = [results[flow] for flow in part.operands] or [self.input.shape.tensor(frames)]
            results[part.out] = part.evaluate(operands)
        return results[self.output].reshape(len(frames), -1)

    def probes(self) -> tuple[Probe, ...]:
        """Return one probe per node whose result leaves a datapath, in the order of the data."""
        return tuple(self._probe(node, compute, counts) for node, (compute, counts) in self.shows.items())

    def _probe(self, node: str, compute: Compute | Mac, counts: bool) -> Probe:
        if isinstance(compute, Mac):
            name, sums = compute.instance, ((compute.sum_bits, True),) * len(compute.out.lanes)
            beats = compute.out.shape.positions
            return Probe(node, f"{name}.y", sums, beats, f"{name}.out_valid", f"{name}.move", counts=counts)
        lanes = tuple((wire.bits, wire.signed) for wire in compute.module.netlist.outputs)
        signal = f"{compute.instance}.y"
        if self.is_chain:
            return Probe(node, signal, lanes, cycles=compute.out.timing.last, counts=counts)
        beside, beats = compute.beside, compute.out.shape.positions
        return Probe(
            node, signal, lanes, beats=beats, valid=f"{beside}.out_valid", ready=f"{beside}.move", counts=counts
        )  # fmt: skip
