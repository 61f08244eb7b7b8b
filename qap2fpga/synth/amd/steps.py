# SPDX-License-Identifier: Apache-2.0
"""What AMD's tools would be asked to do with a project or a design: a folder of files and the command lines in order.

The folder is whole: with it and the command lines anybody can run the same flow by hand, also elsewhere. The scripts
are those of `flows/hls4ml` and `flows/vivado` as they stand; `settings.tcl` beside them says of what.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Artifact
from qap2fpga.synth.amd import contents, shell, system
from qap2fpga.synth.amd.contents import SOLUTION, VECTORS, Value, tcl_settings
from qap2fpga.synth.amd.tool import PROGRAMS, Kind, Tool, Tools, absent
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import cannot_write, shipped, write_atomically

HLS_STEPS = ("csim", "csynth", "cosim", "export")
# The design alone, without pins; and in a Zynq, with a DMA.
VIVADO_STEPS = ("synth", "route")
SYSTEM_STEPS = ("system", "bitstream")
# The same by FINN's own builder, with its shell.
SHELL_STEP = "finn"
# Hours, and of use on its own board only: asked for by name.
UNUSUAL = ("route", *SYSTEM_STEPS, SHELL_STEP)
# What a step needs to have run before it; "synth" and "system" need it for an HLS project only.
AFTER = {"cosim": "csynth", "export": "csynth", "synth": "csynth", "route": "synth", "system": "export",
         "bitstream": "system"}  # fmt: skip
TIME_LIMITS_S = {
    "csim": 1800.0, "csynth": 4 * 3600.0, "cosim": 4 * 3600.0, "export": 3600.0, "synth": 4 * 3600.0,
    "route": 8 * 3600.0, "system": 3600.0, "bitstream": 12 * 3600.0,
    SHELL_STEP: 24 * 3600.0,
}  # fmt: skip
CSYNTH, COSIM = "reports/csynth.xml", "reports/cosim.rpt"


@dataclass(frozen=True)
class Step:
    """One run of one tool. Paths are relative to the plan's folder.

    `inputs` are the files that its result depends on, beside what `after` left. It must leave `reports` and `files`,
    each under one of several names, of which the first that is there counts; a report is kept under its key. `top` is
    the design that the reports are of.
    """

    name: str
    top: str
    kind: Kind
    command: tuple[str, ...]
    inputs: tuple[str, ...]
    reports: Mapping[str, tuple[str, ...]]
    files: Mapping[str, tuple[str, ...]]
    time_limit_s: float
    after: str | None = None


@dataclass(frozen=True)
class Plan:
    """Steps in order, all prepared in `folder`. `vectors` is how many the testbench feeds."""

    folder: Path
    top: str
    part: str
    clock_ns: float
    steps: tuple[Step, ...]
    tools: Tools
    vectors: int = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """One sentence for each kind of tool that a step needs and that is absent."""
        kinds = dict.fromkeys(step.kind for step in self.steps)
        return tuple(absent(kind) for kind in kinds if self.tools.of(kind) is None)

    @property
    def text(self) -> str:
        """What would run, as lines for a shell."""
        lines = [f"cd {shlex.quote(str(self.folder))}"]
        for step in self.steps:
            lines.append(f"{shlex.join(step.command)}  # {step.name}, at most {step.time_limit_s:.0f} s")
        return "\n".join(lines)


def plan(
    artifact: Artifact,
    board: Board,
    folder: Path,
    tools: Tools,
    *,
    steps: Sequence[str] | None = None,
    time_limits_s: Mapping[str, float] | None = None,
) -> Plan:
    """Write what the steps need into `folder`, and say what they are; nothing is run.

    `steps` are names of `HLS_STEPS` (an HLS project only), `VIVADO_STEPS`, `SYSTEM_STEPS` and `SHELL_STEP`; by
    default all but `UNUSUAL`. Clock and part are the artifact's own, else the board's. Raises `QapError` for steps that
    cannot be done, or a folder that cannot be written. A tool that is absent is no error here: see `Plan.missing`.
    """
    circuit = artifact.circuit
    hls = circuit is None
    chosen = _choose(steps, hls)
    limits = {**TIME_LIMITS_S, **(time_limits_s or {})}
    folder = folder.resolve()
    part, clock_ns = artifact.part or board.part, artifact.clock(board)
    if not part.lower().startswith("xc"):
        raise QapError(f"{board.name} has the part {part}, which is not AMD's", "choose a board with a part of AMD")
    whole = any(name in SYSTEM_STEPS for name in chosen)
    processor = system.processor(board) if whole else ""
    if whole and not artifact.wrappable:
        what = "a project of streams has ports whose beats only the HLS tool knows: no system is made around it"
        raise QapError(what, "--io-type parallel, or --backend finn or rtl")
    if SHELL_STEP in chosen:
        shell.require(artifact.backend, board)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = contents.take(artifact, folder)
        values: dict[str, Value] = {"top": artifact.top, "part": part, "clock_ns": clock_ns, "clock": "ap_clk"}
        values |= contents.settings(artifact)
        around = system.write(artifact, board, processor, clock_ns, folder) if whole else ()
        for_finn: tuple[str, ...] = ()
        if SHELL_STEP in chosen and circuit is not None:
            for_finn = shell.write(circuit, board, clock_ns, folder)
        write_atomically(folder / "settings.tcl", tcl_settings(values))
        for source in ("hls4ml", "vivado") if hls else ("vivado",):
            for script in sorted((shipped("flows") / source).glob("*.tcl")):
                write_atomically(folder / script.name, script.read_text())
    except OSError as error:
        raise cannot_write(folder, error) from error
    made_steps = tuple(
        _shell_step(for_finn, limits[name]) if name == SHELL_STEP
        else _step(name, artifact.top, files, around, tools, limits[name], hls)
        for name in chosen
    )  # fmt: skip
    vectors = len((folder / VECTORS).read_text().splitlines()) if hls else 0
    return Plan(folder, artifact.top, part, clock_ns, made_steps, tools, vectors)


def usual_steps(kinds: Collection[Kind], *, hls: bool) -> tuple[str, ...]:
    """The steps that are worth their time where the tools of `kinds` are there: up to synthesis, without co-simulation.

    C++ (`hls`) needs an HLS tool for anything.
    """
    if hls and Kind.HLS not in kinds:
        return ()
    return (*(("csim", "csynth") if hls else ()), *(("synth",) if Kind.VIVADO in kinds else ()))


def _choose(steps: Sequence[str] | None, hls: bool) -> tuple[str, ...]:
    """The steps in their order. Raises `QapError` for unknown ones, and for one without what it builds on."""
    known = (*(HLS_STEPS if hls else ()), *VIVADO_STEPS, *SYSTEM_STEPS, *(() if hls else (SHELL_STEP,)))
    chosen = [name for name in known if name not in UNUSUAL] if steps is None else list(steps)
    for name in chosen:
        if name not in known:
            raise QapError(f"unknown step '{name}' of the vendor flow", nearest(name, known))
        before = AFTER.get(name)
        if before in known and before not in chosen:
            raise QapError(f"step '{name}' works on what '{before}' makes", f"ask for '{before}' too")
    return tuple(name for name in known if name in chosen)


def _step(
    name: str, top: str, files: tuple[str, ...], around: tuple[str, ...], tools: Tools, limit_s: float, hls: bool
) -> Step:
    """`files` are the project's or the design's own, `around` those of the system that it is put into."""
    kind = Kind.HLS if name in HLS_STEPS else Kind.VIVADO
    scripts = [f"{name}.tcl", "settings.tcl", *(["project.tcl"] if kind is Kind.HLS else [])]
    # Vivado reads the RTL that csynth made, so an HLS project's own files matter to it only through that.
    own = () if kind is Kind.VIVADO and hls else files
    if name in SYSTEM_STEPS:
        own += around
    # Only for showing what would run, where there is no tool.
    tool = tools.of(kind) or Tool(PROGRAMS[kind][0], Path(PROGRAMS[kind][0]), "", kind)
    before = AFTER.get(name) if hls or name not in ("synth", "system") else None
    return Step(
        name,
        system.WRAPPER if name in SYSTEM_STEPS else top,
        kind,
        tool.command(f"{name}.tcl"),
        (*scripts, *own),
        _reports(name, top),
        _files(name, top),
        limit_s,
        before,
    )


def _shell_step(files: tuple[str, ...], limit_s: float) -> Step:
    command = (sys.executable, shell.SCRIPT)
    return Step(SHELL_STEP, shell.TOP, Kind.VIVADO, command, files, shell.REPORTS, shell.FILES, limit_s)


def report_of(step: str, kind: str) -> str:
    """The file that a Vivado step's report is in."""
    return f"reports/{step}_{kind}.rpt"


def _reports(name: str, top: str) -> dict[str, tuple[str, ...]]:
    if name in (*VIVADO_STEPS, "bitstream"):
        return {report_of(name, kind): (report_of(name, kind),) for kind in ("utilization", "hierarchy", "timing")}
    if name == "csynth":
        # Of the two names, which one is written depends on the version; the first has all modules.
        return {CSYNTH: tuple(f"{SOLUTION}/syn/report/{file}" for file in ("csynth.xml", f"{top}_csynth.xml"))}
    return {COSIM: (f"{SOLUTION}/sim/report/{top}_cosim.rpt",)} if name == "cosim" else {}


def _files(name: str, top: str) -> dict[str, tuple[str, ...]]:
    """What later steps, or people, need."""
    files: dict[str, dict[str, tuple[str, ...]]] = {
        "csynth": {"Verilog": (f"{SOLUTION}/syn/verilog/{top}.v",)},
        "export": {"IP": system.ARCHIVES},
        "synth": {"checkpoint": ("synthesized.dcp",)},
        "route": {"checkpoint": ("routed.dcp",)},
        "system": {"project": ("zynq/zynq.xpr",)},
        "bitstream": {"bitstream": (system.BITSTREAM,), "description for PYNQ": (system.HANDOFF,)},
    }
    return files.get(name, {})
