# SPDX-License-Identifier: Apache-2.0
"""Small designs with frames of several positions, and single faults in their Verilog, all read by one Yosys."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import proof_networks
from benchmarks.simulated import Content, NoSimulation, Simulator
from qap2fpga.hw.design import Stream
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.outputs import outputs
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove.reading import WORKER, OneReading, Read, Reading, ReadVerilog
from qap2fpga.prove.run import Subject
from qap2fpga.synth.jobs import ask
from tests.support.streams import PAD1, Nodes

STREAMS = 64
# In which file, what, and what instead.
Fault = tuple[str, str, str]


def convolution(pad: int = 0) -> Graph:
    """Return one convolution of 4x4 positions with pads, and thresholds."""
    nodes = Nodes(Shape(1, 4, 4), 0, 3, seed=3)
    nodes.linear("conv", INPUT, 1, 2, Geometry((3, 3), pads=PAD1, pad=pad))
    nodes.function("act", "conv", Step(np.array([[-3, 0, 2], [-1, 1, 4]])))
    return nodes.graph()


def subject(network: Graph, place: Path, kind: str = "values") -> Subject:
    """Return the design of the rtl backend for `network`, not synthesised."""
    return proof_networks.subject(network, place, kind=kind, mapped=False)


def readings(subject: Subject, place: Path, faults: Mapping[str, Fault | None]) -> dict[str, Reading]:
    """Return what Yosys reads of the design with each fault, or without one."""
    jobs = {}
    for number, (name, fault) in enumerate(faults.items()):
        folder = place / f"fault{number}"
        shutil.copytree(subject.design.folder, folder)
        if fault is not None:
            file, what, instead = fault
            text, count = re.subn(what, instead, (folder / file).read_text(), count=1)
            assert count == 1, name
            (folder / file).write_text(text)
        sources = tuple(str((folder / file).resolve()) for file in subject.design.sources)
        jobs[name] = OneReading(sources=sources, flat=True, result=str(place / f"{number}.json"))
    job = ReadVerilog(top=subject.design.top, readings=tuple(jobs.values()))
    ask(WORKER, job, Read, name="read", what="reading", logs=place, place=place, limit_s=300)
    return {name: Reading({"flat": json.loads(Path(one.result).read_text())}, subject.design.top)
            for name, one in jobs.items()}  # fmt: skip


def behaves(content: Content, subject: Subject, seed: int, cycles: int = 400) -> bool:
    """Return whether simulated frames, drawn, give the network's results under gaps, stalls and resets."""
    design, network = subject.design, subject.network
    source, sink, random = design.input, design.output, np.random.default_rng(seed)
    try:
        simulator = Simulator(content, design.top, STREAMS, random)
    except NoSimulation:
        return False
    frames = random.integers(network.input.low, network.input.high + 1, (STREAMS, network.inputs))
    results = outputs(network, design.output_kind, frames)
    given, expected = _words(frames, source), _words(results, sink)
    # How many words of its frame, again and again, each stream has sent, and how many results it has seen.
    every = np.arange(STREAMS)
    sent, seen = np.zeros(STREAMS, int), np.zeros(STREAMS, int)
    offered, held, word = np.zeros(STREAMS, bool), np.zeros(STREAMS, bool), expected[:, 0]
    paces = random.integers(1, 10, (2, STREAMS))
    for cycle in range(cycles):
        offered |= random.integers(0, 10, STREAMS) < paces[0]
        ready = random.integers(0, 10, STREAMS) < paces[1]
        running = (random.integers(0, 300, STREAMS) > 0) & (cycle >= 2)
        out = simulator.run({
            "ap_rst_n": running[:, None], f"{source.name}_TVALID": offered[:, None],
            f"{sink.name}_TREADY": ready[:, None], f"{source.name}_TDATA": given[every, sent % source.beats],
        })  # fmt: skip
        valid, now = out[f"{sink.name}_TVALID"][:, 0], out[f"{sink.name}_TDATA"]
        wrong = held & (~valid | (now != word).any(axis=1))
        wrong |= valid & (now != expected[every, seen % sink.beats]).any(axis=1)
        held, word = valid & ~ready & running, now
        seen = np.where(running, seen + (valid & ready), 0)
        sent = np.where(running, sent + (offered & out[f"{source.name}_TREADY"][:, 0]), 0)
        offered &= ~out[f"{source.name}_TREADY"][:, 0] & running
        late = sent // source.beats - seen // sink.beats
        wrong |= (late < 0) | (late > 1 + (design.latency_cycles or 0) // source.beats)
        if (wrong & running).any():
            return False
    if seen.max() < 2 * sink.beats:
        raise AssertionError("no two frames came out")
    return True


def _words(rows: np.ndarray, stream: Stream) -> np.ndarray:
    """Return the bits (frames, beats, bits) of every frame."""
    bits = (rows[:, :, None] >> np.arange(stream.bits) & 1).astype(bool).reshape(len(rows), stream.beats, -1)
    return np.pad(bits, ((0, 0), (0, 0), (0, stream.beat_bits - bits.shape[2])))
