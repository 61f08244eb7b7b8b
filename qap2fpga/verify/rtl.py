# SPDX-License-Identifier: Apache-2.0
"""RTL against the integer network: every vector, under several schedules of beats, bit for bit.

Latency is counted in cycles from the one in which the first input beat of a frame is taken to the one in
which its last output beat is taken, both included, with an empty pipeline and an output that is always
ready: a combinational design has latency 1. The initiation interval is the mean number of cycles between
the last output beats of frames that entered a full pipeline.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from qap2fpga.hw.beats import pack, unpack
from qap2fpga.hw.design import Design
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify import verilator
from qap2fpga.verify.compare import Mismatch
from qap2fpga.verify.engine import Engine, Execution, Progress
from qap2fpga.verify.layers import Suspect
from qap2fpga.verify.verilator import Run, Schedule

FULL_SPEED, SINGLE = "full speed", "one frame at a time"
# One frame at a time and bursts take longer than the interval; about this many cycles of them are enough.
CYCLES = 1_000_000
# Fewer frames after the pipeline is full than this do not make a steady state.
STEADY = 8


def schedules(design: Design) -> tuple[Schedule, ...]:
    """The schedules that RTL runs under, the slowest first."""
    return (
        Schedule(SINGLE, single=True, seed=2),
        Schedule(FULL_SPEED, seed=1),
        Schedule("random gaps", in_go=128, out_go=128, shy=True, seed=3),
        Schedule("bursts", in_go=128, out_go=96, stretch=4 * max(16, design.interval_cycles), seed=4),
        Schedule("reset while busy", in_go=224, out_go=192, reset_after=3 * design.input.beats + 1, seed=5),
    )


class Verilated(Engine):
    """Verilog in Verilator, between the beats of its streams: one run per schedule of the plan.

    `design` is what the testbench sees; `folder` is the simulation's, and a build in it is used again when nothing
    changed. With the `network`, a mismatch is looked into. `threads` programs run at a time.
    """

    name = "verilator"
    what: ClassVar[str]
    options: ClassVar[Sequence[str]] = verilator.RANDOM_X
    optimize: ClassVar[str] = "-Og"

    def __init__(self, design: Design, folder: Path, *, network: Graph | None = None, threads: int = 2) -> None:
        self.design, self.folder, self.network, self.threads = design, folder, network, threads

    def version(self) -> str:
        """Return the tool's version."""
        return verilator.version()

    @abstractmethod
    def sources(self) -> list[Path]:
        """Return the Verilog files, in compile order."""

    @abstractmethod
    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules, the one that takes longest first."""

    def harness(self) -> str | None:
        """Return the testbench's harness; None: that of the design's own streams."""
        return None

    def frames(self, schedule: Schedule, vectors: int) -> int:
        """Return how many frames of the testbench `schedule` runs, of so many vectors."""
        return vectors

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the beats of all frames of `vectors`."""
        return pack(vectors, self.design.input)

    def decode(self, run: Run) -> tuple[np.ndarray, CheckFailed | None]:
        """Return the outputs (n, channels) that a run gave, and what else is wrong with its beats."""
        outputs, bad = unpack(run.beats, self.design.output)
        if bad is None:
            return outputs, None
        vector, port = bad // self.design.output.beats, self.design.output
        fault = CheckFailed(
            f"{self.title(run.schedule)}: padding bits of vector {vector} are neither 0 nor the sign",
            f"the elements of {port.name} are {port.bits} bits; is that right?",
        )
        return outputs, fault

    def title(self, schedule: Schedule) -> str:
        """Return what messages call a run."""
        return f"{self.what} of {self.design.top}, {schedule.name}"

    def run(self, vectors: np.ndarray, progress: Progress) -> Iterator[Execution]:
        """Run the artifact on `vectors` (n, inputs)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sources = self.sources()
        program = verilator.build(
            self.design, sources, self.folder, jobs=self.threads, options=self.options, optimize=self.optimize,
            harness=self.harness(), progress=progress,
        )  # fmt: skip
        beats = self.folder / "input.beats"
        self.encode(vectors).tofile(beats)

        def one(schedule: Schedule) -> Run:
            frames = self.frames(schedule, len(vectors))
            begin = time.monotonic()
            run = verilator.run(program, self.design, beats, frames, self.folder, schedule)
            rate = frames / max(time.monotonic() - begin, 1e-9)
            cycles = run.counters["cycles"]
            progress(f"{self.what}, {schedule.name}: {frames} frames, {cycles} cycles, {rate:.0f} frames/s")
            return run

        with ThreadPoolExecutor(max(1, self.threads)) as pool:
            running = [pool.submit(one, schedule) for schedule in self.plan()]
        yield from (self.execution(future.result()) for future in running)

    def execution(self, run: Run) -> Execution:
        """Return what a run came to."""
        outputs, fault = self.decode(run)
        latency, interval, notes = measured_cycles(run)
        compared = f"{self.what} with the integer network, {run.schedule.name}"
        locate = partial(self._locate, run.schedule)
        return Execution(
            self.title(run.schedule), compared, outputs, latency, interval, "; ".join(notes), fault=fault, locate=locate
        )

    def _locate(self, schedule: Schedule, mismatch: Mismatch, vectors: np.ndarray, progress: Progress) -> Mismatch:
        if self.network is None:
            return mismatch
        suspect = Suspect(
            self.design, self.sources(), self.network, self.folder / "layers", self.threads, self.options, self.optimize
        )
        return suspect.traced(mismatch, vectors, schedule, progress)


class Rtl(Verilated):
    """The generated Verilog of a design.

    Full speed has the initiation interval, one frame at a time the latency; then random gaps on both sides, bursts, and
    a reset in the middle of the work. Where the interval is long, the slow schedules take only the first vectors (64 at
    least).
    """

    what = "RTL"

    def sources(self) -> list[Path]:
        """Return the files to simulate, those of this engine written now."""
        return [self.design.folder / name for name in self.design.sources]

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        return schedules(self.design)

    def frames(self, schedule: Schedule, vectors: int) -> int:
        """Return how many frames are sent of so many vectors."""
        if schedule.single or schedule.stretch > 1 or schedule.reset_after:
            per_frame = max(8 * self.design.interval_cycles, self.design.latency_cycles or 0)
            return min(vectors, max(64, CYCLES // per_frame))
        return vectors


def measured_cycles(run: Run) -> tuple[int | None, float | None, list[str]]:
    """Return the latency and the interval that a run has measured, and notes on them."""
    latency, interval, notes = None, None, []
    if run.schedule.name == SINGLE:
        latency, shortest = run.counters["latency_longest"], run.counters["latency_shortest"]
        if shortest != latency:
            notes.append(f"latency {shortest} to {latency} cycles")
    if run.schedule.name == FULL_SPEED:
        if run.counters.get("interval_frames", 0) >= STEADY:
            interval = float(Fraction(run.counters["interval_cycles"], run.counters["interval_frames"]))
        else:
            notes.append("too few vectors to measure the initiation interval")
    return latency, interval, notes


def measured(simulations: Sequence[Simulation]) -> tuple[int | None, float | None]:
    """(latency, initiation interval) in cycles among `simulations`, None where none measured it."""
    latency = next((one.latency_cycles for one in simulations if one.latency_cycles is not None), None)
    interval = next((one.interval_cycles for one in simulations if one.interval_cycles is not None), None)
    return latency, interval
