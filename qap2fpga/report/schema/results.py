# SPDX-License-Identifier: Apache-2.0
"""What a report says of what was simulated, measured and predicted, and of the checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qap2fpga.estimate.prediction import Interval, LayerPrediction
from qap2fpga.system.codec import Count, Number, Positive, Record, Size

# What a prediction may be of, beside cycles.
RESOURCES, CSYNTH = "resources", "csynth"


@dataclass(frozen=True, kw_only=True)
class Simulation(Record):
    """One comparison of an engine with the network; `vectors` 0 or None where there was none."""

    circuit: str | None
    engine: str
    version: str
    compared: str
    vectors: Count | None
    mismatches: Count | None
    rounding_ties: Count | None
    latency_cycles: Number | None = None
    interval_cycles: Number | None = None
    note: str


@dataclass(frozen=True, kw_only=True)
class Measurement(Record):
    """Cells that a tool counted at a stage, by resource: of the design, and of its parts."""

    circuit: str | None
    tool: str
    version: str | None
    stage: str
    total: Mapping[str, Count | None]
    parts: Mapping[str, Mapping[str, Count | None]] | None = None
    note: str = ""
    cell_delay_ns: float | None = None


@dataclass(frozen=True, kw_only=True)
class CsynthLayer(LayerPrediction):
    """A layer whose functions have `config` in the names that an HLS tool gives them."""

    config: str


@dataclass(frozen=True, kw_only=True)
class LutPerBop(Record):
    """The ratio that nine of ten measured designs had."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Prediction(Record):
    """What was expected of a circuit: `what` says of its cycles, its resources, or its C synthesis."""

    circuit: str | None
    what: str
    tool: str | None = None
    version: str | None = None
    stage: str

    @classmethod
    def variant(cls, value: Mapping[str, object]) -> type[Record]:
        """Return the class that reads `value`, by its `what`."""
        return {RESOURCES: ResourcePrediction, CSYNTH: CsynthPrediction}.get(str(value.get("what")), cls)


@dataclass(frozen=True, kw_only=True)
class ResourcePrediction(Prediction):
    """Resources of a design and of its parts. Estimates of other tools are not `calibrated` and have no intervals."""

    of_stage: str = ""
    total: Mapping[str, Number | None]
    parts: Mapping[str, Mapping[str, Number | None]] = field(default_factory=dict)
    layer_of: Mapping[str, str] = field(default_factory=dict)
    calibrated: bool | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    lut_per_bop: LutPerBop | None = None


@dataclass(frozen=True, kw_only=True)
class CsynthPrediction(Prediction):
    """What C synthesis is expected to state of each layer and of their sum."""

    of_stage: str = "hls"
    calibrated: bool = False
    layers: tuple[CsynthLayer, ...]
    total: Mapping[str, Interval]
    errors: tuple[str, ...]
    observed: tuple[str, ...]
    top: str = ""
    part: str = ""
    clock_ns: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class Cycles(Record):
    """Clock cycles, as predicted and as simulated."""

    predicted: Number | None
    measured: Number | None

    @property
    def known(self) -> float | None:
        """What was measured, else what was predicted."""
        return self.predicted if self.measured is None else self.measured


@dataclass(frozen=True, kw_only=True)
class Timing(Record):
    """Cycles, and what they are in time at a clock; `clock_note` says who has confirmed that one."""

    latency_cycles: Cycles
    interval_cycles: Cycles
    clock_ns: Positive | None
    latency_ns: Number | None
    frames_per_second: Number | None
    clock_note: str


@dataclass(frozen=True, kw_only=True)
class VendorStep(Record):
    """What one step of AMD's tools stated."""

    step: str
    tool: str
    latency_max: Count | None
    interval_max: Count | None
    target_ns: float | None = None
    period_ns: float | None
    wns_ns: float | None


@dataclass(frozen=True, kw_only=True)
class Routed(Record):
    """What place and route found on a device; `used` are pairs of cells that are used and that there are."""

    tool: str
    version: str
    part: str
    path: str | None
    achieved_ns: Positive | None
    target_ns: Positive
    used: Mapping[str, tuple[Count, Size]]
    bitstream: str | None
    vectors_per_second: Number | None = None


@dataclass(frozen=True, kw_only=True)
class Use(Record):
    """How much of a resource of the board is used."""

    used: Count
    available: Size
    percent: Number


@dataclass(frozen=True, kw_only=True)
class Fits(Record):
    """The use of the board by resource, of the circuit, stage and tool that counted it."""

    verdict: str
    circuit: str | None
    stage: str
    tool: str = ""
    use: Mapping[str, Use]

    @property
    def over(self) -> dict[str, Use]:
        """What there is too little of."""
        return {name: one for name, one in self.use.items() if one.used > one.available}


class Outcome(StrEnum):
    """What came of a check. One that was not run says nothing, good or bad."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Check(Record):
    """One number compared with what was expected of it. `why` says why it failed, or why it was not run."""

    name: str
    expected: str
    found: str | None
    outcome: Outcome
    why: str

    @classmethod
    def of(cls, name: str, expected: str, found: str, passed: bool, why: str = "") -> Check:
        """Return a check that was run."""
        outcome = Outcome.PASSED if passed else Outcome.FAILED
        return cls(name=name, expected=expected, found=found, outcome=outcome, why=why)

    @classmethod
    def not_run(cls, name: str, expected: str, why: str, found: str | None = None) -> Check:
        """Return a check that nothing was compared in, because of `why`."""
        return cls(name=name, expected=expected, found=found, outcome=Outcome.NOT_RUN, why=why)

    @property
    def passed(self) -> bool:
        """Whether it was run and passed."""
        return self.outcome is Outcome.PASSED


@dataclass(frozen=True, kw_only=True)
class Skipped(Record):
    """A file of an import that gave no numbers. `broken`: it is a report, or looks like one, but cannot be read."""

    path: str
    kind: str
    reason: str
    broken: bool


@dataclass(frozen=True, kw_only=True)
class Imported(Record):
    """Where the numbers of other tools' reports are from."""

    skipped: tuple[Skipped, ...]
