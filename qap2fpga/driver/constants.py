# SPDX-License-Identifier: Apache-2.0
"""What the software on the board must know of a network, as plain values: `constants.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from qap2fpga.driver.layout import WORD_BYTES, Layout, layout
from qap2fpga.exact.integers import INT64_LIMIT, magnitude
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Artifact
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import IN_SCALE
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.shown import Frame
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError

BITSTREAM = "network.bit"


@dataclass(frozen=True)
class LogitsEnd:
    """`Logits` that are left to the software, by output."""

    multiplier: tuple[int, ...]
    offset: tuple[int, ...]
    shift: int


@dataclass(frozen=True)
class StepEnd:
    """A `Step` that is left to the software, thresholds by output."""

    thresholds: tuple[tuple[int, ...], ...]
    base: int
    step: int


@dataclass(frozen=True)
class Constants:
    """Formats, the input quantizer, and the end of a network if it is left to the software.

    `frame` says how a row of the model becomes a frame, None where both are the same vector. `output_value` is what one
    unit of the output is worth. `expected_per_second` is what the interval and the DMA's
    words allow at the design's clock, before any software.
    """

    bitstream: str
    board: str
    clock_ns: float
    expected_per_second: float
    quantizer: InputQuantizer
    frame: Frame | None
    input: Layout
    output: Layout
    output_kind: str
    output_value: float
    end: LogitsEnd | StepEnd | None

    @property
    def values(self) -> dict[str, object]:
        """The content of `constants.json`."""
        sides = {"input": _layout(self.input), "output": _layout(self.output)}
        return asdict(self) | sides | {"frame": encode(self.frame)}


def constants(artifact: Artifact, network: Graph, kind: str, board: Board, frame: Frame | None = None) -> Constants:
    """Return the constants of `network`, whose output of `kind` leaves the chip and which takes frames of `frame`."""
    into, out = (layout(one) for one in artifact.streams)
    clock_ns = artifact.clock(board)
    busiest = max(artifact.interval_cycles, *(one.frame_bytes / WORD_BYTES for one in (into, out)))
    return Constants(
        bitstream=BITSTREAM,
        board=board.name,
        clock_ns=clock_ns,
        expected_per_second=1e9 / (clock_ns * busiest),
        quantizer=network.input,
        frame=frame,
        input=into,
        output=out,
        output_kind=kind,
        output_value=float(network.output_scale) if kind in IN_SCALE else 1,
        end=_end(network) if kind == "accumulators" else None,
    )


def _layout(one: Layout) -> dict[str, object]:
    return {**asdict(one), "frame_bytes": one.frame_bytes}


def _require_int64(network: Graph, last: Logits) -> None:
    """The software multiplies in int64, which must not wrap."""
    sums = network.node_ranges[network.end.sources[0]]
    largest = max(magnitude(sums.low), magnitude(sums.high))
    if largest * magnitude(last.multiplier) + magnitude(last.offset) >= INT64_LIMIT:
        raise QapError(
            "--output-kind accumulators: the software's last step would not fit 64 bits", "use --output-kind logits"
        )


def _end(network: Graph) -> LogitsEnd | StepEnd:
    """The last activation, by output: channels are the same at every position."""
    last, positions = network.end.function, network.shapes[network.output].positions
    if isinstance(last, Logits):
        _require_int64(network, last)
        return LogitsEnd(
            tuple(last.multiplier.tolist()) * positions, tuple(last.offset.tolist()) * positions, last.shift
        )
    return StepEnd(tuple(map(tuple, last.thresholds.tolist())) * positions, last.base, last.step)
