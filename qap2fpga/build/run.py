# SPDX-License-Identifier: Apache-2.0
"""One build: the stages from a model file to a checked report, in order, each resumable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from qap2fpga import backends
from qap2fpga.build import amd, making, mapping, simulating, stored
from qap2fpga.build import folder as stages
from qap2fpga.build.collect import Results, collect
from qap2fpga.build.folder import BuildFolder
from qap2fpga.build.request import CROSS_CHECKS, STAGES, Request
from qap2fpga.frontend.modelfiles import model_digest
from qap2fpga.hw import boards
from qap2fpga.hw.boards import ECP5, FAMILIES
from qap2fpga.ir.outputs import require_classes
from qap2fpga.report import content
from qap2fpga.report.routed import met
from qap2fpga.report.schema import Report
from qap2fpga.synth.amd import CAVEAT, shell, system
from qap2fpga.system import versions as stamps
from qap2fpga.system.errors import CheckFailed, QapError, nearest
from qap2fpga.system.files import sha256, write_atomically
from qap2fpga.system.progress import Progress
from qap2fpga.system.versions import digest


def build(request: Request, progress: Progress) -> Report:
    """Run every stage that has not run, and write and return the report.

    Raises `QapError` before any work when something is missing, `CheckFailed` when hardware and network differ.
    """
    _require(request)
    with BuildFolder(request.output, progress) as folder:
        results = _stages(request, folder)
        report = collect(request, model_digest(request.model), results, stamps.versions())
        write_atomically(request.output / "report.json", content.dump(report))
    return report


def plan(request: Request, progress: Progress) -> str:
    """Generate, and say what AMD's tools would be asked to do then, installed or not."""
    if request.board.family == ECP5:
        raise QapError(f"{request.board.name} is no board of AMD's tools", "build without --plan")
    build(replace(request, until="generate"), progress)
    made = amd.plan(request, stages.stored(request.output, "generate"), installed=False)
    if made is None:
        return "AMD's tools have nothing to do"
    return "\n".join([made.text, *made.missing, f"Note: {CAVEAT}."])


def _require(request: Request) -> None:
    """Everything that later stages need, before the first one starts."""
    for path in (request.model, request.data):
        if path is not None and not path.is_file():
            raise QapError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}", "check the path")
    if request.until not in STAGES:
        raise QapError(f"unknown stage '{request.until}'", f"known: {', '.join(STAGES)}")
    if "system" in (request.vendor or ()):
        system.processor(request.board)
    if "finn" in (request.vendor or ()):
        shell.require(request.backend, request.board)
    backend = backends.get(request.backend)
    if backend.stand_in and request.reaches("generate"):
        backend.load().require(None, request.options, simulate=request.reaches("simulate"))
    if request.reaches("synthesize" if backend.stand_in else "simulate"):
        from qap2fpga.verify import verilator

        verilator.program()
    if request.reaches("synthesize"):
        from qap2fpga.synth import yosys

        yosys.version()
    _require_family(request)


def _require_family(request: Request) -> None:
    """What the board's family, or another device that is asked for, needs."""
    board = request.board
    if request.backend not in FAMILIES[board.family].backends:
        raise QapError(
            f"the {request.backend} backend makes no hardware for {board.name} ({board.family})",
            f"use --backend {' or '.join(FAMILIES[board.family].backends)}, or another board",
        )
    if request.cross_check and request.cross_check not in CROSS_CHECKS:
        raise QapError(f"unknown --cross-check '{request.cross_check}'", nearest(request.cross_check, CROSS_CHECKS))
    if request.cross_check and (request.backend != "rtl" or board.family == ECP5):
        raise QapError("--cross-check ecp5 places designs of the rtl backend for other families", "leave it out")
    if board.family != ECP5 and not request.cross_check:
        return
    from qap2fpga.synth.ecp5 import place, tool, wrapper

    if board.family == ECP5:
        if request.vendor is not None:
            raise QapError(f"AMD's tools know no {board.family}", "leave --vendor out")
        place.device(board.part)
        wrapper.divider(board.clock_ns)
    if request.reaches("route"):
        tool.require(tool.PLACER)
        if board.family == ECP5:
            tool.require(tool.PACKER)


def _stages(request: Request, folder: BuildFolder) -> Results:
    """Model, generate, simulate, synthesize: what each stored, as far as the request goes."""
    key = digest(
        stamps.program_digest(),
        stamps.versions(),
        model_digest(request.model),
        request.data and sha256(request.data),
        asdict(request.widths),
        request.input_range,
        request.classes,
        request.output_kind == "values",
    )
    model = folder.stage(
        "model",
        "model: export, lower, compare",
        key,
        lambda say: making.model(request, folder.forget, say),
        making.MODEL_FILES,
        forgets=True,
    )
    require_classes(request.output_kind, model["facts"]["outputs"])
    results = Results(model)
    if not request.reaches("generate"):
        return results
    key = digest(key, request.backend, asdict(request.board), asdict(request.options))
    name = request.backend
    if request.tolerance:
        title = f"relax: requantizers within {request.tolerance} of an exact step"
        relaxed = folder.stage("relax", title, key, lambda say: making.relax(request, say), (stored.RELAXED,))
        results = replace(results, relaxed=relaxed)
    files = (name, "driver") if system.has_processor(request.board) else (name,)
    made = folder.stage(
        "generate", f"generate: {name}", key, lambda say: making.generate(request, name, request.options, say), files
    )
    results = replace(results, made=made)
    if backends.get(name).stand_in:
        return _c_and_stand_in(request, folder, key, results)
    if request.reaches("simulate"):
        results = _synthesize_and_compare(request, folder, key, results)
        results = _routed(request, folder, key, results)
    return _vendor(request, folder, key, results) if request.reaches("synthesize") else results


def _vendor(request: Request, folder: BuildFolder, key: str, results: Results) -> Results:
    """AMD's tools, where they are installed or asked for."""
    assert results.made is not None
    plan = amd.plan(request, results.made)
    if plan is None:
        return results
    # Each step is resumed by what it depends on itself; here it is about the report.
    key = digest(key, plan.text, [tool and tool.version for tool in (plan.tools.hls, plan.tools.vivado)])
    made = results.made
    if "system" in (request.vendor or ()) and not plan.missing and results.circuit is made:
        title = "simulate: from DMA word to DMA word"
        compare = ("dma", title, key, lambda say: simulating.simulate_dma(request, made, say))
        results = replace(results, dma=folder.stage(*compare))
    title = f"vendor: {', '.join(step.name for step in plan.steps)}"
    run = ("vendor", title, key, lambda say: amd.run(plan, request.output, say), amd.overlay(plan))
    return replace(results, vendor=folder.stage(*run))


def _routed(request: Request, folder: BuildFolder, key: str, results: Results) -> Results:
    """On an ECP5 board: the pins simulated, the netlist placed and routed, the bitstream. And the other device."""
    made, mapped = results.made, results.synthesized
    assert made is not None
    ecp5 = request.board.family == ECP5
    if ecp5:
        title = "simulate: pins, a UART on both ends"
        pins = folder.stage("pins", title, key, lambda say: simulating.simulate_pins(request, made, say))
        results = replace(results, pins=pins)
    if mapped is None or not request.reaches("route") or not (ecp5 or request.cross_check):
        return results
    from qap2fpga.synth.ecp5 import place, tool

    key = digest(key, tool.require(tool.PLACER).version)
    title = f"place and route: {tool.PLACER}"
    if request.cross_check:
        title += f", on {request.cross_check}: another device"
        key = digest(key, asdict(boards.load(place.CROSS_CHECK)))
        other = folder.stage("cross-check", title, key, lambda say: mapping.cross_check(request, made, say))
        return replace(results, cross_check=other)
    work = ("route", title, key, lambda say: mapping.route(request, made, mapped, say))
    placed = folder.stage(*work, lambda result: (mapping.CONFIG,) if result["achieved_ns"] is not None else ())
    results = replace(results, routed=placed)
    if not met(placed["achieved_ns"], placed["target_ns"]):
        return results
    title = f"bitstream: {tool.PACKER}"
    packed = folder.stage("bitstream", title, key, lambda say: mapping.bitstream(request, say), (mapping.BITSTREAM,))
    return replace(results, bitstream=packed)


def _c_and_stand_in(request: Request, folder: BuildFolder, key: str, results: Results) -> Results:
    """C++ is compared as C++; where no HLS tool makes hardware of it, another backend's circuit is measured."""
    made, backend = results.made, backends.get(request.backend)
    assert made is not None
    if request.reaches("simulate"):
        compare = ("csim", "simulate: C++ with g++", key, lambda say: simulating.simulate_c(request, made, say))
        results = replace(results, csim=folder.stage(*compare))
    if not request.reaches("synthesize"):
        return results
    results = _vendor(request, folder, key, results)
    if results.vendor is not None:
        return results
    from qap2fpga.synth import amd as vendor

    other, options = backend.stand_in, backend.stand_in_options(request.options)

    def generate(say: stored.Say) -> dict[str, Any]:
        why = {"why": vendor.absent(vendor.Kind.HLS)}
        try:
            return making.generate(request, other, options, say) | why
        except CheckFailed:
            raise
        except QapError as error:
            # The backend's own result stands; there is only no open measurement beside it.
            return {"backend": other, "refused": str(error), **why}

    stand_in = folder.stage("stand-in", f"generate: {other}, to stand in for synthesis", key, generate)
    results = replace(results, stand_in=stand_in)
    return results if results.circuit is None else _synthesize_and_compare(request, folder, key, results)


def _synthesize_and_compare(request: Request, folder: BuildFolder, key: str, results: Results) -> Results:
    """Synthesise the circuit, then simulate its RTL beside the netlist."""
    circuit = results.circuit
    assert circuit is not None
    rtl = ("simulate", "simulate: RTL in Verilator", key, lambda say: simulating.simulate_rtl(request, circuit, say))
    if not request.reaches("synthesize"):
        return replace(results, simulated=folder.stage(*rtl))
    # Yosys uses two cores; the netlist's long first part uses one, which leaves the other to the RTL.
    work = ("synthesize", "synthesize: Yosys", key, lambda say: mapping.synthesize(request, circuit, say))
    mapped = folder.stage(*work, lambda result: result["netlist"])
    gates = (
        "netlist",
        "simulate: gate-level netlist",
        key,
        lambda say: simulating.simulate_netlist(request, circuit, mapped, say),
    )
    with ThreadPoolExecutor(2) as pool:
        running, checking = pool.submit(folder.stage, *rtl), pool.submit(folder.stage, *gates)
        return replace(results, simulated=running.result(), synthesized=mapped, netlist=checking.result())
