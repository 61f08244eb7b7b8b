# SPDX-License-Identifier: Apache-2.0
"""The work of each stage of a build: JSON-like values in and out, everything large in the build folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.hls4ml.project import HlsProject
from qap2fpga.design import Design, Probe, Stream
from qap2fpga.network import IntegerNetwork
from qap2fpga.report import interface
from qap2fpga.request import Request
from qap2fpga.simulate import reference
from qap2fpga.simulate.vectors import save_arrays
from qap2fpga.synth.vendor.steps import Plan

Say = Callable[[str], None]
Stored = dict[str, Any]
MODEL_FILES = ("model.qonnx.onnx", "network.lowered.npz", "network.npz", "vectors.npz")
RELAXED = "network.relaxed.npz"
NETLIST_VECTORS = 256
# Vectors of a DMA's transfer, of which there are several.
DMA_BATCH = 13


def model(request: Request, forget: Callable[[str], None], say: Say) -> Stored:
    """From the model file to the integer network and the vectors, compared with torch and qonnx."""
    from qap2fpga.lower import export
    from qap2fpga.lower.prepare import Source, prepare

    source = Source(request.model, request.widths, request.data, request.input_range, request.classes)
    prepared = prepare(source, say)
    forget("model")
    export.write(prepared.qonnx, request.output / "model.qonnx.onnx")
    prepared.lowered.save(request.output / "network.lowered.npz")
    prepared.network.save(request.output / "network.npz")
    arrays = {"recorded": prepared.recorded[:1000], "random": prepared.random, "extreme": prepared.extreme}
    if prepared.labels is not None:
        arrays["labels"] = prepared.labels[:1000]
    if prepared.first_input is not None:
        arrays["first_input"] = prepared.first_input
    save_arrays(request.output / "vectors.npz", arrays)
    return {"facts": prepared.facts, "simulations": [asdict(one) for one in prepared.simulations]}


def relax(request: Request, say: Say) -> Stored:
    """A network whose requantizers are cheaper and differ by the steps allowed: from here on the reference.

    The exact one stays beside it; what changed, and the accuracy of both, is returned.
    """
    network, arrays = _exact(request.output)
    relaxed = backends.get(request.backend).load().relax(network, request.tolerance)
    relaxed.network.save(request.output / RELAXED)
    found = relaxed.facts(arrays["recorded"], arrays.get("labels"))
    changed = sum(layer["changed"] for layer in found["layers"])
    say(f"{changed} requantizers differ by {request.tolerance} steps at most")
    return dict(found)


def generate(request: Request, backend: str, options: Any, say: Say) -> Stored:
    """What `backend` makes of the network, in the build's folder of that name: a `Design` or an `HlsProject`."""
    network, arrays = _load(request)
    folder = request.output / backend
    shutil.rmtree(folder, ignore_errors=True)
    try:
        vectors = np.concatenate([arrays["recorded"], arrays["random"]])
        made = backends.get(backend).load().generate(network, request.board, folder, options, vectors, say)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    kind = request.output_kind
    driver = _driver(request, made, network, arrays) if backend == request.backend else None
    return {
        "backend": backend,
        "board": asdict(request.board),
        "network": _network(request),
        "driver": driver,
        "design": asdict(made) | {"folder": str(made.folder.resolve().relative_to(request.output.resolve()))},
        "predicted": _predicted(made, network) if isinstance(made, Design) else None,
        "csynth": _csynth(made, request, network, options) if isinstance(made, HlsProject) else None,
        "interface": interface.describe(made, network, kind, arrays),
        "output_kind": kind,
        "accuracy": _accuracy(network, kind, arrays),
    }


def _driver(
    request: Request, made: Design | HlsProject, network: IntegerNetwork, arrays: dict[str, np.ndarray]
) -> list[str] | None:
    """The files of the folder `driver/`; None, and no folder, for a board without a processor."""
    from qap2fpga.driver import files
    from qap2fpga.synth.vendor import system

    folder = request.output / files.FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    if not system.has_processor(request.board):
        return None
    vectors = arrays["recorded"] if len(arrays["recorded"]) else arrays["random"]
    files.write(made, network, request.output_kind, request.board, request.model.stem, vectors, folder)
    return sorted(path.name for path in folder.iterdir())


def simulate_c(request: Request, made: Stored, say: Say) -> list[Stored]:
    """The C++ of an hls4ml project, every layer, on all vectors."""
    from qap2fpga.simulate import csim

    network, arrays = _load(request)
    project = _project(made, request.output)
    result = csim.simulate(project, network, _all(arrays), request.output / "csim", progress=say)
    return [asdict(result)]


def simulate_rtl(request: Request, made: Stored, say: Say) -> list[Stored]:
    """The design's RTL in Verilator, every schedule, on all vectors."""
    from qap2fpga.simulate import rtl

    network, arrays = _load(request)
    vectors = _all(arrays)
    expected = reference.outputs(network, request.output_kind, vectors)
    folder = request.output / "simulate"
    design = _design(made, request.output)
    result = rtl.simulate(design, vectors, expected, folder, network=network, threads=1, progress=say)
    return [asdict(one) for one in result]


def synthesize(request: Request, made: Stored, say: Say) -> Stored:
    """The design mapped by Yosys to the board's cells."""
    from qap2fpga.synth import yosys

    design = _design(made, request.output)
    mapped = yosys.map_design(design, request.board, request.output / "synthesize", threads=2, progress=say)
    return {
        "measurement": asdict(yosys.measurement(mapped)),
        "cells": mapped.cells,
        "netlist": [str(path.relative_to(request.output)) for path in mapped.netlist],
    }


def simulate_netlist(request: Request, made: Stored, synthesized: Stored, say: Say) -> Stored:
    """The mapped netlist in Verilator, on some of the vectors."""
    from qap2fpga.simulate import netlist
    from qap2fpga.synth.yosys import Synthesis

    network, arrays = _load(request)
    files = tuple(request.output / name for name in synthesized["netlist"])
    chosen = _spread(arrays, NETLIST_VECTORS)
    result = netlist.simulate_netlist(
        _design(made, request.output),
        request.board,
        chosen,
        reference.outputs(network, request.output_kind, chosen),
        request.output / "netlist",
        network=network,
        mapped=Synthesis(synthesized["cells"], files),
        progress=say,
    )
    return asdict(result)


def plan_vendor(request: Request, made: Stored, *, installed: bool = True) -> Plan | None:
    """What AMD's tools are to do with the design or project, written to the folder `vendor`; None: nothing.

    Without a wish of the user's these are the usual steps, of tools that are there if `installed`.
    """
    from qap2fpga.synth import vendor

    hls, found = backends.get(made["backend"]).stand_in != "", vendor.find()
    steps = request.vendor
    if steps is None:
        kinds = {kind for kind in vendor.Kind if found.of(kind) is not None or not installed}
        steps = vendor.usual_steps(kinds, hls=hls)
    if not steps:
        return None
    design = _project(made, request.output) if hls else _design(made, request.output)
    board = replace(request.board, clock_ns=made["design"]["details"].get("clock_ns") or request.board.clock_ns)
    return vendor.plan(design, board, request.output / "vendor", found, steps=steps)


def run_vendor(plan: Plan, output: Path, say: Say) -> list[Stored]:
    """What each step of AMD's tools found. A bitstream goes beside its driver."""
    from qap2fpga.synth import vendor

    say(vendor.CAVEAT)
    found = vendor.run(plan, progress=say)
    for name in overlay(plan):
        shutil.copyfile(plan.folder / "overlay" / Path(name).name, output / name)
    return [asdict(one) for one in found]


def overlay(plan: Plan) -> tuple[str, ...]:
    """What the plan's bitstream leaves beside the driver, relative to the build's folder."""
    made = any(step.name == "bitstream" for step in plan.steps)
    return ("driver/network.bit", "driver/network.hwh") if made else ()


def simulate_dma(request: Request, made: Stored, say: Say) -> list[Stored]:
    """The design with the stream around it, from the words of the DMA to its words, on some of the vectors."""
    from qap2fpga.simulate import dma

    network, arrays = _load(request)
    vectors = _spread(arrays, NETLIST_VECTORS)
    vectors = vectors[: len(vectors) // DMA_BATCH * DMA_BATCH]
    expected = reference.outputs(network, request.output_kind, vectors)
    design, folder = _design(made, request.output), request.output / "dma"
    return [asdict(one) for one in dma.simulate(design, vectors, expected, folder, batch=DMA_BATCH, progress=say)]


def _predicted(design: Design, network: IntegerNetwork) -> Stored:
    """The design's resources by name, whether they are calibrated, and if so, what is predicted of every node."""
    from qap2fpga.predict.calibration import layer_sizes
    from qap2fpga.predict.estimate import calibrated, predict

    nodes, total = design.details["nodes"], design.details["estimate"]
    made = predict(design.backend, nodes, total, layer_sizes(network))
    known = calibrated(design.backend)
    stored: Stored = {"calibrated": known is not None, "intervals": {name: asdict(one) for name, one in made.items()}}
    if known is None:
        return {**stored, "lut_per_bop": None}
    return {
        **stored,
        "lut_per_bop": known.values["lut_per_bop"],
        "total": {**total, **{name: round(one.value) for name, one in made.items()}},
        "parts": {
            node["name"]: node["estimate"]
            | {name: round(known.of_node(name, node)) for name in known.values["resources"]}
            for node in nodes
        },
    }


def _csynth(project: HlsProject, request: Request, network: IntegerNetwork, options: Any) -> Stored:
    """What C synthesis is expected to state of a project, layer by layer, each with the word that its reports name the
    layer by."""
    from qap2fpga.predict import vendor

    expected = backends.get(project.backend).load().expect(network, request.board, options)
    found = vendor.values(vendor.predict(expected.nodes, request.board.family, project.clock_ns))
    configs = project.details["configs"]
    layers = [{**one, "config": config} for one, config in zip(found["layers"], configs, strict=True)]
    return {**found, "layers": layers, "top": project.top, "part": project.part, "clock_ns": project.clock_ns}


def _exact(folder: Path) -> tuple[IntegerNetwork, dict[str, np.ndarray]]:
    with np.load(folder / "vectors.npz") as stored:
        return IntegerNetwork.load(folder / "network.npz"), dict(stored)


def _load(request: Request) -> tuple[IntegerNetwork, dict[str, np.ndarray]]:
    """The network that hardware must equal, and the vectors."""
    _, arrays = _exact(request.output)
    return IntegerNetwork.load(request.output / _network(request)), arrays


def _network(request: Request) -> str:
    """The file of the network that hardware must equal."""
    return RELAXED if request.tolerance else "network.npz"


def _accuracy(network: IntegerNetwork, kind: str, arrays: dict[str, np.ndarray]) -> Stored | None:
    """Accuracy on the recorded vectors, from what leaves the chip; the simulation proves that this is it."""
    labels = arrays.get("labels")
    if labels is None or network.outputs == 1 or not len(labels):
        return None
    found = reference.classes(kind, reference.outputs(network, kind, arrays["recorded"]))
    return {"output": kind, "rows": len(labels), "value": float((found == labels).mean())}


def _design(made: Stored, output: Path) -> Design:
    """The `Design` that `generate` stored."""
    fields = made["design"]
    streams = {name: Stream(**fields[name]) for name in ("input", "output")}
    return Design(
        **{
            **fields,
            **streams,
            "folder": output / fields["folder"],
            "sources": tuple(fields["sources"]),
            "data": tuple(fields["data"]),
            "probes": tuple(Probe(**one) for one in fields["probes"]),
        }
    )


def _project(made: Stored, output: Path) -> HlsProject:
    """The `HlsProject` that `generate` stored."""
    return HlsProject.restore(made["design"], output / made["design"]["folder"])


def _all(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([arrays["recorded"], arrays["random"], arrays["extreme"]])


def _spread(arrays: dict[str, np.ndarray], count: int) -> np.ndarray:
    """`count` vectors or a few more: extremes first, then recorded and random ones in equal parts."""
    extreme = arrays["extreme"][: count // 4]
    rest = (count - len(extreme) + 1) // 2
    recorded = arrays["recorded"][:rest]
    return np.concatenate([extreme, recorded, arrays["random"][: count - len(extreme) - len(recorded)]])
