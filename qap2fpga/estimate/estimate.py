# SPDX-License-Identifier: Apache-2.0
"""What a network will take on a board, before anything is generated: the backend's expectation, calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qap2fpga import backends
from qap2fpga.backends.api import Options
from qap2fpga.estimate import calibration, vendor
from qap2fpga.estimate.calibration import Calibration
from qap2fpga.estimate.prediction import Csynth, Estimated, Interval
from qap2fpga.hw import families
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import NodeEstimate, Stage
from qap2fpga.hw.resources import NAMES, Counts
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import CheckFailed, QapError


@dataclass(frozen=True)
class Estimate:
    """A network on one board by one backend. `refused` is the reason why it cannot be built, else empty.

    `predictions` are by resource, and `latency_cycles` and `interval_cycles`; `calibrated` says whether their
    intervals rest on measured designs of this generator: without that, a number stands alone, as if it were exact.
    They are about the numbers of stage `of_stage`. Where that is 'hls', `csynth` says what is known layer by layer,
    resources that nothing predicts are not among the predictions, and `interval_cycles` is what the code asks for.
    `nodes` are what the backend expects of the design's parts.
    """

    backend: str
    board: Board
    predictions: dict[str, Interval]
    calibrated: bool
    refused: str = ""
    of_stage: str = Stage.SYNTHESIS
    csynth: Csynth | None = None
    nodes: tuple[NodeEstimate, ...] = ()

    @property
    def fits(self) -> bool | None:
        """Whether the highest value of every resource is within the board; None if it was refused, and for what C
        synthesis states: that is several times what synthesis finds."""
        if self.refused or self.csynth is not None:
            return None
        return all(self.predictions[name].high <= self.board.available(name) for name in NAMES)

    @property
    def record(self) -> Estimated:
        """The estimate as it is shown and kept, node by node left out."""
        return Estimated(
            backend=self.backend, board=self.board.name, of_stage=self.of_stage, calibrated=self.calibrated,
            refused=self.refused or None, fits=self.fits, predictions=self.predictions, csynth=self.csynth,
        )  # fmt: skip


def estimate(network: Graph, backend: str, board: Board, options: Options) -> Estimate:
    """What `backend` is expected to make of `network`, compacted, on `board`."""
    try:
        expected = backends.get(backend).expect(network, board, options)
    except CheckFailed:
        raise
    except QapError as error:
        return Estimate(backend, board, {}, False, str(error))
    if backend == vendor.BACKEND:
        csynth = vendor.predict(expected.nodes, board.family, options.clock_ns(board))
        interval = Interval.exact(float(expected.interval_cycles))
        return Estimate(backend, board, {**csynth.total, "interval_cycles": interval}, False, "", Stage.HLS, csynth)
    cycles = {name: getattr(expected, name) for name in ("latency_cycles", "interval_cycles")}
    predictions = predict(backend, expected.nodes, expected.total, network, board.family)
    exact = {name: Interval.exact(value) for name, value in cycles.items() if value is not None}
    known = calibrated(backend, board.family, network, expected.nodes) is not None
    return Estimate(backend, board, {**predictions, **exact}, known, nodes=expected.nodes)


def predict(
    backend: str, nodes: Sequence[NodeEstimate], total: Counts, network: Graph, family: str
) -> dict[str, Interval]:
    """Return the resources of a design of `network` by name on a board of `family`, from what its backend expects.

    What no calibration is there for is the backend's own expectation, without an interval.
    """
    known = calibrated(backend, family, network, nodes)
    counts = {name: float(total.get(name) or 0) for name in NAMES}
    if known is None:
        return {name: Interval.exact(value) for name, value in counts.items()}
    own = calibration.sizes(calibration.layer_sizes(network))
    return {
        name: known.predict(name, nodes, own) if name in known.values["resources"] else known.counted(name, value, own)
        for name, value in counts.items()
    }


def calibrated(backend: str, family: str, network: Graph, nodes: Sequence[NodeEstimate]) -> Calibration | None:
    """Return the calibration of `backend` for designs like that of `network` on boards of `family`.

    None if there is none, if it is of another generator, or if one of the design's `nodes` is unlike all measured ones:
    layers without their zeros are like those of their own calibration alone.

    The designs that were measured are of families with 6-input LUTs; others are not `estimated`.
    """
    if not families.of(family).estimated:
        return None
    for over in (calibration.sort(network), calibration.SPARSE):
        known = calibration.load(backend, over)
        if known is not None and known.current and known.knows(nodes):
            return known
    return None
