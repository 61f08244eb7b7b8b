# SPDX-License-Identifier: Apache-2.0
"""Small designs with frames of several positions, and single faults in their Verilog, all read by one Yosys."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.outputs import outputs
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove.reading import WORKER, OneReading, Read, Reading, ReadVerilog
from qap2fpga.prove.run import Subject
from qap2fpga.synth.jobs import ask
from tests.support.mutated import STREAMS, Content, Simulator
from tests.support.streams import PAD1, Nodes

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
    storage.save(network, place / "network.npz")
    nothing = np.zeros((0, network.inputs), np.int64)
    options = RtlOptions(clock=4.0, output_kind=kind)
    design = backends.get("rtl").generate(network, boards.load("pynq-z2"), place / "rtl", options, nothing)
    return Subject(design, network, place / "network.npz", ())


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
        simulator = Simulator(content, design.top)
    except ValueError:
        return False
    frames = random.integers(network.input.low, network.input.high + 1, (STREAMS, network.inputs))
    results = outputs(network, design.output_kind, frames)
    words = [_packed(rows, stream.lanes, stream.bits) for rows, stream in ((frames, source), (results, sink))]
    # How many words of its frame, again and again, each stream has sent, and how many results it has seen.
    sent, seen, held = np.zeros(STREAMS, int), np.zeros(STREAMS, int), [-1] * STREAMS
    offered, paces = np.zeros(STREAMS, bool), random.integers(1, 10, (2, STREAMS))
    for cycle in range(cycles):
        offered |= random.integers(0, 10, STREAMS) < paces[0]
        ready = random.integers(0, 10, STREAMS) < paces[1]
        reset = np.full(STREAMS, cycle < 2) | (random.integers(0, 300, STREAMS) == 0)
        data = [words[0][stream][sent[stream] % source.beats] for stream in range(STREAMS)]
        out = simulator.cycle({"ap_rst_n": 1 - reset, f"{source.name}_TVALID": offered,
                               f"{sink.name}_TREADY": ready, f"{source.name}_TDATA": data})  # fmt: skip
        for stream in range(STREAMS):
            if reset[stream]:
                sent[stream], seen[stream], held[stream] = 0, 0, -1
                continue
            valid, word = (int(out[f"{sink.name}_{port}"][stream]) for port in ("TVALID", "TDATA"))
            if (held[stream] >= 0 and (not valid or word != held[stream])) or (
                valid and word != words[1][stream][seen[stream] % sink.beats]
            ):
                return False
            held[stream] = word if valid and not ready[stream] else -1
            seen[stream] += valid and ready[stream]
            if offered[stream] and out[f"{source.name}_TREADY"][stream]:
                sent[stream] += 1
                offered[stream] = False
            late = sent[stream] // source.beats - seen[stream] // sink.beats
            if late < 0 or late > 1 + (design.latency_cycles or 0) // source.beats:
                return False
    if seen.max() < 2 * sink.beats:
        raise AssertionError("no two frames came out")
    return True


def _packed(rows: np.ndarray, lanes: int, bits: int) -> list[list[int]]:
    """Return the words of every frame."""
    return [[sum((int(value) & (1 << bits) - 1) << at * bits for at, value in enumerate(beat))
             for beat in row.reshape(-1, lanes)] for row in rows]  # fmt: skip
