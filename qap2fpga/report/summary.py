# SPDX-License-Identifier: Apache-2.0
"""The key numbers of one build, with what they rest on: one row of a comparison, a table of values or a plot.

Two numbers may be held against each other only if they rest on the same: accuracies on the same rows, cells of one
kind of board that one tool counted at one stage, times at one clock. `Summary.basis` says on what.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from qap2fpga.report import check
from qap2fpga.report.show import RESOURCE_NAMES

BUILD, CHECKPOINT, CANDIDATE = "build", "checkpoint", "candidate"
Report = dict[str, Any]
# What a number rests on: pairs of a name ("board") and a value ("pynq-z2").
Basis = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Summary:
    """One build, one checkpoint of a study, or one candidate of an exploration; None is what nobody has found out yet.

    Also the columns of the CSV. `circuit` is the backend whose hardware the numbers are of; it differs from `backend`
    where another circuit stands in. `tool` and `stage` counted the cells. `accuracy` and `zeros` are shares of 1;
    `accuracy_from` says what computed the accuracy, `accuracy_data` on what data; `mean_auc` is the mean over the
    classes. `cycles_from` is "measured" (by simulation), "predicted", or "estimated" by the tool of an imported report.
    `mismatches` are those of all simulations, and `checks` counts those that were run.
    """

    kind: str
    name: str
    folder: str
    model: str | None = None
    model_sha256: str | None = None
    backend: str | None = None
    circuit: str | None = None
    board: str | None = None
    part: str | None = None
    clock_ns: float | None = None
    weight_bits: str | None = None
    activation_bits: str | None = None
    weights: int | None = None
    zeros: float | None = None
    accuracy: float | None = None
    accuracy_rows: int | None = None
    accuracy_data: str | None = None
    accuracy_from: str | None = None
    mean_auc: float | None = None
    bops_paper: float | None = None
    bops_nonzero_products: float | None = None
    tool: str | None = None
    tool_version: str | None = None
    stage: str | None = None
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram18: int | None = None
    lut_per_bop: float | None = None
    board_lut: float | None = None
    board_ff: float | None = None
    board_dsp: float | None = None
    board_bram18: float | None = None
    latency_cycles: float | None = None
    interval_cycles: float | None = None
    cycles_from: str | None = None
    latency_ns: float | None = None
    frames_per_second: float | None = None
    mismatches: int | None = None
    verdict: str | None = None
    checks: int | None = None
    checks_failed: int | None = None
    checks_not_run: int | None = None

    @property
    def another_circuit(self) -> bool:
        """Whether the hardware numbers are of a circuit that stands in for the backend's own."""
        return self.circuit is not None and self.circuit != self.backend

    @property
    def flag(self) -> str:
        """Says beside a number that it is of another circuit; empty where it is not."""
        return f"{self.circuit} circuit, not {self.backend}'s" if self.another_circuit else ""

    @property
    def sound(self) -> bool:
        """Whether no check failed and nothing differed from the network: only such a build may be the best of some."""
        return not self.checks_failed and not self.mismatches

    def basis(self, kind: str) -> Basis:
        """On what the numbers of `kind` rest: 'accuracy', 'cells', 'cycles', or '' for what any two may share."""
        own = "own circuit"
        whose = ("circuit", f"{self.circuit} circuit in place of {self.backend}'s" if self.another_circuit else own)
        if kind == "accuracy":
            return (("data", self.accuracy_data or "the model's own"), ("rows", str(self.accuracy_rows)))
        if kind == "cells":
            return (("board", str(self.board)), ("stage", str(self.stage)), ("tool", str(self.tool)), whose)
        if kind == "cycles":
            clock = "" if self.clock_ns is None else f"{self.clock_ns:g} ns"
            return (("board", str(self.board)), ("clock", clock), ("cycles", str(self.cycles_from)), whose)
        return ()


def columns() -> tuple[str, ...]:
    """The names of all fields, in order."""
    return tuple(field.name for field in fields(Summary))


def values(summary: Summary) -> dict[str, Any]:
    """The fields by name."""
    return asdict(summary)


def of_build(name: str, folder: Path, report: Report) -> Summary:
    """The summary of the stored `report` that lies in `folder`."""
    model, board = report.get("model") or {}, report.get("board") or {}
    layers, bops = model.get("layers") or [], model.get("bops") or {}
    weights = sum(layer["weights"] for layer in layers)
    cells, checks = _cells(report, bops), report.get("checks")
    return Summary(
        kind=BUILD,
        name=name,
        folder=str(folder),
        model=model.get("file"),
        model_sha256=model.get("sha256"),
        backend=report.get("backend"),
        circuit=_circuit(report),
        board=board.get("name"),
        part=board.get("part"),
        weight_bits=_bits(layer["weight_bits"] for layer in layers),
        activation_bits=_bits(layer["input_bits"] for layer in layers),
        weights=weights or None,
        zeros=sum(layer["zeros"] for layer in layers) / weights if weights else None,
        bops_paper=bops.get("paper"),
        bops_nonzero_products=bops.get("nonzero_products"),
        mismatches=_mismatches(report),
        verdict=(report.get("fits") or {}).get("verdict"),
        checks=None if checks is None else len(check.run(report)),
        checks_failed=None if checks is None else len(check.failed(report)),
        checks_not_run=None if checks is None else len(check.not_run(report)),
        **_accuracy(report),
        **cells,
        **_times(report),
    )


def hardware(report: Report) -> Report | None:
    """What counted the cells: the last measurement, else the estimate; None when there is neither."""
    measured = check.latest(report)
    if measured is not None:
        return measured
    return next((one for one in reversed(report["predictions"]) if one["what"] == "resources"), None)


def _circuit(report: Report) -> str | None:
    parts = [*report["measurements"], *report["predictions"]]
    return parts[0]["circuit"] if parts else None


def _mismatches(report: Report) -> int | None:
    """Of all simulations that compared anything; None where none did."""
    counts = [one["mismatches"] for one in report.get("simulations") or [] if one["vectors"]]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _accuracy(report: Report) -> dict[str, Any]:
    """By the chip's output where that is known, else the integer network's."""
    model, chip = report.get("model") or {}, (report.get("design") or {}).get("accuracy")
    if chip:
        value, rows, source = chip["value"], chip["rows"], f"the chip's output ({chip['output']})"
    elif model.get("accuracy") is not None:
        value, rows, source = model["accuracy"], model["rows"], "the integer network"
    else:
        return {}
    data = {"accuracy_data": model.get("data"), "accuracy_from": source}
    return {"accuracy": value, "accuracy_rows": rows, **data}


def _cells(report: Report, bops: dict[str, Any]) -> dict[str, Any]:
    found = hardware(report)
    if found is None:
        return {}
    total, board = found["total"], report["board"]
    counts = {name: total.get(name) for name in RESOURCE_NAMES}
    shares = {
        f"board_{name}": count / board[name] for name, count in counts.items() if count is not None and board.get(name)
    }
    by = {"tool": found.get("tool"), "tool_version": found.get("version"), "stage": found["stage"]}
    per_bop = counts["lut"] / bops["paper"] if counts["lut"] is not None and bops.get("paper") else None
    return {**counts, **shares, **by, "lut_per_bop": per_bop}


def _times(report: Report) -> dict[str, Any]:
    timing = report.get("timing")
    if not timing:
        return {}
    latency, interval = timing["latency_cycles"], timing["interval_cycles"]
    source = "measured" if latency["measured"] is not None else "predicted"
    known = latency[source] is not None or any(one is not None for one in interval.values())
    before = "estimated" if "imported" in report else "predicted"
    return {
        "clock_ns": timing["clock_ns"],
        "latency_cycles": latency[source],
        "interval_cycles": interval["predicted"] if interval["measured"] is None else interval["measured"],
        "cycles_from": None if not known else source if source == "measured" else before,
        "latency_ns": timing["latency_ns"],
        "frames_per_second": timing["frames_per_second"],
    }


def _bits(widths: Any) -> str | None:
    """The width of all layers if they share one, else each layer's."""
    found = [str(width) for width in widths]
    return (found[0] if len(set(found)) == 1 else ",".join(found)) if found else None
