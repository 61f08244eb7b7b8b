# SPDX-License-Identifier: Apache-2.0
"""What the stages of a build left, as its report. The same build gives the same bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qap2fpga.build.request import Request
from qap2fpga.hw.boards import Board
from qap2fpga.report import check, csynth
from qap2fpga.report.content import SCHEMA, Stored
from qap2fpga.report.routed import met


@dataclass(frozen=True)
class Results:
    """What the stages of a build stored; None for one that did not run, `relaxed` also where nothing was allowed.

    `made` is what the backend generated, `dma` its simulation from DMA to DMA, `vendor` what AMD's tools found of it.
    `stand_in` is another backend's circuit of the same integer network, for a backend whose own needs a tool that is
    not there; then it is what is simulated, synthesised and measured. `pins`, `routed` and `bitstream` are an ECP5
    board's; `cross_check` is what came of the design on another device.
    """

    model: Stored
    relaxed: Stored | None = None
    made: Stored | None = None
    csim: list[Stored] | None = None
    dma: list[Stored] | None = None
    vendor: list[Stored] | None = None
    stand_in: Stored | None = None
    simulated: list[Stored] | None = None
    synthesized: Stored | None = None
    netlist: Stored | None = None
    pins: Stored | None = None
    routed: Stored | None = None
    bitstream: Stored | None = None
    cross_check: Stored | None = None

    @property
    def circuit(self) -> Stored | None:
        """The hardware that there is: the backend's own, or what stands in for it."""
        if self.stand_in is not None:
            return None if "refused" in self.stand_in else self.stand_in
        return self.made if self.made is not None and "latency_cycles" in self.made["design"] else None


def collect(request: Request, digest: str, results: Results, versions: dict[str, Any]) -> Stored:
    """The report of what the stages stored; a stage that did not run leaves its part out or None.

    `digest` is that of the model file. `circuit` in a simulation, measurement or prediction names the backend whose
    hardware it is about.
    """
    facts, made, circuit = results.model["facts"], results.made, results.circuit
    hardware = [*(results.simulated or []), *(one for one in (results.netlist, results.pins) if one)]
    simulations = [{"circuit": None, **one} for one in results.model["simulations"]]
    simulations += [{"circuit": request.backend, **one} for one in [*(results.csim or []), *(results.dma or [])]]
    report: Stored = {
        "schema": SCHEMA,
        "model": {
            "file": request.model.name,
            "sha256": digest,
            **{key: value for key, value in facts.items() if key != "file"},
        },
        "board": {key: value for key, value in asdict(request.board).items() if key != "pins"},
        "backend": request.backend,
        "relaxed": results.relaxed,
        "design": made and _design(made),
        "interface": made and made["interface"],
        "driver": made and made["driver"],
        "stand_in": results.stand_in and _stand_in(results.stand_in),
        "simulations": simulations,
        "measurements": [],
        "predictions": [],
        "timing": None,
        "vendor": None if results.vendor is None else [_step(one) for one in results.vendor],
        "routed": results.routed and _routed(results.routed, results.bitstream),
        "cross_check": results.cross_check and _routed(results.cross_check, None),
    }
    if circuit is not None:
        name = circuit["backend"]
        simulations += [{"circuit": name, **one} for one in hardware]
        if results.synthesized is not None:
            report["measurements"].append({"circuit": name, **results.synthesized["measurement"]})
        if results.routed is not None:
            report["measurements"].append({"circuit": name, **results.routed["measurement"]})
        report["predictions"] = [{"circuit": name, **one} for one in _predictions(circuit, versions)]
        report["timing"] = _timing(circuit["design"], results.simulated, request.board, results.routed)
    if made is not None and made.get("csynth"):
        by = {"tool": "qap2fpga", "version": versions["qap2fpga"], "stage": "estimate"}
        report["predictions"].append({"circuit": request.backend, "what": csynth.WHAT, **by, **made["csynth"]})
    for one in results.vendor or []:
        if one["simulation"] is not None:
            simulations.append({"circuit": request.backend, **one["simulation"]})
        if one["measurement"] is not None:
            report["measurements"].append({"circuit": request.backend, **one["measurement"]})
    report["fits"] = check.fits(report)
    checks = check.all_checks(report, allow_oversize=request.options.allow_oversize)
    report["checks"] = [asdict(one) for one in checks]
    report["versions"] = versions
    return report


def _predictions(circuit: Stored, versions: dict[str, Any]) -> list[Stored]:
    """Cycles, and resources where the backend estimates them, in all and part by part."""
    design = circuit["design"]
    by = {"tool": "qap2fpga", "version": versions["qap2fpga"], "stage": "estimate"}
    cycles = {key: design[key] for key in ("interval_cycles", "latency_cycles")}
    found: list[Stored] = [{"what": "cycles", **cycles, **by}]
    estimate = design["estimate"]
    if estimate:
        nodes = design["nodes"]
        parts = {node["name"]: node["estimate"] for node in nodes if "estimate" in node}
        layers = {node["name"]: node["layer"] for node in nodes if node.get("layer")}
        found.append({"what": "resources", **by, "of_stage": "synthesis", "total": estimate, "parts": parts,
                      "layer_of": layers, **circuit["predicted"]})  # fmt: skip
    return found


def _design(made: Stored) -> Stored:
    """A design without what only this program needs to read it back."""
    design = made["design"]
    hidden = ("backend", "details", "traces", "input", "output", "output_kind")
    optional = ("clock_ns", "part", "nodes", "estimate", "configs", "folding")
    kept = {key: value for key, value in design.items() if key not in hidden and (value or key not in optional)}
    if "nodes" in kept:
        kept["nodes"] = [{key: one[key] for key in one if key != "features"} for one in kept["nodes"]]
    if "latency_cycles" not in kept:
        # C++ has no memory contents.
        kept.pop("data")
    return {**kept, "output_kind": made["output_kind"], "accuracy": made["accuracy"], **design["details"]}


def _stand_in(stored: Stored) -> Stored:
    said = {"backend": stored["backend"], "why": stored["why"], "refused": stored.get("refused")}
    return said if "refused" in stored else {**said, "design": _design(stored)}


def _step(found: Stored) -> Stored:
    """A step of AMD's tools, without what stands among the measurements and simulations."""
    return {key: value for key, value in found.items() if key not in ("measurement", "simulation")}


def _routed(found: Stored, bitstream: Stored | None) -> Stored:
    """What place and route found, without what stands among the measurements; `bitstream` is a file of the build."""
    kept = {key: value for key, value in found.items() if key != "measurement"}
    return {**kept, "tool": found["measurement"]["tool"], "bitstream": bitstream and bitstream["file"]}


def _timing(design: Stored, simulated: list[Stored] | None, board: Board, routed: Stored | None) -> Stored:
    """Cycles predicted and measured, and what they are in time at the board's clock, and who has confirmed that."""
    found: Stored = {}
    for key in ("latency_cycles", "interval_cycles"):
        values = [one[key] for one in simulated or [] if one.get(key) is not None]
        found[key] = {"predicted": design[key], "measured": values[0] if values else None}
    latency, interval = (
        found[key]["measured"] or found[key]["predicted"] for key in ("latency_cycles", "interval_cycles")
    )
    # A board with an open route runs at its oscillator's pace, whatever the pipeline was cut for.
    asked = None if board.device_family.open_route else design["clock_ns"]
    clock = asked or board.clock_ns
    return {
        **found,
        "clock_ns": clock,
        "latency_ns": None if latency is None else latency * clock,
        "frames_per_second": None if not interval else 1e9 / (interval * clock),
        "clock_note": ("the clock asked for" if clock != board.clock_ns else "the board file's clock")
        + (", which place and route has confirmed" if routed and met(routed) else _unconfirmed(routed)),
    }


def _unconfirmed(routed: Stored | None) -> str:
    placed = routed is not None and routed["achieved_ns"] is not None
    return ", which place and route did not reach" if placed else ", which no place-and-route has confirmed"
