# SPDX-License-Identifier: Apache-2.0
"""Synthesis with Yosys: cells by type for the whole design and for each of its parts, and a netlist.

The design is read once; the instances of its top module (the layers of a stitched design) are mapped apart,
in processes side by side, each with a time limit, and their cells added up. Optimization does not cross their
borders; they are streams between registers. DSP policy: `-nodsp`, only DSP cells that the source instantiates itself
count. For 7 series the longest path of cells can be found too; what routing adds to it is not known.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib import metadata, util
from pathlib import Path

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design, Measurement, Stage
from qap2fpga.synth.cells import count, unknown
from qap2fpga.synth.jobs import RTLIL, Cells, Elaborate, FindPath, FoundPath, Part, Parts, Synthesize, ask
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import scratch, sha256, shipped

Progress = Callable[[str], None]
WORKER = Path(__file__).with_name("worker.py")
DSP_POLICY = "-nodsp"
TIME_LIMIT_S = 1800.0
# Parts that cost more than this (the worker's measure; some five seconds) have a process of their own. Others share
# one, since each process takes a second or two to read Yosys' own libraries.
ALONE = 50_000
# `sta` takes a few seconds, but where logic is many levels deep it visits cells again and again.
PATH_LIMIT_S = 300.0


@dataclass(frozen=True)
class LongestPath:
    """Delays of cells alone from register to register, in ns; routing is not in it. Named by nets at both ends.

    `ns` is None where none was found; `why` says why not.
    """

    ns: float | None
    begin: str = ""
    end: str = ""
    why: str = ""

    def __str__(self) -> str:
        if self.ns is None:
            return f"longest path of cells not known: {self.why}"
        return f"longest path {self.ns:.2f} ns of cells, before routing: {self.begin} to {self.end}"


@dataclass(frozen=True)
class Synthesis:
    """A mapped design. `cells` are counts by type for each part; '' is the top module's own logic.

    `netlist` are the Verilog files of all parts, the top last.
    """

    cells: Mapping[str, Mapping[str, int]]
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
    """Return a file of Yosys' own libraries of cells, as `xilinx/cells_sim.v`."""
    version()
    spec = util.find_spec("pyosys")
    path = Path(spec.origin).parent / "share" / name if spec and spec.origin else Path(name)
    if not path.is_file():
        raise QapError(f"the installed pyosys has no share/{name}", "pip install pyosys==0.70")
    return path


def synthesize(
    design: Design, board: Board, folder: Path, *, time_limit_s: float = TIME_LIMIT_S, threads: int = 2,
    progress: Progress = lambda text: None,
) -> Measurement:  # fmt: skip
    """Map `design` to the cells of the board's family and count them.

    `Resources` as `cells.count` defines them; `parts` by the instances of the top module. Raises `QapError`
    when Yosys is missing, fails, or takes more than `time_limit_s` for one of its processes; it names the parts.
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
    begin = time.monotonic()
    version()
    with scratch(folder) as place:
        parts = _elaborate(design, folder, place, time_limit_s)
        spent = time.monotonic() - begin
        progress(f"read {design.top} with Yosys {version()}: {len(parts)} parts, {spent:.1f} s")
        done = _map(design, board, folder, place, parts, time_limit_s, threads)
        progress(f"mapped {design.top} to {board.family} cells in {time.monotonic() - begin:.1f} s")
        return replace(done, netlist=tuple(_moved(path, folder) for path in done.netlist))


def _moved(path: Path, folder: Path) -> Path:
    """The netlist at `path` where it is kept, and beside it the same as RTLIL, if there is one, until it is read."""
    rtlil, moved = path.with_suffix(RTLIL), path.replace(folder / path.name)
    for old in folder.glob(f"{moved.stem}.*{RTLIL}"):
        old.unlink()
    if rtlil.exists():
        rtlil.replace(_as_rtlil(moved))
    return moved


def _as_rtlil(netlist: Path) -> Path:
    """The file of a netlist as RTLIL; its name says of which content."""
    return netlist.with_name(f"{netlist.stem}.{sha256(netlist)[:16]}{RTLIL}")


def _elaborate(design: Design, folder: Path, place: Path, limit_s: float) -> Mapping[str, Part]:
    """Return the parts. The sources are read in the design's folder because they name memory files relative to it.

    Here and below logs go to `folder` and all else to `place`, which is this run's alone.
    """
    sources = [(design.folder / name).resolve() for name in design.sources]
    boxes = shipped("flows") / "open" / "blackboxes.v"
    job = Elaborate(
        top=design.top, sources=tuple(str(path) for path in (*sources, boxes.resolve())), rtlil=str(_rtlil(place))
    )
    return ask(
        WORKER, job, Parts, name="elaborate", what="elaborate", logs=folder, place=place, folder=design.folder,
        limit_s=limit_s,
    ).parts  # fmt: skip


def _rtlil(place: Path) -> Path:
    """The file of the elaborated design."""
    return (place / "elaborated.il").resolve()


def _map(
    design: Design,
    board: Board,
    folder: Path,
    place: Path,
    parts: Mapping[str, Part],
    limit_s: float,
    threads: int,
) -> Synthesis:
    """Map the `parts` (instance to module and cost), `threads` processes at a time; the last maps the top's own logic.

    The first process that fails ends it: those that wait are not started.
    """
    modules = {name: parts[name].module for name in sorted(parts)}
    files = {module: f"{slug(name)}.v" for name, module in modules.items()}
    files[design.top] = f"{slug(design.top)}_top.v"
    every = set(modules.values())
    groups = _groups({name: part.cost for name, part in parts.items()}, threads) or [[]]

    def one(index: int) -> Mapping[str, Mapping[str, int]]:
        keep = sorted({modules[name] for name in groups[index]})
        job = Synthesize(
            top=design.top,
            keep=tuple(keep),
            boxes=tuple(sorted(every - set(keep))),
            rtlil=str(_rtlil(place)),
            family=board.family,
            options=(DSP_POLICY,),
            glue=index == len(groups) - 1,
            files=files,
            statistics=str((place / f"map{index}.stat.json").resolve()),
            folder=str(place.resolve()),
            timed=board.device_family.timed,
        )
        what = ", ".join(groups[index]) or "top"
        return ask(WORKER, job, Cells, name=f"map{index}", what=what, logs=folder, place=place, limit_s=limit_s).cells

    counts: dict[str, Mapping[str, int]] = {}
    with ThreadPoolExecutor(max(1, threads)) as pool:
        running = [pool.submit(one, index) for index in range(len(groups))]
        try:
            for future in as_completed(running):
                counts.update(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    cells = {name: counts[module] for name, module in modules.items()}
    # The parts themselves are cells of the top; they are no logic.
    cells[""] = {kind: number for kind, number in counts[design.top].items() if kind not in every}
    order = [place / files[module] for module in dict.fromkeys([*modules.values(), design.top])]
    # A dead part has no netlist, and the others no instance of it.
    return Synthesis(cells, tuple(path for path in order if path.exists()))


def _groups(costs: Mapping[str, float], threads: int) -> list[list[str]]:
    """Parts that share a process, the most expensive groups first; small parts in at most `threads` groups."""
    large = [(cost, [name]) for name, cost in costs.items() if cost > ALONE]
    small = sorted((name for name, cost in costs.items() if cost <= ALONE), key=lambda name: (-costs[name], name))
    shared: list[tuple[float, list[str]]] = [(0.0, []) for _ in range(min(max(1, threads), len(small)))]
    for name in small:
        index = min(range(len(shared)), key=lambda index: shared[index][0])
        shared[index] = (shared[index][0] + costs[name], [*shared[index][1], name])
    return [names for _, names in sorted([*large, *shared], key=lambda pair: (-pair[0], pair[1]))]


def longest_path(top: str, netlist: Sequence[Path], folder: Path) -> LongestPath:
    """Return the longest path of cells in the files `netlist` of a design for a family whose delays are known.

    Logs go to `folder`. Never an error: it is the one thing that a build can do without. The netlist as RTLIL, which
    mapping left for this, is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rtlil = [_as_rtlil(path) for path in netlist]
    files = rtlil if all(path.is_file() for path in rtlil) else netlist
    with scratch(folder) as place:
        job = FindPath(top=top, netlist=tuple(str(path.resolve()) for path in files), folder=str(place.resolve()))
        try:
            path = ask(
                WORKER, job, FoundPath, name="time", what="the longest path", logs=folder, place=place,
                limit_s=PATH_LIMIT_S,
            )  # fmt: skip
        except QapError as error:
            return LongestPath(None, why=error.message)
    for one in rtlil:
        one.unlink(missing_ok=True)
    if path.untimed:
        return LongestPath(None, why=f"Yosys has no delays of {', '.join(path.untimed)}")
    if path.ps is None:
        return LongestPath(None, why="no path from register to register")
    return LongestPath(path.ps / 1000, path.begin, path.end)


def slug(name: str) -> str:
    """A file name for a part or a module."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)
