# SPDX-License-Identifier: Apache-2.0
"""What a network will take on a board, before anything is generated: the backend's expectation, calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qap2fpga import backends
from qap2fpga.board import ECP5, FAMILIES, Board
from qap2fpga.errors import CheckFailed, QapError
from qap2fpga.network import IntegerNetwork
from qap2fpga.predict import calibration
from qap2fpga.predict.calibration import Prediction

RESOURCES = ("lut", "ff", "dsp", "bram18")


@dataclass(frozen=True)
class Estimate:
    """A network on one board by one backend. `refused` is the reason why it can not be built, else empty.

    `predictions` are by resource, and `latency_cycles` and `interval_cycles`; `calibrated` says whether their
    intervals rest on measured designs of this generator: without that, `low` and `high` of a fitted number are None.
    """

    backend: str
    board: Board
    predictions: dict[str, Prediction]
    calibrated: bool
    refused: str = ""

    @property
    def fits(self) -> bool | None:
        """Whether the highest value of every resource is within the board; None if it was refused."""
        if self.refused:
            return None
        return all(self.predictions[name].high <= getattr(self.board, name) for name in RESOURCES)


def estimate(network: IntegerNetwork, backend: str, board: Board, options: Any) -> Estimate:
    """What `backend` is expected to make of `network`, compacted, on `board`."""
    if backend not in FAMILIES[board.family].backends:
        return Estimate(backend, board, {}, False, f"the {backend} backend makes no hardware for {board.family}")
    try:
        expected = backends.get(backend).load().expect(network, board, options)
    except CheckFailed:
        raise
    except QapError as error:
        return Estimate(backend, board, {}, False, str(error))
    cycles = {name: getattr(expected, name) for name in ("latency_cycles", "interval_cycles")}
    sizes = calibration.layer_sizes(network)
    made, calibrated = predict(backend, expected.nodes, expected.total, sizes, board.family)
    exact = {name: Prediction(value, value, value) for name, value in cycles.items() if value is not None}
    return Estimate(backend, board, {**made, **exact}, calibrated)


def predict(
    backend: str, nodes: Sequence[dict[str, Any]], total: dict[str, Any], layers: Sequence[dict[str, int]], family: str
) -> tuple[dict[str, Prediction], bool]:
    """(predictions by resource, whether they are calibrated) of a design from what its backend expects of it.

    The designs that were measured are of AMD's families: an ECP5 has other LUTs. `layers` are the network's
    `layer_sizes`. What no calibration is there for, or only one of another generator, is the backend's own
    expectation, without an interval.
    """
    known = calibration.load(backend)
    calibrated = known is not None and known.current and family != ECP5
    made = {}
    for name in RESOURCES:
        value = float(total.get(name) or 0)
        made[name] = Prediction(value, value, value)
        if known is not None and calibrated and name in known.values["resources"]:
            made[name] = known.predict(name, nodes, calibration.sizes(layers))
    return made, calibrated
