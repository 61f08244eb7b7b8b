# SPDX-License-Identifier: Apache-2.0
"""The reports that a finished step left, compared with the plan, as measurements and simulations.

A report of another design, part or clock is a failed check, never a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from qap2fpga.hw.design import Measurement, Stage
from qap2fpga.ir.comparison import Simulation
from qap2fpga.reports import Parsed, read
from qap2fpga.synth.amd import shell
from qap2fpga.synth.amd.steps import COSIM, CSYNTH, SHELL_STEP, VIVADO_STEPS, Plan, Step, report_of
from qap2fpga.synth.amd.tool import Tool
from qap2fpga.system.errors import CheckFailed

# The HLS tools print the period with two digits after the point.
CLOCK_TOLERANCE_NS = 0.006
COUNTED = re.compile(r"^qap2fpga: (\d+) vectors, (\d+) outputs differ$", re.MULTILINE)
# A processor divides its own clock for the logic, and hits few periods exactly.
DIVIDED_CLOCK = 0.02
DIVIDED = ("bitstream", SHELL_STEP)
STAGES = {"csynth": Stage.HLS, "synth": Stage.SYNTHESIS, "route": Stage.ROUTED, "bitstream": Stage.ROUTED,
          SHELL_STEP: Stage.ROUTED}  # fmt: skip
# Said with every number: nobody has run these flows with the real tools yet.
CAVEAT = "this flow was tried against mocks of AMD's tools only"


@dataclass(frozen=True)
class Result:
    """What one step found. Latency and interval in clock cycles, times in ns; None: the report does not say.

    `period_ns` is the shortest clock period: estimated by HLS, else target minus worst slack. `reports` are the files
    that the numbers are from, relative to the plan's folder.
    """

    step: str
    tool: str
    version: str
    measurement: Measurement | None = None
    simulation: Simulation | None = None
    latency_min: int | None = None
    latency_max: int | None = None
    interval_min: int | None = None
    interval_max: int | None = None
    target_ns: float | None = None
    period_ns: float | None = None
    wns_ns: float | None = None
    reports: tuple[str, ...] = ()


def read_result(plan: Plan, step: Step, tool: Tool, log: Path) -> Result:
    """What `step` found. Raises `Refused` for a broken report, `CheckFailed` for one of something else."""
    if step.name == "csim":
        return _csim(plan, step, tool, log)
    if step.name == "csynth":
        return _csynth(plan, step, tool)
    if step.name == "cosim":
        return _cosim(plan, step, tool)
    if step.name in ("export", "system"):
        return Result(step.name, tool.title, tool.version)
    if step.name == SHELL_STEP:
        return _shell(plan, step, tool)
    return _vivado(plan, step, tool)


def require_same(plan: Plan, step: Step, path: str, parsed: Parsed, *, clock: bool) -> None:
    """Raise `CheckFailed` unless the report is of the step's top and stage, and of the plan's part and clock."""
    wrong = []
    stage = STAGES[step.name]
    tolerance = plan.clock_ns * DIVIDED_CLOCK if step.name in DIVIDED else CLOCK_TOLERANCE_NS
    if parsed.design != step.top:
        wrong.append(f"is of '{parsed.design}', not of '{step.top}'")
    if parsed.part is None or not same_part(parsed.part, plan.part):
        wrong.append(f"is for the part {parsed.part}, not for {plan.part}")
    if parsed.stage is not stage:
        wrong.append(f"is of stage '{parsed.stage}', not '{stage}'")
    if "not routed" in parsed.note:
        wrong.append("is of a design that is placed, not routed")
    if clock and (parsed.target_ns is None or abs(parsed.target_ns - plan.clock_ns) > tolerance):
        stated = "no clock" if parsed.target_ns is None else f"a clock of {parsed.target_ns:g} ns"
        wrong.append(f"states {stated}, not {plan.clock_ns:g} ns")
    if wrong:
        raise CheckFailed(f"the report {plan.folder / path} {'; '.join(wrong)}", "remove it, and build again")


def same_part(stated: str, target: str) -> bool:
    """Whether a report's part is the wanted one: reports leave out 'xc', hyphens, and what follows the package."""
    one, other = (re.sub(r"^xc", "", part.lower()).replace("-", "") for part in (stated, target))
    return bool(one) and (one.startswith(other) or other.startswith(one))


def _csim(plan: Plan, step: Step, tool: Tool, log: Path) -> Result:
    """What the testbench printed: how many vectors it saw."""
    require_counted(plan, log.read_text(errors="replace"), tool, step, log)
    simulation = Simulation(
        engine=f"{tool.name} C simulation", version=tool.version,
        compared="C++ of hls4ml with the integer network, outputs", vectors=plan.vectors, mismatches=0, note=CAVEAT,
    )  # fmt: skip
    return Result("csim", tool.title, tool.version, simulation=simulation)


def require_counted(plan: Plan, output: str, tool: Tool, step: Step, log: Path) -> None:
    """Raise `CheckFailed` unless the testbench says that it saw all vectors and no difference."""
    counts = COUNTED.findall(output)
    if not counts or counts[-1] != (str(plan.vectors), "0"):
        sentence = f"{counts[-1][0]} vectors and {counts[-1][1]} differences" if counts else "nothing"
        raise CheckFailed(
            f"{tool.title}, {step.name}: {plan.vectors} equal vectors were expected, the testbench says {sentence}",
            f"its log: {log}",
        )


def _csynth(plan: Plan, step: Step, tool: Tool) -> Result:
    parsed = read(plan.folder / CSYNTH)
    require_same(plan, step, CSYNTH, parsed, clock=True)
    return _result(step, tool, parsed, parsed.measurement, (CSYNTH,))


def _cosim(plan: Plan, step: Step, tool: Tool) -> Result:
    """The co-simulation report names no design, but its file does."""
    parsed = read(plan.folder / COSIM)
    if parsed.status != "Pass":
        raise CheckFailed(
            f"{tool.title}, cosim: the RTL does not do what the C++ does (status {parsed.status})",
            f"its report: {plan.folder / COSIM}",
        )
    result = _result(step, tool, parsed, None, (COSIM,))
    simulation = Simulation(
        engine=f"{tool.name} co-simulation", version=tool.version,
        compared="RTL of the HLS tool with the integer network, outputs", vectors=plan.vectors, mismatches=0,
        latency_cycles=parsed.latency_max, interval_cycles=parsed.interval_max, note=f"{parsed.note}; {CAVEAT}",
    )  # fmt: skip
    return replace(result, simulation=simulation)


def _vivado(plan: Plan, step: Step, tool: Tool) -> Result:
    """Resources from the flat report, their parts from the hierarchical one, the clock from the timing summary."""
    paths = {kind: report_of(step.name, kind) for kind in ("utilization", "hierarchy", "timing")}
    parsed = {kind: read(plan.folder / path) for kind, path in paths.items()}
    for kind, path in paths.items():
        require_same(plan, step, path, parsed[kind], clock=kind == "timing")
    measurement = parsed["utilization"].measurement
    if measurement is None:
        raise CheckFailed(f"the report {plan.folder / paths['utilization']} states no resources", "build again")
    measurement = replace(measurement, parts=dict(parsed["hierarchy"].parts))
    return _result(step, tool, parsed["timing"], measurement, tuple(paths.values()))


def _shell(plan: Plan, step: Step, tool: Tool) -> Result:
    """Resources as FINN tells them of the routed system, the clock from Vivado's own report of it."""
    parsed, timing = read(plan.folder / shell.RESOURCES), read(plan.folder / shell.TIMING)
    require_same(plan, step, shell.TIMING, timing, clock=True)
    return _result(step, tool, timing, parsed.measurement, (shell.RESOURCES, shell.TIMING))


def _result(step: Step, tool: Tool, parsed: Parsed, measured: Measurement | None, reports: tuple[str, ...]) -> Result:
    version = parsed.version or tool.version
    if measured is not None:
        alone = "out of context" if step.name in VIVADO_STEPS else ""
        whole = "the whole system, with DMA and interconnect" if step.name == "bitstream" else ""
        notes = "; ".join(note for note in (measured.note, alone, whole, CAVEAT) if note)
        measured = replace(measured, version=version or measured.version, note=notes)
    return Result(
        step.name, tool.title, version, measured, latency_min=parsed.latency_min, latency_max=parsed.latency_max,
        interval_min=parsed.interval_min, interval_max=parsed.interval_max, target_ns=parsed.target_ns,
        period_ns=parsed.period_ns, wns_ns=parsed.wns_ns, reports=reports,
    )  # fmt: skip
