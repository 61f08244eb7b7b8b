# SPDX-License-Identifier: Apache-2.0
"""FINN's CNV with weights of 2 bits: planned, generated, simulated, synthesised, and what each took of this machine.

    python -m benchmarks.cnv FOLDER [--board zcu104] [--fps 3000] [--frames 8] [--until synthesize]
        [--page docs/large-networks.md]

Weights and thresholds are drawn, so accuracy is not spoken of. Each step runs in a process of its own, whose time and
memory are measured, and leaves what it found in FOLDER: a step that has ended is not done again, nor is a module that
was mapped. Modules that are the same are mapped once and counted as often as they stand in the design. `--page` writes
what is there as a page.
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
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tiny import SEED, cnv
from qap2fpga import backends
from qap2fpga.backends.api import Backend, Options
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
MODULE_LIMIT_S = 4 * 3600.0


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
    """Map each module of the design once, and return the cells of all."""
    design, family = case.design(), boards.load(case.board).family
    place = case.folder / "yosys"
    place.mkdir(exist_ok=True)
    rtlil = (place / "elaborated.il").resolve()
    parts = _cached(place / "parts.json", lambda: _elaborated(design, place, rtlil))
    modules = Counter(part["module"] for part in parts.values())
    costs = {part["module"]: part["cost"] for part in parts.values()}
    total: Counter[str] = Counter()
    mapped = {}
    for number, module in enumerate(sorted([*modules, design.top], key=lambda one: costs.get(one, 0))):
        glue = module == design.top
        job = Synthesize(
            top=design.top, keep=() if glue else (module,), boxes=tuple(sorted(set(modules) - {module})),
            rtlil=str(rtlil), family=family, options=(yosys.DSP_POLICY,), glue=glue,
            files={module: f"{yosys.slug(module)[:60]}_{number}.v"}, statistics=str((place / "stat.json").resolve()),
            folder=str(place.resolve()),
        )  # fmt: skip
        one = _cached(place / f"{number}.cells.json", lambda job=job, module=module: _mapped(job, module, place))
        times = modules.get(module, 1)
        cells = {kind: amount for kind, amount in one["cells"].items() if kind not in modules}
        total.update({kind: amount * times for kind, amount in cells.items()})
        mapped[module] = {"times": times, "seconds": one["seconds"], **asdict(count(cells))}
        say(f"{module}: {times} times, {one['seconds']} s, {mapped[module]['lut']:.0f} LUTs")
    return {"total": asdict(count(dict(total))), "parts": len(parts), "modules": mapped}


def _elaborated(design: Design, place: Path, rtlil: Path) -> Result:
    boxes = shipped("flows") / "open" / "blackboxes.v"
    sources = tuple(str((design.folder / name).resolve()) for name in design.sources)
    job = Elaborate(top=design.top, sources=(*sources, str(boxes.resolve())), rtlil=str(rtlil))
    answer = ask(
        yosys.WORKER, job, Parts, name="elaborate", what="elaborate", logs=place, place=place, folder=design.folder,
        limit_s=MODULE_LIMIT_S,
    )  # fmt: skip
    return {name: {"module": part.module, "cost": part.cost} for name, part in answer.parts.items()}


def _mapped(job: Synthesize, module: str, place: Path) -> Result:
    begin = time.monotonic()
    cells = ask(
        yosys.WORKER, job, Cells, name="map", what=module, logs=place, place=place, limit_s=MODULE_LIMIT_S
    ).cells  # fmt: skip
    return {"cells": dict(cells[module]), "seconds": round(time.monotonic() - begin)}


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
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    users = sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    took = {"seconds": round(time.monotonic() - begin), "cpu_seconds": round(users), "memory_gb": kilobytes / 1e6}
    write_atomically(case.folder / f"{step}.json", json.dumps({**result, "took": took}, indent=1))


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
    board, modules = boards.load(case.board), mapped["modules"]
    slowest = max(modules, key=lambda name: modules[name]["seconds"])
    depths = sorted(planned["fifos"].values())
    text = f"""# A large network

FINN's CNV by the finn backend: six convolutions and three dense layers over 32x32x3, {planned["weights"]:,} weights of
{BITS} bits, for {board.title} at {case.fps:,g} frames per second and more. Weights and thresholds are drawn, so nothing
is said of accuracy. Made by

    python -m benchmarks.cnv FOLDER --board {case.board} --fps {case.fps:g} --frames {case.frames} --page PAGE.md

which goes on where it was interrupted.

- **Exact:** {simulated["frames"]} random frames at full speed, and {LONE} one at a time, equal the integer network on
  every bit in Verilator.
- **FIFOs:** {len(depths)}, of {depths[0]} to {depths[-1]} beats, from runs of the handshakes of all blocks before
  anything is generated.
- **Synthesis:** {mapped["parts"]} parts, mapped by Yosys one after the other. {_same(modules)} The slowest took
  {modules[slowest]["seconds"]:,} seconds. Nothing was placed.

| | predicted | measured | of the board |
| --- | ---: | ---: | ---: |
"""
    rows = [
        *(_row(name.upper(), planned["total"].get(name), mapped["total"].get(name), board.available(name))
          for name in NAMES),
        *(_row(f"{name}, cycles", planned[f"{name}_cycles"], simulated[f"{name}_cycles"])
          for name in ("interval", "latency")),
        "",
        "Memory is that of a step's largest process. The machine had two cores, which others used as well.",
        "",
        "| step | processor seconds | seconds | memory |",
        "| --- | ---: | ---: | ---: |",
        *(_took(step, result["took"]) for step, result in results.items()),
        "",
    ]  # fmt: skip
    return text + "\n".join(rows)


def _same(modules: Mapping[str, Result]) -> str:
    """Which modules were mapped once and counted several times."""
    times = Counter(one["times"] for one in modules.values() if one["times"] > 1)
    if not times:
        return "No two are the same module, so each was mapped, and counted once."
    several = ", ".join(f"{number} modules {often} times" for often, number in sorted(times.items()))
    return f"What is the same module was mapped once and counted as often as it stands there: {several}."


def _row(name: str, predicted: float | None, measured: float | None, available: float | None = None) -> str:
    part = "" if available is None else f"{(measured or 0) / available:.0%}"
    return f"| {name} | {predicted or 0:,.0f} | {'not measured' if measured is None else f'{measured:,.0f}'} | {part} |"


def _took(step: str, took: Result) -> str:
    return f"| {step} | {took['cpu_seconds']:,} | {took['seconds']:,} | {took['memory_gb']:.1f} GB |"


if __name__ == "__main__":
    main()
