# SPDX-License-Identifier: Apache-2.0
"""What the stages of a build left, as its report. The same build gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from qap2fpga.build.request import Request
from qap2fpga.build.stored import Stored
from qap2fpga.hw.boards import Board
from qap2fpga.report import check, schema
from qap2fpga.report.content import SCHEMA
from qap2fpga.report.routed import met
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import CSYNTH, RESOURCES, Cycles, Timing
from qap2fpga.synth.yosys import LongestPath
from qap2fpga.system.codec import encode


@dataclass(frozen=True)
class Results:
    """What the stages of a build stored; None for one that did not run, `relaxed` also where nothing was allowed.

    `generated` is what the backend left, `dma` its simulation from DMA to DMA, `vendor` what AMD's tools measured.
    `stand_in` is another backend's circuit of the same integer network, for a backend whose own needs a tool that is
    not there; then it is what is simulated, synthesised and measured. `path` is the longest one of the mapped cells.
    `proven` is a certificate without what simulations say, `proof` one with that; a netlist that is proven has no
    simulation. `pins`, `routed` and `bitstream` are an ECP5 board's; `cross_check` is the design on another device.
    """

    model: Stored
    relaxed: Stored | None = None
    generated: Stored | None = None
    csim: list[Stored] | None = None
    dma: list[Stored] | None = None
    vendor: list[Stored] | None = None
    stand_in: Stored | None = None
    simulated: list[Stored] | None = None
    synthesized: Stored | None = None
    path: Stored | None = None
    netlist: Stored | None = None
    proven: Stored | None = None
    proof: Stored | None = None
    pins: Stored | None = None
    routed: Stored | None = None
    bitstream: Stored | None = None
    cross_check: Stored | None = None

    @property
    def circuit(self) -> Stored | None:
        """The hardware that there is: the backend's own, or what stands in for it."""
        if self.stand_in is not None:
            return None if "refused" in self.stand_in else self.stand_in
        return self.generated if self.generated is not None and "latency_cycles" in self.generated["design"] else None


def collect(request: Request, digest: str, results: Results, versions: Mapping[str, str | None]) -> Report:
    """Return the report of what the stages stored; a stage that did not run leaves its part out or None.

    `digest` is that of the model file. `circuit` in a simulation, measurement or prediction names the backend whose
    hardware it is about.
    """
    facts, generated, circuit = results.model["facts"], results.generated, results.circuit
    timing = circuit and _timing(circuit["design"], results.simulated, request.board, results.routed)
    tree = {
        "schema": SCHEMA,
        "model": {
            "file": request.model.name,
            "sha256": digest,
            **{key: value for key, value in facts.items() if key != "file"},
        },
        "board": {key: value for key, value in asdict(request.board).items() if key != "pins"},
        "backend": request.backend,
        "relaxed": results.relaxed,
        "design": generated and _design(generated),
        "interface": generated and generated["interface"],
        "driver": generated and generated["driver"],
        "stand_in": results.stand_in and _stand_in(results.stand_in),
        "simulations": _simulations(request.backend, results),
        "proof": results.proof,
        "measurements": _measurements(request.backend, results),
        "predictions": _predictions(request.backend, results, versions["qap2fpga"]),
        "timing": encode(timing),
        "vendor": None if results.vendor is None else [_step(one) for one in results.vendor],
        "routed": results.routed and _routed(results.routed, results.bitstream),
        "cross_check": results.cross_check and _routed(results.cross_check, None),
        "fits": None,
        "checks": [],
        "versions": dict(versions),
    }
    # Through the file's own form: what a build writes can be read.
    report = schema.read(json.loads(json.dumps(tree)), str(request.output))
    report = replace(report, fits=check.fits(report))
    return replace(report, checks=check.all_checks(report, allow_oversize=request.options.allow_oversize))


def _simulations(backend: str, results: Results) -> list[Stored]:
    """Of the network itself, of the backend's own code, of the circuit that there is, and by AMD's tools."""
    own = [*(results.csim or []), *(results.dma or [])]
    hardware = [*(results.simulated or []), *(one for one in (results.netlist, results.pins) if one)]
    theirs = [one["simulation"] for one in results.vendor or [] if one["simulation"] is not None]
    circuit = results.circuit
    return [
        *({"circuit": None, **one} for one in results.model["simulations"]),
        *({"circuit": backend, **one} for one in own),
        *({"circuit": circuit["backend"], **one} for one in hardware if circuit is not None),
        *({"circuit": backend, **one} for one in theirs),
    ]


def _measurements(backend: str, results: Results) -> list[Stored]:
    """By Yosys and by place and route of the circuit that there is, and by AMD's tools."""
    circuit = results.circuit
    mapped = [_timed(results.synthesized["measurement"], results.path)] if results.synthesized else []
    mapped += [results.routed["measurement"]] if results.routed else []
    theirs = [one["measurement"] for one in results.vendor or [] if one["measurement"] is not None]
    return [
        *({"circuit": circuit["backend"], **one} for one in mapped if circuit is not None),
        *({"circuit": backend, **one} for one in theirs),
    ]


def _timed(measurement: Stored, path: Stored | None) -> Stored:
    """A measurement of mapped cells, with their longest path if that was looked for."""
    if path is None:
        return measurement
    return {**measurement, "note": f"{measurement['note']}; {LongestPath(**path)}", "cell_delay_ns": path["ns"]}


def _predictions(backend: str, results: Results, version: str | None) -> list[Stored]:
    """Of the circuit that there is, and of C synthesis of the backend's own code."""
    by = {"tool": "qap2fpga", "version": version, "stage": "estimate"}
    predictions = [] if results.circuit is None else _of_circuit(results.circuit, by)
    if results.generated is not None and results.generated.get("csynth"):
        predictions.append({"circuit": backend, "what": CSYNTH, **by, **results.generated["csynth"]})
    return predictions


def _of_circuit(circuit: Stored, by: Stored) -> list[Stored]:
    """Cycles, and resources where the backend estimates them, in all and part by part."""
    design, backend = circuit["design"], circuit["backend"]
    cycles = {key: design[key] for key in ("interval_cycles", "latency_cycles")}
    predictions: list[Stored] = [{"circuit": backend, "what": "cycles", **cycles, **by}]
    estimate = design["estimate"]
    if estimate:
        nodes = design["nodes"]
        parts = {node["name"]: node["estimate"] for node in nodes if "estimate" in node}
        layers = {node["name"]: node["layer"] for node in nodes if node.get("layer")}
        predictions.append({"circuit": backend, "what": RESOURCES, **by, "of_stage": "synthesis", "total": estimate,
                            "parts": parts, "layer_of": layers, **circuit["predicted"]})  # fmt: skip
    return predictions


def _design(generated: Stored) -> Stored:
    """A design without what only this program needs to read it back."""
    design = generated["design"]
    hidden = ("backend", "details", "traces", "alone", "input", "output", "output_kind")
    optional = ("clock_ns", "part", "nodes", "estimate", "configs", "folding")
    kept = {key: value for key, value in design.items() if key not in hidden and (value or key not in optional)}
    if "nodes" in kept:
        kept["nodes"] = [{key: one[key] for key in one if key != "features"} for one in kept["nodes"]]
    if "configs" in kept:
        kept["configs"] = list(kept["configs"].values())
    if "latency_cycles" not in kept:
        # C++ has no memory contents.
        kept.pop("data")
    return {**kept, "output_kind": generated["output_kind"], "accuracy": generated["accuracy"], **design["details"]}


def _stand_in(stored: Stored) -> Stored:
    reasons = {"backend": stored["backend"], "why": stored["why"], "refused": stored.get("refused")}
    return reasons if "refused" in stored else {**reasons, "design": _design(stored)}


def _step(step: Stored) -> Stored:
    """A step of AMD's tools, without what stands among the measurements and simulations."""
    return {key: value for key, value in step.items() if key not in ("measurement", "simulation")}


def _routed(placed: Stored, bitstream: Stored | None) -> Stored:
    """What place and route found, without what stands among the measurements; `bitstream` is a file of the build."""
    kept = {key: value for key, value in placed.items() if key != "measurement"}
    return {**kept, "tool": placed["measurement"]["tool"], "bitstream": bitstream and bitstream["file"]}


def _timing(design: Stored, simulated: list[Stored] | None, board: Board, routed: Stored | None) -> Timing:
    """Cycles predicted and measured, and what they are in time at the board's clock, and who has confirmed that."""
    latency, interval = (_cycles(design, simulated or [], key) for key in ("latency_cycles", "interval_cycles"))
    # A board with an open route runs at its oscillator's pace, whatever the pipeline was cut for.
    target = None if board.device_family.open_route else design["clock_ns"]
    clock = target or board.clock_ns
    whose = "the clock asked for" if clock != board.clock_ns else "the board file's clock"
    return Timing(
        latency_cycles=latency,
        interval_cycles=interval,
        clock_ns=clock,
        latency_ns=None if latency.known is None else latency.known * clock,
        frames_per_second=None if not interval.known else 1e9 / (interval.known * clock),
        clock_note=f"{whose}, {_confirmed(routed)}",
    )


def _cycles(design: Stored, simulated: list[Stored], key: str) -> Cycles:
    """As the design was predicted, and as it was simulated first."""
    measured = [one[key] for one in simulated if one.get(key) is not None]
    return Cycles(predicted=design[key], measured=measured[0] if measured else None)


def _confirmed(routed: Stored | None) -> str:
    """Whether place and route has confirmed the clock."""
    if routed is None or routed["achieved_ns"] is None:
        return "which no place-and-route has confirmed"
    reached = met(routed["achieved_ns"], routed["target_ns"])
    return "which place and route has confirmed" if reached else "which place and route did not reach"
