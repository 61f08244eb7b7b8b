# SPDX-License-Identifier: Apache-2.0
"""FINN's CNV with weights of 2 bits: planned, generated, simulated, synthesised, and what each took of this machine.

    python -m benchmarks.cnv FOLDER [--board zcu104] [--fps 3000] [--frames 8] [--until synthesize]
        [--page docs/large-networks.md]

Weights and thresholds are drawn, so accuracy is not spoken of. Each step runs in a process of its own, whose time and
memory are measured, and leaves what it found in FOLDER: a step that has ended is not done again, nor are parts mapped
again. `--page` writes what is there as a page.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tiny import SEED, cnv
from qap2fpga import backends
from qap2fpga.backends.api import Backend, Options
from qap2fpga.backends.finn.estimate import known
from qap2fpga.build import stored
from qap2fpga.estimate.images import Numbers
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir import outputs
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.synth import yosys
from qap2fpga.synth.cells import count
from qap2fpga.synth.jobs import Cells, Elaborate, Parts, Synthesize, ask
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify import rtl
from qap2fpga.verify.engine import Execution
from qap2fpga.verify.verilator import Run, Schedule

Result = dict[str, Any]
# Weights are -1, 0 and 1, of each about as many; what enters the network has 8 bits.
BITS = 2
# Frames that are sent one at a time, which takes as long as four times as many at full speed; that FINN's graph is
# executed on.
LONE, EXECUTED = 3, 2
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
LIMIT_S = 4 * 3600.0


@dataclass(frozen=True)
class Case:
    """One design: the network for `board` at `fps` frames per second, simulated on `frames` frames."""

    folder: Path
    board: str
    fps: float
    frames: int

    def graph(self) -> Graph:
        """Draw the network."""
        return compact(cnv(np.random.default_rng(SEED), Numbers(8, BITS, BITS, density=2 / 3)))

    @property
    def finn(self) -> Backend[Any]:
        """The backend."""
        return backends.get("finn")

    @property
    def options(self) -> Options:
        """Its options."""
        return self.finn.make_options(target_fps=self.fps)

    def result(self, step: str) -> Result | None:
        """Return what `step` has left."""
        path = self.folder / f"{step}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def design(self) -> Design:
        """Return what was generated."""
        return stored.design({"backend": "finn", **(self.result("generate") or {})}, self.folder)


class Simulated(rtl.Rtl):
    """At full speed and one frame at a time: schedules with pauses take several times as long."""

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        return tuple(one for one in rtl.schedules(self.design) if one.name in (rtl.SINGLE, rtl.FULL_SPEED))

    def frames(self, schedule: Schedule, vectors: int) -> int:
        """Return how many frames are sent of so many vectors."""
        return min(vectors, LONE) if schedule.single else vectors

    def execution(self, run: Run) -> Execution:
        """Return what a run came to, with its interval over fewer frames than are asked for elsewhere."""
        result, frames = super().execution(run), run.counters.get("interval_frames", 0)
        if run.schedule.name != rtl.FULL_SPEED or not frames:
            return result
        return replace(result, interval_cycles=run.counters["interval_cycles"] / frames)


def say(line: str) -> None:
    """Print a line at once: runs take long."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def plan(case: Case) -> Result:
    """Return what the backend expects."""
    graph = case.graph()
    expected = case.finn.expect(graph, boards.load(case.board), case.options)
    depths = {node.name: node.depth for node in expected.nodes if getattr(node, "depth", None)}
    return {
        "weights": sum(node.weights.size for node in graph.weighted), "total": expected.total, "fifos": depths,
        "interval_cycles": expected.interval_cycles, "latency_cycles": expected.latency_cycles,
    }  # fmt: skip


def generate(case: Case) -> Result:
    """Generate the design."""
    graph = case.graph()
    board, vectors = boards.load(case.board), random_vectors(graph, EXECUTED, SEED)
    design = case.finn.generate(graph, board, case.folder / "design", case.options, vectors, say).circuit
    assert design is not None  # it is Verilog
    return {"design": stored.fields(design, case.folder)}


def simulate(case: Case) -> Result:
    """Compare the design with the network on every frame, and return the cycles that were measured."""
    graph, design = case.graph(), case.design()
    vectors = random_vectors(graph, case.frames, SEED)
    expected = outputs.outputs(graph, design.output_kind, vectors)
    runs = Simulated(design, case.folder / "rtl", network=graph).simulate(vectors, expected, say)
    latency, interval = rtl.measured(runs)
    frames = [run.vectors for run in runs if not run.mismatches]
    return {"frames": min(frames), "runs": len(frames), "interval_cycles": interval, "latency_cycles": latency}


def synthesize(case: Case) -> Result:
    """Map the parts of the design, group by group, and return the cells of all."""
    design, place = case.design(), (case.folder / "yosys").resolve()
    place.mkdir(exist_ok=True)
    costs: dict[str, int] = _cached(place / "parts.json", partial(_elaborated, design, place))
    groups = []
    for number, group in enumerate(_groups(costs)):
        one = _group(case, place, costs, number, group)
        luts = sum(known(count(cells).lut) for cells in one["cells"].values())
        say(f"{len(group)} parts, {one['took']}: {luts:,} LUTs in {', '.join(group)}")
        groups.append(one)
    total: Counter[str] = Counter()
    for cells in (cells for one in groups for cells in one["cells"].values()):
        # The parts themselves are cells of the top; they are no logic.
        total.update({kind: number for kind, number in cells.items() if kind not in costs})
    took = {key: sum(one["took"][key] for one in groups) for key in ("seconds", "cpu_seconds")}
    took["memory_gb"] = max(one["took"]["memory_gb"] for one in groups)
    return {"total": asdict(count(total)), "parts": len(costs), "processes": len(groups), "took": took}


def _group(case: Case, place: Path, costs: Mapping[str, int], number: int, group: list[str]) -> Result:
    """The cells of a group of parts; the first one also has those of the top itself."""
    design = case.design()
    job = Synthesize(
        top=design.top, keep=tuple(group), boxes=tuple(sorted(set(costs) - set(group))),
        rtlil=str(place / "elaborated.il"), family=boards.load(case.board).family, options=(yosys.DSP_POLICY,),
        glue=number == 0, files={name: f"part{number}_{at}.v" for at, name in enumerate([*group, design.top])},
        statistics=str(place / f"stat{number}.json"), folder=str(place),
    )  # fmt: skip
    return _cached(place / f"group{number}.json", partial(_mapped, job, f"map{number}", place))


def _groups(costs: Mapping[str, int]) -> list[list[str]]:
    """Parts that share a process, which reads Yosys' own libraries first: small ones; a large one has its own."""
    groups: list[list[str]] = []
    spent = yosys.ALONE
    for module in sorted(costs, key=lambda module: (costs[module], module)):
        if spent + costs[module] > yosys.ALONE:
            groups.append([])
            spent = 0
        groups[-1].append(module)
        spent += costs[module]
    return groups


def _elaborated(design: Design, place: Path) -> Result:
    boxes = shipped("flows") / "open" / "blackboxes.v"
    sources = tuple(str((design.folder / name).resolve()) for name in design.sources)
    job = Elaborate(top=design.top, sources=(*sources, str(boxes.resolve())), rtlil=str(place / "elaborated.il"))
    answer = ask(
        yosys.WORKER, job, Parts, name="elaborate", what="elaborate", logs=place, place=place, folder=design.folder,
        limit_s=LIMIT_S,
    )  # fmt: skip
    return {part.module: part.cost for part in answer.parts.values()}


def _mapped(job: Synthesize, name: str, place: Path) -> Result:
    begin, before = time.monotonic(), _used(resource.RUSAGE_CHILDREN)
    cells = ask(
        yosys.WORKER, job, Cells, name=name, what=", ".join(job.keep), logs=place, place=place, limit_s=LIMIT_S
    ).cells  # fmt: skip
    return {"cells": dict(cells), "took": _took(begin, _used(resource.RUSAGE_CHILDREN) - before)}


def _took(begin: float, spent: float) -> Result:
    """Seconds since `begin`, of which `spent` of the processor, and the memory of the largest process until now."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in WHO)
    return {"seconds": round(time.monotonic() - begin), "cpu_seconds": round(spent), "memory_gb": kilobytes / 1e6}


def _used(who: int) -> float:
    """Processor seconds."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _cached(path: Path, work: Callable[[], Result]) -> Result:
    """What `path` holds; what `work` returns is written there."""
    if not path.is_file():
        write_atomically(path, json.dumps(work()))
    return json.loads(path.read_text())


STEPS: Mapping[str, Callable[[Case], Result]] = {
    "plan": plan, "generate": generate, "simulate": simulate, "synthesize": synthesize
}  # fmt: skip


def alone(step: str, case: Case) -> None:
    """Do `step` and leave its result, with its time and the memory of its largest process."""
    begin = time.monotonic()
    result = STEPS[step](case)
    took = _took(begin, sum(map(_used, WHO)))
    # What went on from an earlier run says itself what both took.
    result["took"] = took | result.get("took", {})
    write_atomically(case.folder / f"{step}.json", json.dumps(result, indent=1))


def main() -> None:
    """Do the steps that are missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--fps", type=float, default=3000)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--until", choices=STEPS, default="synthesize")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    case = Case(asked.folder, asked.board, asked.fps, asked.frames)
    for step in list(STEPS)[: list(STEPS).index(asked.until) + 1]:
        if case.result(step) is None:
            process = get_context("spawn").Process(target=alone, args=(step, case))
            process.start()
            process.join()
        result = case.result(step)
        if result is None:
            raise QapError(f"step {step} left nothing", "its error is above; start it again to go on from there")
        say(f"{step}: {json.dumps(result['took'])}")
    if asked.page:
        write_atomically(asked.page, page(case))


def page(case: Case) -> str:
    """Return what was measured as a page."""
    results = {step: case.result(step) or {} for step in STEPS}
    planned, simulated, mapped = results["plan"], results["simulate"], results["synthesize"]
    board = boards.load(case.board)
    depths = sorted(planned["fifos"].values())
    text = f"""# A large network

FINN's CNV by the finn backend: six convolutions and three dense layers over 32x32x3, {planned["weights"]:,} weights of
{BITS} bits, for {board.title} at {case.fps:,g} frames per second and more. Weights and thresholds are drawn, so
nothing is said of accuracy. Made by

    python -m benchmarks.cnv FOLDER --board {case.board} --fps {case.fps:g} --frames {case.frames} --page PAGE.md

which goes on where it was interrupted.

- **Exact:** {simulated["frames"]} random frames and more, at full speed and one at a time, equal the integer network on
  every bit in Verilator.
- **FIFOs:** {len(depths)}, of {depths[0]} to {depths[-1]} beats, from runs of the handshakes of all blocks before
  anything is generated.
- **Synthesis:** all {mapped["parts"]} parts were mapped by Yosys, in {mapped["processes"]} processes. None was counted
  more than once, none was left out. Nothing was placed.

| | predicted | measured | of the board |
| --- | ---: | ---: | ---: |
"""
    rows = [
        *(_row(name.upper(), planned["total"].get(name), mapped["total"].get(name), board.available(name))
          for name in NAMES),
        *(_row(f"{name}, cycles", planned[f"{name}_cycles"], simulated[f"{name}_cycles"])
          for name in ("interval", "latency")),
        "",
        "Memory is that of a step's largest process. The machine had two cores, which others used as well; seconds are",
        "the sum over the processes of a step.",
        "",
        "| step | processor seconds | seconds | memory |",
        "| --- | ---: | ---: | ---: |",
        *(_step(step, result["took"]) for step, result in results.items()),
        "",
    ]  # fmt: skip
    return text + "\n".join(rows)


def _row(name: str, predicted: float | None, measured: float | None, available: float | None = None) -> str:
    part = "" if available is None else f"{(measured or 0) / available:.0%}"
    return f"| {name} | {predicted or 0:,.0f} | {'not measured' if measured is None else f'{measured:,.0f}'} | {part} |"


def _step(step: str, took: Result) -> str:
    return f"| {step} | {took['cpu_seconds']:,} | {took['seconds']:,} | {took['memory_gb']:.1f} GB |"


if __name__ == "__main__":
    main()
