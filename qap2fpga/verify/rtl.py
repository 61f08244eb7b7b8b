# SPDX-License-Identifier: Apache-2.0
"""RTL against the integer network: every vector, under several schedules of beats, bit for bit.

Latency is counted in cycles from the one in which the first input beat of a frame is taken to the one in
which its last output beat is taken, both included, with an empty pipeline and an output that is always
ready: a combinational design has latency 1. The initiation interval is the mean number of cycles between
the last output beats of frames that entered a full pipeline.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from qap2fpga.hw.beats import pack, unpack
from qap2fpga.hw.design import Design
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify import verilator
from qap2fpga.verify.compare import Mismatch, require_equal
from qap2fpga.verify.layers import Suspect
from qap2fpga.verify.verilator import Progress, Run, Schedule

FULL_SPEED, SINGLE = "full speed", "one frame at a time"
# One frame at a time and bursts take longer than the interval; about this many cycles of them are enough.
CYCLES = 1_000_000
# Fewer frames behind the filling of the pipeline than this do not make a steady state.
STEADY = 8


def schedules(design: Design) -> tuple[Schedule, ...]:
    """The schedules that `simulate` runs, the slowest first."""
    return (
        Schedule(SINGLE, single=True, seed=2),
        Schedule(FULL_SPEED, seed=1),
        Schedule("random gaps", in_go=128, out_go=128, shy=True, seed=3),
        Schedule("bursts", in_go=128, out_go=96, stretch=4 * max(16, design.interval_cycles), seed=4),
        Schedule("reset while busy", in_go=224, out_go=192, reset_after=3 * design.input.beats + 1, seed=5),
    )


def simulate(
    design: Design, vectors: np.ndarray, expected: np.ndarray, folder: Path, *, network: Graph | None = None,
    threads: int = 2, progress: Progress = lambda text: None,
) -> list[Simulation]:  # fmt: skip
    """Feed `vectors` (n, inputs) to the RTL of `design` and hold its outputs against `expected` (n, outputs).

    One `Simulation` a schedule: full speed (has the initiation interval), one frame at a time (has the
    latency), random gaps on both sides, bursts, and a reset in the middle of the work. Where the interval is
    long, the slow schedules take only the first vectors (64 at least). `threads` programs run at a time. The
    build in `folder` is used again when nothing changed. Raises `CheckFailed` (`Mismatch` for a wrong integer, which
    names the first wrong layer if the `network` is given and the design has probes) and `QapError` for a missing tool.
    """
    sources = [design.folder / name for name in design.sources]
    made = verilator.build(design, sources, folder, jobs=threads, progress=progress)
    suspect = Suspect(design, sources, network, folder / "layers", threads) if network else None
    return exercise(
        made, design, vectors, expected, folder, schedules(design), what="RTL", suspect=suspect, threads=threads,
        progress=progress,
    )  # fmt: skip


def exercise(
    made: Path, design: Design, vectors: np.ndarray, expected: np.ndarray, folder: Path,
    plan: Sequence[Schedule], *, what: str, threads: int, progress: Progress, suspect: Suspect | None = None,
) -> list[Simulation]:  # fmt: skip
    """Run every schedule of `plan` on the program `made`; one `Simulation` each, in the plan's order.

    A mismatch is looked into with `suspect`, when there is one.
    """
    if len(vectors) != len(expected) or not len(vectors):
        raise ValueError(f"{len(vectors)} vectors, {len(expected)} expected outputs")
    beats = folder / "input.beats"
    pack(vectors, design.input).tofile(beats)

    def one(schedule: Schedule) -> Simulation:
        frames = _frames(schedule, design, len(vectors))
        begin = time.monotonic()
        run = verilator.run(made, design, beats, frames, folder, schedule)
        rate = frames / max(time.monotonic() - begin, 1e-9)
        cycles = run.counters["cycles"]
        progress(f"{what}, {schedule.name}: {frames} vectors, {cycles} cycles, {rate:.0f} vectors/s")
        return judge(run, design, expected[:frames], what)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        running = [pool.submit(one, schedule) for schedule in plan]
    results = []
    for schedule, future in zip(plan, running, strict=True):
        try:
            results.append(future.result())
        except Mismatch as found:
            if suspect is None:
                raise
            frames = vectors[: _frames(schedule, design, len(vectors))]
            raise suspect.traced(found, frames, schedule, progress) from found
    return results


def _frames(schedule: Schedule, design: Design, vectors: int) -> int:
    if schedule.single or schedule.stretch > 1 or schedule.reset_after:
        per_frame = max(8 * design.interval_cycles, design.latency_cycles or 0)
        return min(vectors, max(64, CYCLES // per_frame))
    return vectors


def judge(run: Run, design: Design, expected: np.ndarray, what: str) -> Simulation:
    """Compare one run with `expected` (n, outputs). Raises `Mismatch`, or `CheckFailed` for padding."""
    schedule, counters = run.schedule, run.counters
    found, bad = unpack(run.beats, design.output)
    require_equal(f"{what} of {design.top}, {schedule.name}", found, expected)
    if bad is not None:
        vector = bad // design.output.beats
        raise CheckFailed(
            f"{what} of {design.top}, {schedule.name}: padding bits of vector {vector} are neither 0 nor the sign",
            f"the elements of {design.output.name} are {design.output.bits} bits; is that right?",
        )
    latency, interval, notes = None, None, []
    if schedule.name == SINGLE:
        latency = counters["latency_longest"]
        if counters["latency_shortest"] != latency:
            notes.append(f"latency {counters['latency_shortest']} to {latency} cycles")
    if schedule.name == FULL_SPEED:
        if counters.get("interval_frames", 0) >= STEADY:
            interval = float(Fraction(counters["interval_cycles"], counters["interval_frames"]))
        else:
            notes.append("too few vectors to measure the initiation interval")
    return Simulation(
        engine="verilator", version=verilator.version(), compared=f"{what} with the integer network, {schedule.name}",
        vectors=len(expected), mismatches=0, latency_cycles=latency, interval_cycles=interval, note="; ".join(notes),
    )  # fmt: skip


def measured(simulations: Sequence[Simulation]) -> tuple[int | None, float | None]:
    """(latency, initiation interval) in cycles among `simulations`, None where none measured it."""
    latency = next((one.latency_cycles for one in simulations if one.latency_cycles is not None), None)
    interval = next((one.interval_cycles for one in simulations if one.interval_cycles is not None), None)
    return latency, interval
