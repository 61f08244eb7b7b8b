# SPDX-License-Identifier: Apache-2.0
"""The network, and hardware or C++ made of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.api import Options, require_possible
from qap2fpga.build import stored
from qap2fpga.build.request import Request
from qap2fpga.build.stored import RELAXED, Say, Stored
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Artifact, Design
from qap2fpga.ir import outputs as reference
from qap2fpga.ir import storage
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.shown import Frame
from qap2fpga.report import interface, profiles
from qap2fpga.system.arrays import save_npz
from qap2fpga.system.codec import encode
from qap2fpga.system.files import write_atomically

MODEL_FILES = ("model.qonnx.onnx", "network.lowered.npz", "network.npz", "profile.json", "vectors.npz")


def model(request: Request, forget: Callable[[str], None], say: Say) -> Stored:
    """From the model file to the integer network and the vectors, compared with torch and qonnx.

    Raises what the backend refuses before that comparison, if the build is to get as far as the backend.
    """
    from qap2fpga.frontend import export
    from qap2fpga.frontend.prepare import Source, prepare
    from qap2fpga.ir.profile import profile

    source = Source(
        request.model, request.widths, request.data, request.input_range, request.classes,
        output_kind=request.output_kind, output=request.model_output,
    )  # fmt: skip
    prepared = prepare(source, say, lambda network: admit(network, request))
    forget("model")
    export.write(prepared.qonnx, request.output / "model.qonnx.onnx")
    storage.save(prepared.lowered, request.output / "network.lowered.npz")
    storage.save(prepared.network, request.output / "network.npz")
    arrays = {"recorded": prepared.recorded[:1000], "random": prepared.random, "extreme": prepared.extreme}
    if prepared.labels is not None:
        arrays["labels"] = prepared.labels[:1000]
    if prepared.first_input is not None:
        arrays["first_input"] = prepared.first_input
    save_npz(request.output / "vectors.npz", arrays)
    say("counting integers")
    of = "recorded" if len(arrays["recorded"]) else "random"
    counted = profile(prepared.lowered, arrays[of], of)
    write_atomically(request.output / profiles.FILE, profiles.dump(counted))
    return {"facts": prepared.facts.record(), "simulations": [asdict(one) for one in prepared.simulations]}


def admit(network: Graph, request: Request) -> None:
    """Raise why the backend cannot build `network`; one that is to be relaxed is not yet what it builds."""
    if request.reaches("generate") and request.tolerance == 0:
        require_possible(backends.get(request.backend).check(network, request.board, request.options))


def relax(request: Request, say: Say) -> Stored:
    """A network whose requantizers are cheaper and differ by the steps allowed: from here on the reference.

    The exact one stays beside it; what changed, and the accuracy of both, is returned.
    """
    network, arrays = stored.exact(request.output)
    relaxed = backends.get(request.backend).relax(network, request.tolerance)
    storage.save(relaxed.network, request.output / RELAXED)
    facts = relaxed.facts(arrays["recorded"], arrays.get("labels"))
    changed = sum(layer.changed for layer in facts.layers)
    say(f"{changed} requantizers differ by {request.tolerance} steps at most")
    return asdict(facts)


def generate(
    request: Request, backend: str, options: Options, model: Stored, forget: Callable[[str], None], say: Say
) -> Stored:  # fmt: skip
    """What `backend` makes of the network, in the build's folder of that name; `model` is what its stage stored.

    What an earlier build left there stays where the backend refuses what is asked for now.
    """
    network, arrays = stored.load(request)
    folder = request.output / backend
    if folder.is_dir():
        backends.get(backend).expect(network, request.board, options)
    forget("generate")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        vectors = np.concatenate([arrays["recorded"], arrays["random"]])
        artifact = backends.get(backend).generate(network, request.board, folder, options, vectors, say)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    kind, circuit = request.output_kind, artifact.circuit
    frame = stored.frame(model, request.output)
    driver = _driver(request, artifact, network, arrays, frame) if backend == request.backend else None
    return {
        "backend": backend,
        "board": asdict(request.board),
        "network": stored.network_file(request),
        "driver": driver,
        "design": stored.fields(artifact, request.output),
        "predicted": None if circuit is None else predicted(circuit, network, request.board),
        "csynth": _csynth(artifact, request, network, options) if circuit is None else None,
        "interface": encode(interface.describe(artifact, network, kind, arrays)),
        "output_kind": kind,
        "accuracy": _accuracy(network, kind, arrays),
    }


def _driver(
    request: Request, artifact: Artifact, network: Graph, arrays: dict[str, np.ndarray], frame: Frame | None
) -> list[str] | None:
    """The files of the folder `driver/`; None, and no folder, for a board without a processor or unknown ports."""
    from qap2fpga.driver import files
    from qap2fpga.synth.amd import system

    folder = request.output / files.FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    if not system.has_processor(request.board) or not artifact.wrappable:
        return None
    vectors = arrays["recorded"] if len(arrays["recorded"]) else arrays["random"]
    files.write(artifact, network, request.output_kind, request.board, request.model.stem, vectors, folder, frame)
    return sorted(path.name for path in folder.iterdir())


def predicted(design: Design, network: Graph, board: Board) -> Stored:
    """The design's resources by name, whether they are calibrated, and if so, what is predicted of every node."""
    from qap2fpga.estimate.estimate import calibrated, predict

    nodes, total = design.nodes, design.estimate
    intervals = predict(design.backend, nodes, total, network, board.family)
    known = calibrated(design.backend, board.family, network, nodes)
    prediction: Stored = {"calibrated": known is not None, "intervals": encode(intervals)}
    if known is None:
        return {**prediction, "lut_per_bop": None}
    fitted = known.values["resources"]
    return {
        **prediction,
        "lut_per_bop": known.values["lut_per_bop"],
        "total": {**total, **{name: round(one.value) for name, one in intervals.items()}},
        "parts": {
            node.name: {**node.estimate, **{name: round(known.of_node(name, node)) for name in fitted}}
            for node in nodes
        },
    }


def _csynth(project: Artifact, request: Request, network: Graph, options: Options) -> Stored:
    """What C synthesis is expected to state of a project, layer by layer, each with the word that its reports name the
    layer by."""
    from qap2fpga.estimate import vendor

    expected = backends.get(project.backend).expect(network, request.board, options)
    clock_ns = project.clock(request.board)
    prediction = encode(vendor.predict(expected.nodes, request.board.family, clock_ns))
    layers = [{**one, "config": project.configs[one["layer"]]} for one in prediction["layers"]]
    return {**prediction, "layers": layers, "top": project.top, "part": project.part, "clock_ns": clock_ns}


def _accuracy(network: Graph, kind: str, arrays: dict[str, np.ndarray]) -> Stored | None:
    """Accuracy on the recorded vectors, from what leaves the chip; the simulation compares that with this."""
    labels = arrays.get("labels")
    if labels is None or network.outputs == 1 or kind == "values" or not len(labels):
        return None
    classes = reference.classes(kind, reference.outputs(network, kind, arrays["recorded"]))
    return {"output": kind, "rows": len(labels), "value": float((classes == labels).mean())}
