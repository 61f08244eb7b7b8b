# SPDX-License-Identifier: Apache-2.0
"""One build: the stages from a model file to a checked report, in order, each resumable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

from qap2fpga import backends
from qap2fpga.backends.api import require_possible
from qap2fpga.build import amd, proving, stages
from qap2fpga.build.collect import collect
from qap2fpga.build.folder import BuildFolder, stored
from qap2fpga.build.request import CROSS_CHECKS, STAGES, Request
from qap2fpga.build.stages import Lane, Stage
from qap2fpga.build.state import Run
from qap2fpga.report import content, history
from qap2fpga.report.schema import Report
from qap2fpga.synth.amd import CAVEAT, shell, system
from qap2fpga.system import cache
from qap2fpga.system import versions as stamps
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import write_atomically
from qap2fpga.system.progress import Progress


def build(request: Request, progress: Progress) -> Report:
    """Run every stage that has not run, and write and return the report.

    What a build of the same input and options left of stages after `request.until` stays, and is in the report.
    Raises `QapError` before any work when something is missing, `CheckFailed` when hardware and network differ.
    """
    _require(request)
    with BuildFolder(request.output, progress, cache.users() if request.cache else None) as folder:
        run = Run(request, folder)
        further = _further(run)
        if not further:
            history.begin(request.output, request.command, request.asked)
        _finish(run)
        if further:
            run.stored |= further
            progress.note(f"later stages are complete already, and stay: {', '.join(further)}")
        report = collect(request, run.model_digest, run.results, stamps.versions())
        write_atomically(request.output / "report.json", content.dump(report))
    return report


def plan(request: Request, progress: Progress) -> str:
    """Generate, and say what AMD's tools would be asked to do then, installed or not."""
    if not request.board.device_family.amd:
        raise QapError(f"{request.board.name} is no board of AMD's tools", "build without --plan")
    build(replace(request, until="generate"), progress)
    vendor_plan = amd.plan(request, stored(request.output, "generate"), installed=False)
    if vendor_plan is None:
        return "AMD's tools have nothing to do"
    return "\n".join([vendor_plan.text, *vendor_plan.missing, f"Note: {CAVEAT}."])


def _require(request: Request) -> None:
    """Everything that later stages need, before the first one starts."""
    for path in (request.model, request.data):
        if path is not None and not path.is_file():
            raise QapError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}", "check the path")
    if request.until not in STAGES:
        raise QapError(f"unknown stage '{request.until}'", nearest(request.until, STAGES))
    if "system" in (request.vendor or ()):
        system.processor(request.board)
    if "finn" in (request.vendor or ()):
        shell.require(request.backend, request.board)
    backend = backends.get(request.backend)
    if request.reaches("generate"):
        backend.require(request.options, simulate=request.reaches("simulate"))
    if request.reaches("synthesize" if backend.substitute else "simulate"):
        from qap2fpga.verify import verilator

        verilator.program()
    if request.reaches("synthesize"):
        from qap2fpga.synth import yosys

        yosys.version()
    _require_family(request)


def _require_family(request: Request) -> None:
    """What the board's family, or another device that is asked for, needs."""
    board, family = request.board, request.board.device_family
    require_possible(backends.get(request.backend).unserved(board))
    if request.cross_check and request.cross_check not in CROSS_CHECKS:
        raise QapError(f"unknown --cross-check '{request.cross_check}'", nearest(request.cross_check, CROSS_CHECKS))
    if request.prove and request.backend not in proving.BACKENDS:
        raise QapError(f"--prove: nothing is known to prove of the {request.backend} backend's C++", "leave it out")
    if request.cross_check and (request.backend != "rtl" or family.open_route):
        raise QapError("--cross-check ecp5 places designs of the rtl backend for other families", "leave it out")
    if not family.open_route and not request.cross_check:
        return
    from qap2fpga.synth.ecp5 import place, tool, wrapper

    if family.open_route:
        if request.vendor is not None:
            raise QapError(f"AMD's tools know no {board.family}", "leave --vendor out")
        place.device(board.part)
        wrapper.divider(board.clock_ns)
    if request.reaches("route"):
        tool.require(tool.PLACER)
        if family.open_route:
            tool.require(tool.PACKER)


def _finish(run: Run) -> None:
    """Run every stage that is wanted, or take what it left before; the lanes of a group at the same time."""
    for group in stages.groups(run.request):
        chosen = [lane for lane in group if any(run.request.reaches(stage.until) for stage in lane)]
        failed = Event()
        if len(chosen) > 1:
            with ThreadPoolExecutor(len(chosen)) as pool:
                for running in [pool.submit(_finish_lane, lane, run, failed) for lane in chosen]:
                    running.result()
        else:
            # In the main thread, which is the one that an interrupt reaches.
            for lane in chosen:
                _finish_lane(lane, run, failed)


def _finish_lane(lane: Lane, run: Run, failed: Event) -> None:
    """Run the stages of `lane` one after the other; none begins when one of another lane has failed."""
    for stage in lane:
        if failed.is_set() or not stage.is_due(run):
            continue
        try:
            run.stored[stage.name] = _result(stage, run)
            if stage.confirm is not None:
                stage.confirm(run)
        except BaseException:
            failed.set()
            raise


def _further(run: Run) -> dict[str, Any]:
    """What stages after the last one asked for left, if all that are asked for left theirs: of the same input and
    options."""
    if run.request.until == STAGES[-1]:
        return {}
    whole = Run(replace(run.request, until=STAGES[-1]), run.folder)
    further = {}
    for stage in stages.of(whole.request):
        left = _left(stage, whole)
        if left is not None:
            whole.stored[stage.name] = left
            if not run.request.reaches(stage.until):
                further[stage.name] = left
        elif run.request.reaches(stage.until) and stage.is_due(whole):
            return {}
    return further


def _left(stage: Stage, run: Run) -> Any | None:
    """What an earlier build left of a stage, as it would be now; None: nothing, or the tool that makes it is gone."""
    try:
        due = run.folder.has(stage.name) and stage.is_due(run)
        return run.folder.result(stage.name, stage.key(run)) if due else None
    except QapError:
        return None


def _result(stage: Stage, run: Run) -> Any:
    return run.folder.stage(
        stage.name, stage.title(run), stage.key(run), lambda say: stage.body(run, say),
        lambda result: stage.makes(run, result), forgets=stage.forgets,
        shared=stage.shared and partial(stage.shared, run),
    )  # fmt: skip
