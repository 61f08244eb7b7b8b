# SPDX-License-Identifier: Apache-2.0
"""The key numbers of one build, with what they rest on: one row of a comparison, a table of values or a plot.

Two numbers may be compared only if they rest on the same: accuracies on the same rows, cells of one
kind of board that one tool counted at one stage, times at one clock. `Summary.basis` says on what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from qap2fpga.hw.resources import LABELS
from qap2fpga.report import check
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.network import Model
from qap2fpga.report.schema.results import Measurement, ResourcePrediction

BUILD, CHECKPOINT, CANDIDATE = "build", "checkpoint", "candidate"
# A value of a summary.
Value = str | int | float | None
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
    lut: float | None = None
    ff: float | None = None
    dsp: float | None = None
    bram18: float | None = None
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
    """Return the names of all fields, in order."""
    return tuple(field.name for field in fields(Summary))


def values(summary: Summary) -> dict[str, Value]:
    """Return the fields by name."""
    return asdict(summary)


def from_values(known: Mapping[str, Value]) -> Summary:
    """Return the summary of fields by name, as `values` gives them."""
    values: dict[str, Any] = dict(known)
    return Summary(**values)


def of_model(name: str, folder: Path, model: Model) -> Summary:
    """Return what is known of the network in `folder` before it is built."""
    layers, weights = model.layers, sum(layer.weights for layer in model.layers)
    known = Summary(
        kind=BUILD,
        name=name,
        folder=str(folder),
        model=model.file,
        model_sha256=model.sha256,
        weight_bits=_bits(layer.weight_bits for layer in layers),
        activation_bits=_bits(layer.input_bits for layer in layers),
        weights=weights,
        zeros=sum(layer.zeros for layer in layers) / weights,
        bops_paper=model.bops.paper,
        bops_nonzero_products=model.bops.nonzero_products,
    )
    if model.accuracy is None:
        return known
    return _accuracy(known, model.accuracy, model.rows, model.data, "the integer network")


def of_build(name: str, folder: Path, report: Report) -> Summary:
    """Return the summary of the stored `report` that lies in `folder`."""
    known = Summary(BUILD, name, str(folder)) if report.model is None else of_model(name, folder, report.model)
    chip = report.design.accuracy if report.design else None
    if chip:
        data = report.model.data if report.model else None
        known = _accuracy(known, chip.value, chip.rows, data, f"the chip's output ({chip.output})")
    known = replace(
        known,
        backend=report.backend,
        circuit=_circuit(report),
        board=report.board.name,
        part=report.board.part,
        mismatches=_mismatches(report),
        verdict=report.fits.verdict if report.fits else None,
        checks=len(check.run(report)),
        checks_failed=len(check.failed(report)),
        checks_not_run=len(check.not_run(report)),
    )
    return _times(_cells(known, report), report)


def hardware(report: Report) -> Measurement | ResourcePrediction | None:
    """Return what counted the cells: the last measurement, else the estimate; None when there is neither."""
    return report.latest or next(reversed(report.resources), None)


def _circuit(report: Report) -> str | None:
    circuits = [one.circuit for one in report.measurements] + [one.circuit for one in report.predictions]
    return circuits[0] if circuits else None


def _mismatches(report: Report) -> int | None:
    """Of all simulations that compared anything; None where none did."""
    counts = [one.mismatches for one in report.simulations if one.vectors]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _accuracy(known: Summary, value: float, rows: int | None, data: str | None, source: str) -> Summary:
    return replace(known, accuracy=value, accuracy_rows=rows, accuracy_data=data, accuracy_from=source)


def _cells(known: Summary, report: Report) -> Summary:
    """With the cells, what counted them, and their share of the board's."""
    counted = hardware(report)
    if counted is None:
        return known
    counts = {name: counted.total.get(name) for name in LABELS}
    lut, bops = counts["lut"], known.bops_paper
    return replace(
        known,
        tool=counted.tool,
        tool_version=counted.version,
        stage=counted.stage,
        lut=lut,
        ff=counts["ff"],
        dsp=counts["dsp"],
        bram18=counts["bram18"],
        lut_per_bop=lut / bops if lut is not None and bops else None,
        board_lut=_share(lut, report.board.lut),
        board_ff=_share(counts["ff"], report.board.ff),
        board_dsp=_share(counts["dsp"], report.board.dsp),
        board_bram18=_share(counts["bram18"], report.board.bram18),
    )


def _share(used: float | None, size: int | None) -> float | None:
    return used / size if used is not None and size else None


def _times(known: Summary, report: Report) -> Summary:
    """With cycles and times."""
    timing = report.timing
    if timing is None:
        return known
    latency, interval = timing.latency_cycles, timing.interval_cycles
    source = "measured" if latency.measured is not None else "estimated" if report.imported else "predicted"
    return replace(
        known,
        clock_ns=timing.clock_ns,
        latency_cycles=latency.known,
        interval_cycles=interval.known,
        cycles_from=None if latency.known is None and interval.known is None else source,
        latency_ns=timing.latency_ns,
        frames_per_second=timing.frames_per_second,
    )


def _bits(widths: Iterable[int]) -> str | None:
    """The width of all layers if they share one, else each layer's."""
    texts = [str(width) for width in widths]
    return (texts[0] if len(set(texts)) == 1 else ",".join(texts)) if texts else None
