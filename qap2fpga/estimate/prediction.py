# SPDX-License-Identifier: Apache-2.0
"""What is predicted, as it goes from the estimates into reports: numbers with intervals, and dense layers of C++."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qap2fpga.system.codec import Number, Record


@dataclass(frozen=True)
class Interval(Record):
    """A predicted number, the interval that it is in for nearly all measured designs, and what it rests on.

    `low` and `high` are equal to `value` for what follows exactly, as cycles and DSP blocks. `outside` names what of
    the network is beyond the designs that were measured; the interval is wider then.
    """

    value: Number
    low: Number
    high: Number
    outside: tuple[str, ...] = ()

    @classmethod
    def exact(cls, value: float) -> Interval:
        """Return the interval of a number that follows exactly."""
        return cls(value, value, value)

    def holds(self, number: float) -> bool:
        """Return whether `number` is in the interval."""
        return self.low <= number <= self.high


@dataclass(frozen=True, kw_only=True)
class LayerPrediction(Record):
    """What C synthesis is expected to state of one dense layer, `name` in hls4ml and `layer` in the network.

    `outside` says what of it is unlike the measured layers; `missing`, by resource, why there is no prediction at all;
    `calibrated` whether a report can be compared with it.
    """

    name: str
    layer: str
    predictions: Mapping[str, Interval]
    outside: tuple[str, ...]
    missing: Mapping[str, str]
    calibrated: bool


@dataclass(frozen=True, kw_only=True)
class Csynth(Record):
    """What C synthesis is expected to state of a network: of each dense layer, and in `total` their sums.

    The sum's interval is widened by what whole networks had more than their dense layers; so few of these are known
    that it is never a gate. `errors` are sentences on how far off the fits are on shapes that were left out of them,
    `observed` on ratios that are told only.
    """

    of_stage: str = "hls"
    calibrated: bool = False
    layers: tuple[LayerPrediction, ...]
    total: Mapping[str, Interval]
    errors: tuple[str, ...]
    observed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Estimated(Record):
    """What is expected of a network on one board by one backend, as it is shown and kept.

    `refused` says why it cannot be built; `fits` and the rest are as in `estimate.Estimate`.
    """

    backend: str = ""
    board: str = ""
    stage: str = "estimate"
    of_stage: str = ""
    calibrated: bool
    refused: str | None = None
    fits: bool | None = None
    predictions: Mapping[str, Interval]
    csynth: Csynth | None = None
