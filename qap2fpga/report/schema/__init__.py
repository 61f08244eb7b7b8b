# SPDX-License-Identifier: Apache-2.0
"""The types of a `report.json`; `docs/formats.md` says what each key means. Other keys may be there.

A report comes from a folder that anyone may have changed, so `read` looks at all that is shown, summed or divided.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from qap2fpga.hw.resources import NAMES
from qap2fpga.prove.certificate import Certificate
from qap2fpga.report.schema.hardware import Board, Design, Interface, StandIn
from qap2fpga.report.schema.network import Model, Relaxed
from qap2fpga.report.schema.results import (
    Check,
    CsynthPrediction,
    Fits,
    Imported,
    Measurement,
    Outcome,
    Prediction,
    ResourcePrediction,
    Routed,
    Simulation,
    Timing,
    VendorStep,
)
from qap2fpga.system.codec import Record, decode
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import shown

HINT = "build again"
# A scale: a fraction as text, of a size that a float has.
FRACTION = re.compile(r"\d{1,300}(/0*[1-9]\d{0,299})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Report(Record):
    """All that is known of one build, or of one design that other tools' reports are about.

    `relaxed`, `proof`, `routed`, `cross_check` are of builds only, `imported` of imports.
    """

    schema: int
    model: Model | None
    board: Board
    backend: str
    relaxed: Relaxed | None = None
    design: Design | None
    interface: Interface | None
    driver: tuple[str, ...] | None = None
    stand_in: StandIn | None
    simulations: tuple[Simulation, ...]
    proof: Certificate | None = None
    measurements: tuple[Measurement, ...]
    predictions: tuple[Prediction, ...]
    timing: Timing | None
    vendor: tuple[VendorStep, ...] | None
    routed: Routed | None = None
    cross_check: Routed | None = None
    fits: Fits | None
    checks: tuple[Check, ...]
    imported: Imported | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def latest(self) -> Measurement | None:
        """The measurement that counts for the board: the last one."""
        return self.measurements[-1] if self.measurements else None

    @property
    def open_measurement(self) -> Measurement | None:
        """What Yosys measured, which predictions are about; None where it did not run."""
        return next((one for one in self.measurements if one.tool == "yosys"), None)

    @property
    def resources(self) -> tuple[ResourcePrediction, ...]:
        """Return the predictions of resources."""
        return tuple(one for one in self.predictions if isinstance(one, ResourcePrediction))

    @property
    def csynth(self) -> CsynthPrediction | None:
        """What C synthesis is expected to state."""
        return next((one for one in self.predictions if isinstance(one, CsynthPrediction)), None)

    def checks_that(self, *outcomes: Outcome) -> list[Check]:
        """Return the checks of these outcomes."""
        return [one for one in self.checks if one.outcome in outcomes]


def read(tree: dict[str, object], where: str) -> Report:
    """Return the report that the file `where` holds as `tree`.

    Raises `QapError` for the first part that is missing, of another type, or does not fit the others.
    """
    report: Report = decode(Report, tree, "", where)
    for index, one in enumerate(report.predictions):
        intervals = one.intervals if isinstance(one, ResourcePrediction) else {}
        if missing := intervals and set(NAMES) - set(intervals):
            raise QapError(f"{where}: predictions[{index}].intervals has no {', '.join(sorted(missing))}", HINT)
    _model(report, where)
    for name, use in (report.fits.use if report.fits else {}).items():
        if name not in NAMES:
            raise QapError(f"{where}: fits.use.{name} is no resource: {shown(use)}", HINT)
    return report


def _model(report: Report, where: str) -> None:
    """What a report says of a network must fit to the network."""
    model, relaxed = report.model, report.relaxed
    if relaxed and relaxed.accuracy is not None and relaxed.accuracy_exact is None:
        raise QapError(f"{where}: 'relaxed.accuracy_exact' is missing", HINT)
    if model is not None and not model.layers:
        raise QapError(f"{where}: the model has no layers", HINT)
    if model is not None and model.output is not None and not FRACTION.fullmatch(model.output.scale):
        raise QapError(f"{where}: model.output.scale = {shown(model.output.scale)}", "it must be a fraction")
    known = {layer.name for layer in model.layers} | {node.name for node in model.nodes} if model else set()
    for layer in report.csynth.layers if model and report.csynth else ():
        if layer.layer not in known:
            raise QapError(f"{where}: a prediction is of layer {shown(layer.layer)}, which the model has not", HINT)
