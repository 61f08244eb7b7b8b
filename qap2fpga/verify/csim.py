# SPDX-License-Identifier: Apache-2.0
"""The C++ of an hls4ml project: g++, the ap_types that hls4ml brings, every layer.

What is compiled is what an HLS tool reads: weights and thresholds stand in the headers, not in data files.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qap2fpga.hw.design import Alone, HlsProject
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.system import programs as tools
from qap2fpga.system.files import sha256, shipped, write_atomically
from qap2fpga.verify import alone
from qap2fpga.verify.engine import Engine, Execution, Progress, Shown

COMPILE_LIMIT_S = 1800.0
RUN_LIMIT_S = 3600.0
# -Og compiles in a third of -O2's time and simulates as fast; C++11 is what hls4ml asks of the HLS tools.
FLAGS = ("-std=c++11", "-Og", "-w")
# A network over vectors runs its code once a frame: what is not inlined early compiles in half the time, and runs three
# times as long, which is less.
VECTOR_FLAGS = ("--param", "early-inlining-insns=0")


def program() -> Path:
    """The C++ compiler. Raises `QapError` when there is none."""
    return tools.require("g++", "the C simulation of an hls4ml project", "apt install g++")


class CSimulation(Engine):
    """The C++ of `project`, with everything that it shows of its layers. The program in `folder` is used again when
    nothing changed."""

    name = "g++"

    def __init__(self, project: HlsProject, network: Graph, folder: Path) -> None:
        self.project, self.network, self.folder = project, network, folder

    def version(self) -> str:
        """Return the tool's version."""
        return version(self.folder)

    def run(self, vectors: np.ndarray, progress: Progress) -> Iterator[Execution]:
        """Run the artifact on `vectors` (n, inputs)."""
        assert self.network is not None
        if not len(vectors) or not self.network.input.gives(vectors):
            raise ValueError("vectors must be some that the input's quantizer gives")
        self.folder.mkdir(parents=True, exist_ok=True)
        more = () if self.network.has_positions else VECTOR_FLAGS
        program = build(self.project, self.folder, more, progress=progress)
        begin = time.monotonic()
        outputs, traces = run(program, self.project, vectors, self.folder)
        rate = f"{len(vectors) / max(time.monotonic() - begin, 1e-9):.0f} vectors/s"
        progress(f"{len(vectors)} vectors, {len(traces)} places in the code, {rate}")
        shown = tuple(Shown(trace.node, traces[trace.name]) for trace in self.project.traces)
        compared = "C++ of hls4ml with the integer network, every layer"
        yield Execution("C simulation", compared, outputs, note=rate, shown=shown)

    def simulate(
        self, vectors: np.ndarray, expected: np.ndarray, progress: Progress = lambda text: None
    ) -> list[Simulation]:
        """Compare as every engine does, then each node by itself, on what settles it for every input (`alone`)."""
        results = super().simulate(vectors, expected, progress)
        assert self.network is not None
        # Accumulators leave before the last requantizer.
        absent = (self.network.end.name,) if self.project.output_kind == "accumulators" else ()
        settled = alone.settle(self.network, self.project.alone, self._alone, absent)
        progress(settled.compared)
        mismatches = 0 if settled.frames else None
        note = "" if settled.frames else "no node can be run by itself"
        results.append(Simulation(self.name, self.version(), settled.compared, settled.frames, mismatches, note=note))
        return results

    def _alone(self, number: int, node: Alone, frames: np.ndarray) -> np.ndarray:
        sizes = [str(number), str(node.inputs), str(node.outputs)]
        return _run(self.folder / "csim", frames, self.folder, ("alone", "alone_found"), sizes).reshape(
            len(frames), node.outputs
        )


def version(folder: Path) -> str:
    """The compiler's version; its log is written into `folder`."""
    text = tools.run([program(), "-dumpfullversion"], log=folder / "version.log", folder=folder, time_limit_s=60)
    return text.strip()


def build(
    project: HlsProject, folder: Path, more: tuple[str, ...] = (), *, progress: Progress = lambda text: None
) -> Path:
    """The simulation program of `project`, in `folder`; an equal one is used again. `more` are options of g++."""
    compiler = program()
    bench = shipped("flows") / "hls4ml" / "csim.cpp"
    flags = [*FLAGS, *more, f"-DQAP_INPUTS={project.input.elements}", f"-DQAP_OUTPUTS={project.output.elements}"]
    if project.streams_positions:
        flags.append("-DQAP_STREAM")
    if project.alone:
        flags.append("-DQAP_ALONE")
    files = sorted(path for path in (project.folder / "firmware").rglob("*") if path.suffix in (".cpp", ".h"))
    parts = [bench, bench.with_name("qap_frame.h"), *files, *sorted(project.folder.glob("qap_*.h"))]
    digest = {"flags": flags, "version": version(folder), "files": [(path.name, sha256(path)) for path in parts]}
    key = hashlib.sha256(json.dumps(digest).encode()).hexdigest()
    binary, stamp = folder / "csim", folder / "csim.key"
    if binary.is_file() and stamp.is_file() and stamp.read_text() == f"{key} {sha256(binary)}":
        progress("the simulation program is up to date")
        return binary
    stamp.unlink(missing_ok=True)
    progress(f"compiling {project.top} with g++")
    command: list[str | Path] = [
        compiler, *flags, f"-I{project.folder.resolve()}", f"-I{(project.folder / 'firmware' / 'ap_types').resolve()}",
        bench.resolve(), "-o", binary.resolve(),
    ]  # fmt: skip
    tools.run(command, log=folder / "compile.log", folder=folder, time_limit_s=COMPILE_LIMIT_S)
    write_atomically(stamp, f"{key} {sha256(binary)}")
    return binary


def run(
    binary: Path, project: HlsProject, vectors: np.ndarray, folder: Path
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return (outputs (n, outputs), the arrays of every trace) of `vectors`."""
    names = [f"{trace.name}={trace.elements}" for trace in project.traces]
    sizes = [project.output.elements, *(trace.elements for trace in project.traces)]
    integers = _run(binary, vectors, folder, ("vectors", "found"), names).reshape(len(vectors), sum(sizes))
    outputs, *rest = np.split(integers, np.cumsum(sizes)[:-1], axis=1)
    return outputs, {trace.name: values for trace, values in zip(project.traces, rest, strict=True)}


def _run(binary: Path, frames: np.ndarray, folder: Path, names: tuple[str, str], arguments: list[str]) -> np.ndarray:
    """Return all integers that the program writes for `frames`; `names` are those of the two files."""
    source, target = (folder.resolve() / f"{name}.bin" for name in names)
    np.ascontiguousarray(frames, "<i8").tofile(source)
    command: list[str | Path] = [binary.resolve(), source, target, *arguments]
    tools.run(command, log=folder / "csim.log", folder=folder, time_limit_s=RUN_LIMIT_S)
    return np.fromfile(target, "<i8")
