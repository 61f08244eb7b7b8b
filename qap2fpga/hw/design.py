# SPDX-License-Identifier: Apache-2.0
"""The values handed on after a backend: its artifact, what was measured on it, and what was checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import Counts, Resources
from qap2fpga.system.codec import Record

# By resource, what its cells are a linear function of.
Features = Mapping[str, Mapping[str, float]]


class Stage(StrEnum):
    """How a number was got. Two stages are never compared without saying so."""

    ESTIMATE = "estimate"
    HLS = "hls"
    SYNTHESIS = "synthesis"
    ROUTED = "routed"


@dataclass(frozen=True)
class Stream:
    """One port of a design: a sequence of beats, each `lanes` elements of `bits`, element 0 in the lowest bits.

    `elements` is the number of values of one frame (one input or output vector); the beat is padded with
    zero bits to `beat_bits`, a multiple of 8. A frame is `elements / lanes` beats.
    """

    name: str
    elements: int
    lanes: int
    bits: int
    signed: bool

    @property
    def beats(self) -> int:
        return self.elements // self.lanes

    @property
    def beat_bits(self) -> int:
        return -(-self.lanes * self.bits // 8) * 8


@dataclass(frozen=True)
class Probe:
    """A place inside a design where the result of one node passes by: what a mismatch is traced with.

    `signal` is the path of a bus below the top module. It carries the result of the graph's node `node`; of a step
    function, if it `counts`, how many thresholds it stands for. A beat has `lanes`, the (bits, signed) of its values
    from the lowest bits up, and a vector is `beats` beats. A beat passes while `valid` and `ready`, paths too, are both
    high; without them, `cycles` after its input beat was taken, in cycles in which the input is ready.
    """

    node: str
    signal: str
    lanes: tuple[tuple[int, bool], ...]
    beats: int = 1
    valid: str = ""
    ready: str = ""
    cycles: int = 0
    counts: bool = True


@dataclass(frozen=True)
class Trace:
    """An array of a C++ function that the C simulation shows: the result of the graph's node `node`.

    `name` is the HLS backend's for the layer that writes it.
    """

    name: str
    node: str
    elements: int


@dataclass(frozen=True, kw_only=True)
class NodeEstimate(Record):
    """What a backend expects of one part of a design; each backend's own kinds of parts have more to tell.

    `name` is the part's in the design, `layer` the network's layer that it is of, empty for what is of none. `estimate`
    are its cells; `features`, for LUTs and for FFs, are what a calibration's factors are fitted to.
    """

    name: str
    layer: str
    estimate: Counts
    features: Features = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact(ABC):
    """What a backend leaves on disk, and all that simulation and synthesis need to know of it.

    `sources` are file names inside `folder`, in compile order; `data` are files that sources read at elaboration.
    `input` and `output` are the ports of `top`, `output_kind` what leaves there. `interval_cycles` is a prediction, or
    what an HLS tool is asked for. `clock_ns` and `part` are what it was made for; None and empty where any will do.
    `nodes` are its parts, and `estimate` is the sum of what they are expected to take. `configs` are the words by which
    an HLS tool's reports name the layers' functions, by layer. `details` are further facts for the report.
    """

    backend: str
    folder: Path
    top: str
    sources: tuple[str, ...]
    data: tuple[str, ...]
    input: Stream
    output: Stream
    interval_cycles: int
    output_kind: str = field(default="logits", kw_only=True)
    clock_ns: float | None = field(default=None, kw_only=True)
    part: str = field(default="", kw_only=True)
    nodes: tuple[NodeEstimate, ...] = field(default=(), kw_only=True)
    estimate: Counts = field(default_factory=dict, kw_only=True)
    configs: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    details: Mapping[str, object] = field(default_factory=dict, kw_only=True)

    @property
    @abstractmethod
    def circuit(self) -> Design | None:
        """The hardware that it is; None where an HLS tool has yet to make some."""

    @property
    @abstractmethod
    def streams(self) -> tuple[Stream, Stream]:
        """Input and output of the hardware, as streams."""

    @property
    def wrappable(self) -> bool:
        """Whether its ports are known, so that the stream of a processor's DMA can be put around it."""
        return True

    def clock(self, board: Board) -> float:
        """Return the period that it runs at on `board`, nanoseconds."""
        return self.clock_ns or board.clock_ns


@dataclass(frozen=True)
class Design(Artifact):
    """Generated hardware: Verilog.

    `latency_cycles` (first input beat to last output beat of one vector, None where the backend cannot predict it) is a
    prediction. Ports: `ap_clk`, `ap_rst_n` (synchronous, active low), and `<stream>_TDATA/_TVALID/_TREADY` for both
    streams. `probes` are in the order of the data, and lie on ports of the top module's instances, which synthesis
    keeps. `folding` is SIMD and PE by node, where nodes are folded.
    """

    latency_cycles: int | None = None
    probes: tuple[Probe, ...] = field(default=(), kw_only=True)
    folding: Mapping[str, Mapping[str, int]] = field(default_factory=dict, kw_only=True)

    @property
    def circuit(self) -> Design:
        """The design itself."""
        return self

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """Its ports."""
        return self.input, self.output


@dataclass(frozen=True)
class Alone:
    """A node of the graph whose C++ can be run by itself, on frames of `inputs` values, which become `outputs`."""

    node: str
    inputs: int
    outputs: int


@dataclass(frozen=True)
class HlsProject(Artifact):
    """C++ for an HLS tool, not yet hardware. `top` is the function to synthesise.

    HLS makes one wire of the input, element 0 in the lowest bits, and one port an element of the output; where it
    `streams_positions`, a stream of each, one position per beat. Latency is not known before an HLS tool has scheduled
    the code. `traces` are in the order of the computation; `alone` are numbered as in `qap_alone.h`.
    """

    strategy: str = field(kw_only=True)
    streams_positions: bool = field(default=False, kw_only=True)
    traces: tuple[Trace, ...] = field(kw_only=True)
    warnings: tuple[str, ...] = field(default=(), kw_only=True)
    alone: tuple[Alone, ...] = field(default=(), kw_only=True)

    @property
    def circuit(self) -> None:
        """There is none yet."""
        return None

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """What surrounds the block gives and takes a frame in one beat, where it is `wrappable`."""
        return replace(self.input, name="in0"), replace(self.output, name="out0")

    @property
    def wrappable(self) -> bool:
        """Whether frames pass whole: how the HLS tool packs a position into a beat of a stream is its own."""
        return not self.streams_positions


@dataclass(frozen=True)
class Measurement:
    """What one tool said about one design at one stage.

    `cell_delay_ns` is the longest path of cells from register to register without any routing; no clock follows.
    """

    tool: str
    version: str
    stage: Stage
    total: Resources
    parts: dict[str, Resources] = field(default_factory=dict)
    note: str = ""
    cell_delay_ns: float | None = None


def is_of(part: str, node: str) -> bool:
    """Whether `part`, an instance that synthesis reports, is the node `node` of a design, or its memory of weights."""
    return part in (node, f"u_{node}", f"{node}_weights", f"u_{node}_weights")


@dataclass(frozen=True)
class Expectation:
    """What a backend expects of a network before it generates anything.

    `total` is what the design's parts, `nodes`, take together. Cycles are as in `Design`.
    """

    interval_cycles: int
    latency_cycles: int | None
    total: Counts
    nodes: tuple[NodeEstimate, ...]
