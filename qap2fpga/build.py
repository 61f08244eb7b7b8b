# SPDX-License-Identifier: Apache-2.0
"""One build: the stages from a model file to a checked report, in order, each resumable."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends, stages
from qap2fpga.board import Board
from qap2fpga.checkpoint.widths import Widths
from qap2fpga.design import Design, Stream
from qap2fpga.errors import QapError
from qap2fpga.files import sha256, write_atomically
from qap2fpga.network import IntegerNetwork
from qap2fpga.progress import Progress
from qap2fpga.report import content
from qap2fpga.simulate import reference
from qap2fpga.stages import BuildFolder, digest

Say = Callable[[str], None]
STAGES = ("model", "generate", "simulate", "synthesize")
MODEL_FILES = ("model.qonnx.onnx", "network.lowered.npz", "network.npz", "vectors.npz")
NETLIST_VECTORS = 256


@dataclass(frozen=True)
class Request:
    """What to build. `options` is the backend's own options object; `until` is one of `STAGES`."""

    model: Path
    board: Board
    backend: str
    options: Any
    output: Path
    widths: Widths
    data: Path | None = None
    input_range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    until: str = STAGES[-1]


def default_output(model: Path, backend: str, board: Board) -> Path:
    """Where a build goes when the user does not say."""
    return Path("builds") / f"{model.stem}-{backend}-{board.name}"


def build(request: Request, progress: Progress) -> dict[str, Any]:
    """Run every stage that has not run, and write and return the report.

    Raises `QapError` before any work when something is missing, `CheckFailed` when hardware and network differ.
    """
    _require(request)
    wanted = STAGES.index(request.until)
    with BuildFolder(request.output, progress) as folder:
        key = digest(
            stages.program_digest(),
            stages.versions(),
            sha256(request.model),
            request.data and sha256(request.data),
            asdict(request.widths),
            request.input_range,
            request.classes,
        )
        facts = folder.stage(
            "model",
            "model: export, lower, compare",
            key,
            lambda say: _model(request, folder, say),
            MODEL_FILES,
            forgets=True,
        )
        key = digest(key, request.backend, asdict(request.board), asdict(request.options))
        made = simulated = synthesized = netlist = None
        if wanted >= 1:
            made = folder.stage(
                "generate",
                f"generate: {request.backend}",
                key,
                lambda say: _generate(request, say),
                (request.backend,),
            )
        if made is not None and wanted >= 2:
            simulated, synthesized, netlist = _prove(request, folder, key, _design(made, request.output), wanted >= 3)
        report = content.collect(
            request.model.name,
            sha256(request.model),
            facts,
            request.board,
            request.backend,
            made,
            simulated,
            synthesized,
            netlist,
            stages.versions(),
            allow_oversize=request.options.allow_oversize,
        )
        write_atomically(request.output / "report.json", content.dump(report))
    return report


def _require(request: Request) -> None:
    """Everything that later stages need, before the first one starts."""
    for path in (request.model, request.data):
        if path is not None and not path.is_file():
            raise QapError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}", "check the path")
    if request.until not in STAGES:
        raise QapError(f"unknown stage '{request.until}'", f"known: {', '.join(STAGES)}")
    if STAGES.index(request.until) >= 2:
        from qap2fpga.simulate import verilator

        verilator.program()
    if STAGES.index(request.until) >= 3:
        from qap2fpga.synth import yosys

        yosys.version()


def _model(request: Request, made_in: BuildFolder, say: Say) -> dict[str, Any]:
    from qap2fpga.lower import export
    from qap2fpga.lower.prepare import Source, prepare

    source = Source(request.model, request.widths, request.data, request.input_range, request.classes)
    prepared = prepare(source, say)
    made_in.forget("model")
    export.write(prepared.qonnx, request.output / "model.qonnx.onnx")
    prepared.lowered.save(request.output / "network.lowered.npz")
    prepared.network.save(request.output / "network.npz")
    arrays = {"recorded": prepared.recorded[:1000], "random": prepared.random, "extreme": prepared.extreme}
    if prepared.labels is not None:
        arrays["labels"] = prepared.labels[:1000]
    if prepared.first_input is not None:
        arrays["first_input"] = prepared.first_input
    content.save_arrays(request.output / "vectors.npz", arrays)
    return {"facts": prepared.facts, "simulations": [asdict(one) for one in prepared.simulations]}


def _load(folder: Path) -> tuple[IntegerNetwork, dict[str, np.ndarray]]:
    with np.load(folder / "vectors.npz") as stored:
        return IntegerNetwork.load(folder / "network.npz"), dict(stored)


def _generate(request: Request, say: Say) -> dict[str, Any]:
    network, arrays = _load(request.output)
    folder = request.output / request.backend
    shutil.rmtree(folder, ignore_errors=True)
    try:
        vectors = np.concatenate([arrays["recorded"], arrays["random"]])
        design = (
            backends.get(request.backend).load().generate(network, request.board, folder, request.options, vectors, say)
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    made = asdict(design) | {"folder": str(design.folder.relative_to(request.output))}
    kind = request.options.output_kind
    interface = content.interface(design, network, kind, arrays)
    return {"design": made, "interface": interface, "output_kind": kind, "accuracy": _accuracy(network, kind, arrays)}


def _accuracy(network: IntegerNetwork, kind: str, arrays: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Accuracy on the recorded vectors, from what leaves the chip; the simulation proves that this is it."""
    labels = arrays.get("labels")
    if labels is None or network.outputs == 1 or not len(labels):
        return None
    found = reference.classes(kind, reference.outputs(network, kind, arrays["recorded"]))
    return {"output": kind, "rows": len(labels), "value": float((found == labels).mean())}


def _design(made: dict[str, Any], output: Path) -> Design:
    """The `Design` that the generate stage stored."""
    fields = made["design"]
    streams = {name: Stream(**fields[name]) for name in ("input", "output")}
    return Design(
        **{
            **fields,
            **streams,
            "folder": output / fields["folder"],
            "sources": tuple(fields["sources"]),
            "data": tuple(fields["data"]),
        }
    )


def _prove(request: Request, folder: BuildFolder, key: str, design: Design, synthesize: bool) -> tuple[Any, Any, Any]:
    """Synthesise, then simulate the RTL beside the netlist."""
    network, arrays = _load(request.output)
    kind = request.options.output_kind
    vectors = np.concatenate([arrays["recorded"], arrays["random"], arrays["extreme"]])
    expected = reference.outputs(network, kind, vectors)

    def simulate(say: Say) -> Any:
        from qap2fpga.simulate import rtl

        result = rtl.simulate(design, vectors, expected, request.output / "simulate", threads=1, progress=say)
        return [asdict(one) for one in result]

    def measure(say: Say) -> Any:
        from qap2fpga.synth import yosys

        mapped = yosys.map_design(design, request.board, request.output / "synthesize", threads=2, progress=say)
        return {
            "measurement": asdict(yosys.measurement(mapped)),
            "cells": mapped.cells,
            "netlist": [str(path.relative_to(request.output)) for path in mapped.netlist],
        }

    def simulate_netlist(say: Say) -> Any:
        from qap2fpga.simulate import netlist
        from qap2fpga.synth.yosys import Synthesis

        files = tuple(request.output / name for name in synthesized["netlist"])
        mapped = Synthesis(synthesized["cells"], files)
        chosen = _spread(arrays, NETLIST_VECTORS)
        result = netlist.simulate_netlist(
            design,
            request.board,
            chosen,
            reference.outputs(network, kind, chosen),
            request.output / "netlist",
            mapped=mapped,
            progress=say,
        )
        return asdict(result)

    rtl_stage = ("simulate", "simulate: RTL in Verilator", key, simulate)
    if not synthesize:
        return folder.stage(*rtl_stage), None, None
    # Yosys uses two cores; the netlist's long first part uses one, which leaves the other to the RTL.
    synthesized = folder.stage("synthesize", "synthesize: Yosys", key, measure)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(folder.stage, *rtl_stage)
        checking = pool.submit(folder.stage, "netlist", "simulate: gate-level netlist", key, simulate_netlist)
        return running.result(), synthesized, checking.result()


def _spread(arrays: dict[str, np.ndarray], count: int) -> np.ndarray:
    """`count` vectors or a few more: extremes first, then recorded and random ones in equal parts."""
    extreme = arrays["extreme"][: count // 4]
    rest = (count - len(extreme) + 1) // 2
    recorded = arrays["recorded"][:rest]
    return np.concatenate([extreme, recorded, arrays["random"][: count - len(extreme) - len(recorded)]])
