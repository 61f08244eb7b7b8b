# SPDX-License-Identifier: Apache-2.0
"""Synthesis with Yosys: cells by type for the whole design and for each of its parts, and a netlist.

The design is read once; the instances of its top module (the layers of a stitched design) are mapped apart,
in processes side by side, and their cells added up. Optimization does not cross their borders; they are
streams between registers. DSP policy: `-nodsp`, only DSP cells that the source instantiates itself count.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from qap2fpga import tools
from qap2fpga.board import Board
from qap2fpga.design import Design, Measurement, Stage
from qap2fpga.errors import QapError
from qap2fpga.files import shipped, write_atomically
from qap2fpga.synth.cells import count, unknown

Progress = Callable[[str], None]
WORKER = Path(__file__).with_name("worker.py")
DSP_POLICY = "-nodsp"
TIME_LIMIT_S = 1800.0


@dataclass(frozen=True)
class Synthesis:
    """A mapped design. `cells` are counts by type for each part; '' is the top module's own logic.

    `netlist` are the Verilog files of all parts, the top last.
    """

    cells: dict[str, dict[str, int]]
    netlist: tuple[Path, ...]

    @property
    def total(self) -> dict[str, int]:
        """Cells by type of the whole design."""
        result: Counter[str] = Counter()
        for cells in self.cells.values():
            result.update(cells)
        return dict(sorted(result.items()))


def version() -> str:
    """Version of the installed pyosys. Raises `QapError` when it is not installed."""
    try:
        return metadata.version("pyosys")
    except metadata.PackageNotFoundError as error:
        raise QapError("pyosys is not installed", "pip install pyosys") from error


def library(name: str) -> Path:
    """A file of Yosys' own Xilinx libraries, as `cells_sim.v`."""
    version()
    spec = util.find_spec("pyosys")
    path = Path(spec.origin).parent / "share" / "xilinx" / name if spec and spec.origin else Path(name)
    if not path.is_file():
        raise QapError(f"the installed pyosys has no share/xilinx/{name}", "pip install pyosys==0.70")
    return path


def synthesize(
    design: Design, board: Board, folder: Path, *, time_limit_s: float = TIME_LIMIT_S, threads: int = 2,
    progress: Progress = lambda text: None,
) -> Measurement:  # fmt: skip
    """Map `design` to the cells of the board's family and count them.

    `Resources` as `cells.count` defines them; `parts` by the instances of the top module. Raises `QapError`
    when Yosys is missing, fails, or takes more than `time_limit_s`.
    """
    done = map_design(design, board, folder, time_limit_s=time_limit_s, threads=threads, progress=progress)
    return measurement(done)


def measurement(done: Synthesis) -> Measurement:
    """The numbers of a mapped design."""
    strange = unknown(done.total)
    notes = ["DSPs are those the source instantiates, none is inferred"]
    if strange:
        notes.append("not counted: " + ", ".join(f"{number} {kind}" for kind, number in strange.items()))
    parts = {name: count(cells) for name, cells in done.cells.items() if name and len(done.cells) > 1}
    return Measurement("yosys", version(), Stage.SYNTHESIS, count(done.total), parts, "; ".join(notes))


def map_design(
    design: Design, board: Board, folder: Path, *, time_limit_s: float = TIME_LIMIT_S, threads: int = 2,
    progress: Progress = lambda text: None,
) -> Synthesis:  # fmt: skip
    """Map `design`. See `synthesize`."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + time_limit_s
    begin = time.monotonic()
    plan = _elaborate(design, folder, deadline)
    progress(f"read {design.top} with Yosys {version()}: {len(plan['parts'])} parts, {time.monotonic() - begin:.1f} s")
    done = _map(design, board, folder, plan["parts"], deadline, threads)
    progress(f"mapped {design.top} to {board.family} cells in {time.monotonic() - begin:.1f} s")
    return done


def _elaborate(design: Design, folder: Path, deadline: float) -> dict[str, Any]:
    """Read the sources, in the design's folder because they name memory files relative to it."""
    sources = [(design.folder / name).resolve() for name in design.sources]
    boxes = shipped("flows") / "open" / "blackboxes.v"
    job = {
        "verb": "elaborate", "top": design.top, "sources": [str(path) for path in (*sources, boxes.resolve())],
        "rtlil": str((folder / "elaborated.il").resolve()),
    }  # fmt: skip
    plan: dict[str, Any] = _work(job, "elaborate", folder, design.folder, deadline)
    return plan


def _map(
    design: Design,
    board: Board,
    folder: Path,
    parts: Mapping[str, tuple[str, float]],
    deadline: float,
    threads: int,
) -> Synthesis:
    """Map the `parts` (instance to module and cost) in one process a thread, and in the first the top's own logic."""
    modules = {name: parts[name][0] for name in sorted(parts)}
    files = {module: f"{slug(name)}.v" for name, module in modules.items()}
    files[design.top] = f"{slug(design.top)}_top.v"
    every = set(modules.values())
    jobs = []
    # Each process costs two seconds for reading Yosys' own libraries.
    for index, group in enumerate(_balance({name: cost for name, (_, cost) in parts.items()}, threads) or [[]]):
        keep = sorted({modules[name] for name in group})
        job = {
            "verb": "synthesize",
            "name": f"map{index}",
            "top": design.top,
            "keep": keep,
            "boxes": sorted(every - set(keep)),
            "rtlil": str((folder / "elaborated.il").resolve()),
            "family": board.family,
            "options": [DSP_POLICY],
            "glue": index == 0,
            "files": files,
            "folder": str(folder.resolve()),
        }
        jobs.append(job)

    def one(job: dict[str, Any]) -> dict[str, dict[str, int]]:
        cells: dict[str, dict[str, int]] = _work(job, job["name"], folder, folder, deadline)["cells"]
        return cells

    found: dict[str, dict[str, int]] = {}
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for result in pool.map(one, jobs):
            found.update(result)
    cells = {name: found[module] for name, module in modules.items()}
    # The parts themselves are cells of the top; they are no logic.
    cells[""] = {kind: number for kind, number in found[design.top].items() if kind not in every}
    order = [folder / files[module] for module in dict.fromkeys([*modules.values(), design.top])]
    return Synthesis(cells, tuple(order))


def _balance(costs: Mapping[str, float], groups: int) -> list[list[str]]:
    """Parts in at most `groups` groups of about equal cost, the most expensive group first."""
    result: list[tuple[float, list[str]]] = [(0.0, []) for _ in range(min(max(1, groups), len(costs)))]
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        index = min(range(len(result)), key=lambda index: result[index][0])
        result[index] = (result[index][0] + costs[name], [*result[index][1], name])
    return [names for _, names in sorted(result, key=lambda pair: -pair[0])]


def _work(job: dict[str, Any], name: str, log_folder: Path, folder: Path, deadline: float) -> Any:
    """Run one job in a process and return its result."""
    version()
    result = (log_folder / f"{name}.result.json").resolve()
    result.unlink(missing_ok=True)
    job_file = (log_folder / f"{name}.job.json").resolve()
    write_atomically(job_file, json.dumps({**job, "result": str(result)}))
    log = (log_folder / f"{name}.log").resolve()
    left = deadline - time.monotonic()
    if left <= 0:
        raise QapError("Yosys took more than its time limit", "raise the limit, or give the design less parallelism")
    try:
        # -P keeps this package's own folder off the worker's import path.
        tools.run([sys.executable, "-P", WORKER, job_file], log=log, folder=folder, time_limit_s=left)
    except QapError as error:
        raise QapError(f"Yosys ({name} of {job['top']}): {error.what}", error.cure) from error
    return json.loads(result.read_text())


def slug(name: str) -> str:
    """A file name for a part or a module."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)
