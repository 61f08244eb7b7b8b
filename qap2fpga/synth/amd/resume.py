# SPDX-License-Identifier: Apache-2.0
"""Run a plan's steps in order. A step that is done under the same inputs is not run again, a killed one is."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from qap2fpga.synth.amd.outcome import judge, left
from qap2fpga.synth.amd.result import Result, read_result
from qap2fpga.synth.amd.steps import Plan, Step
from qap2fpga.synth.amd.tool import GET, Tool
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256, write_atomically
from qap2fpga.system.programs import Runner

Progress = Callable[[str], None]
MARKS = ".done"


def run(plan: Plan, *, progress: Progress = lambda line: None, runner: Runner = tools.execute) -> tuple[Result, ...]:
    """Run every step that is not done by `runner`, and return what each one found.

    Logs go to `logs/<step>.log` in the plan's folder. Raises `QapError` for an absent tool, before anything runs, and
    for a step that fails; `CheckFailed` for a simulation that differs or a report of something else.
    """
    for step in plan.steps:
        if plan.tools.of(step.kind) is None:
            raise QapError(plan.missing[0].rstrip("."), GET[step.kind])
    results = []
    keys: dict[str, str] = {}
    for step in plan.steps:
        tool = plan.tools.of(step.kind)
        assert tool is not None
        keys[step.name] = _key(plan, step, tool, keys)
        results.append(_step(plan, step, tool, keys[step.name], progress, runner))
    return tuple(results)


def _key(plan: Plan, step: Step, tool: Tool, keys: dict[str, str]) -> str:
    """A digest of all that the step's result depends on."""
    files = [(name, sha256(plan.folder / name)) for name in step.inputs]
    parts = [tool.program, tool.version, step.command[1:], files, keys.get(step.after or "")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _step(plan: Plan, step: Step, tool: Tool, key: str, progress: Progress, runner: Runner) -> Result:
    mark, log = plan.folder / MARKS / f"{step.name}.json", plan.folder / "logs" / f"{step.name}.log"
    if _is_done(plan, step, key, mark, log):
        progress(f"{step.name}: done before")
        return read_result(plan, step, tool, log)
    mark.unlink(missing_ok=True)
    _take_away(plan, step)
    progress(f"{step.name}: {tool.title}")
    begin = time.monotonic()
    ended = runner(step.command, log=log, folder=plan.folder, time_limit_s=step.time_limit_s)
    judge(plan, step, tool, ended, log)
    _keep(plan, step)
    result = read_result(plan, step, tool, log)
    write_atomically(mark, json.dumps({"key": key, "reports": _digests(plan, step, log)}, indent=1))
    progress(f"{step.name}: {time.monotonic() - begin:.0f} s")
    return result


def _take_away(plan: Plan, step: Step) -> None:
    """Remove what an earlier run left: it must not be taken for this run's."""
    for name in (*step.reports, *chain(*step.reports.values(), *step.files.values())):
        for stale in plan.folder.glob(name):
            stale.unlink()


def _keep(plan: Plan, step: Step) -> None:
    """Copy the reports to where they stay: the HLS tools write their project's folders again in later steps."""
    for kept, names in step.reports.items():
        path = left(plan.folder, names)
        assert path is not None, "judge() has seen it"
        if path != plan.folder / kept:
            write_atomically(plan.folder / kept, path.read_bytes())


def _digests(plan: Plan, step: Step, log: Path) -> dict[str, str] | None:
    """Of the log and each report; None if one of them, or of the other files, is not there."""
    paths = [log, *(plan.folder / kept for kept in step.reports)]
    if not all(path.is_file() for path in paths) or None in [left(plan.folder, names) for names in step.files.values()]:
        return None
    return {path.relative_to(plan.folder).as_posix(): sha256(path) for path in paths}


def _is_done(plan: Plan, step: Step, key: str, mark: Path, log: Path) -> bool:
    """Whether the step ended well under this key, and all that it left is as it was."""
    try:
        stored = json.loads(mark.read_text())
    except (OSError, ValueError):
        return False
    if not isinstance(stored, dict) or stored.get("key") != key:
        return False
    digests = _digests(plan, step, log)
    return digests is not None and stored.get("reports") == digests
