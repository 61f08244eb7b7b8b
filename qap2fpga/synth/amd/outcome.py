# SPDX-License-Identifier: Apache-2.0
"""How a run of a vendor's tool ended: nothing to say, or one error with cause, the log's telling line and a hint.

Exit codes alone do not tell: some versions of the HLS tools end with 0 after an error. A step is done only when its
script came to its last line, which says so, and all that it must leave is there.
"""

from __future__ import annotations

import re
from pathlib import Path

from qap2fpga.synth.amd.steps import Plan, Step
from qap2fpga.synth.amd.tool import Tool
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.programs import Ended, telling_line

DISK = re.compile(r"no space left on device|disk quota exceeded|ENOSPC|disk (is )?full", re.IGNORECASE)
# 17-345 and 17-348 are Vivado's. INFO lines on licences say that one was got, and a path may have the word in it.
WORD = r"(?<![-/\w])licen[cs]e(?![-/\w])"
LICENCE = re.compile(
    rf"Common 17-34[58]|FLEXnet|no (valid )?{WORD}|{WORD}.{{0,40}}\b(not found|failed|expired|denied|invalid)|"
    rf"\b(failed|unable|could not|cannot)\b.{{0,30}}{WORD}",
    re.IGNORECASE,
)
PART = re.compile(
    r"HLS 200-1023|Coretcl 2-106|Device 21-436|Part '[^']*' (is )?not (found|installed)|Specified part could not be",
    re.IGNORECASE,
)
MEMORY = re.compile(r"could not open \$readmem data file", re.IGNORECASE)
MISMATCH = re.compile(r"^qap2fpga mismatch: (.*)$", re.MULTILINE)
# How the programs, and the shell scripts around them, say that they crashed.
CRASH = re.compile(
    r"Abnormal program termination|segmentation fault|core dumped|hs_err_pid|std::bad_alloc|out of memory|^Killed$",
    re.IGNORECASE | re.MULTILINE,
)


def finished_line(step: str) -> str:
    """What the script of a step prints last."""
    return f"qap2fpga: {step} finished"


def left(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first file that one of the patterns names, None if there is none or it is empty."""
    for name in names:
        for path in sorted(folder.glob(name)):
            if path.is_file() and path.stat().st_size:
                return path
    return None


def judge(plan: Plan, step: Step, tool: Tool, ended: Ended, log: Path) -> None:
    """Raise `QapError` if the step did not end well, `CheckFailed` if what it simulated is not the network."""
    where = f"{tool.title}, {step.name}"
    # The testbench's own finding comes first: the tool's error only says that the testbench failed.
    if differs := MISMATCH.search(ended.output):
        raise CheckFailed(f"{where}: the simulation differs from the integer network: {differs[1]}", f"its log: {log}")
    if ended.code == 0 and finished_line(step.name) in (line.strip() for line in ended.output.splitlines()):
        _need_outputs(plan, step, where, log)
        return
    what, line, hint = _cause(plan, step, tool, ended)
    raise QapError(f"{where}: {what}: {line}", f"{hint}; its log: {log}" if hint else f"its log: {log}")


def _need_outputs(plan: Plan, step: Step, where: str, log: Path) -> None:
    for what, names in (*step.reports.items(), *step.files.items()):
        if left(plan.folder, names) is None:
            kind = "report" if what in step.reports else what
            raise QapError(
                f"{where}: it ended without an error, but wrote no {kind} ({' or '.join(names)})",
                f"the tool may write it elsewhere in this version; its log: {log}",
            )


def _cause(plan: Plan, step: Step, tool: Tool, ended: Ended) -> tuple[str, str, str]:
    """(what happened, the line that says so, what to do) of a run that did not end well."""
    output = ended.output
    if line := _line(DISK, output):
        return "the disk is full", line, f"make room where {plan.folder} is, and build again: it goes on at this step"
    if line := _line(LICENCE, output):
        hint = "set XILINXD_LICENSE_FILE to the licence's file or server, or choose a board whose part needs none"
        return "no licence", line, hint
    if line := _line(PART, output):
        hint = "add the device family with the installer ('Add Design Tools or Devices'), or choose another board"
        return f"the part {plan.part} is not installed", line, hint
    if line := _line(MEMORY, output):
        return "a memory's content was not found", line, ""
    if ended.code is None:
        hint = f"allow '{step.name}' more time, or make the design smaller"
        return f"it took more than {step.time_limit_s:.0f} s and was stopped; it last said", last_line(output), hint
    crash = _line(CRASH, output)
    # A shell around the program ends with 128 and the signal.
    signal = -ended.code if ended.code < 0 else ended.code - 128 if 128 < ended.code < 160 else None
    if crash or signal is not None:
        how = "it crashed" if signal is None else f"it crashed (signal {signal})"
        why = "the machine may have too little memory for it; " if signal == 9 else ""
        return f"{how} after", crash or last_line(output), f"{why}build again: finished steps are not repeated"
    if not output.strip():
        return f"it ended with code {ended.code}", "it printed nothing", f"try {tool.path} by hand: does it start?"
    if ended.code == 0 and "ERROR" not in output:
        return "it ended half-way without an error; it last said", last_line(output), ""
    return f"failed ({ended.code})", telling_line(output), ""


def _line(pattern: re.Pattern[str], output: str) -> str:
    """The first line that the pattern is in, one marked as an error if there is one; empty if none is."""
    lines = [line.strip()[:300] for line in output.splitlines() if pattern.search(line)]
    return next((line for line in lines if "ERROR" in line), lines[0] if lines else "")


def last_line(output: str) -> str:
    """The last line that says anything."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"
