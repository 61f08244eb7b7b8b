# SPDX-License-Identifier: Apache-2.0
"""The parts of a design. Each takes tensors and gives one, a position of all channels at a time.

A part knows what it computes (`evaluate`, in numpy) and how it is written (`verilog`). Beside the data run two bits:
`v`, a position of a frame passes by, and `f`, one that only pushes a frame's last windows out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qap2fpga.backends.rtl.dataflow.timing import Timing, held
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.backends.rtl.netlist.evaluate import run
from qap2fpga.backends.rtl.netlist.verilog import vector
from qap2fpga.backends.rtl.netlist.wiring import literal
from qap2fpga.exact.integers import width
from qap2fpga.ir.tensors import Shape

Lanes = tuple[tuple[int, int], ...]


def bits(lanes: Lanes) -> int:
    """Return the bits of all lanes together."""
    return sum(width(low, high) for low, high in lanes)


def pad_literal(pad: int, lanes: Lanes) -> str:
    """Return the expression of a position whose channels all hold `pad`."""
    return f"{{{', '.join(vector(literal(pad, width(*lane))) for lane in reversed(lanes))}}}"


def cut(word: str, each: int, lanes: Lanes) -> str:
    """Return the expression of `lanes` that lie in `word`, one after the other, in `each` bits."""
    parts = [f"{word}[{at * each + width(*lane) - 1}:{at * each}]" for at, lane in enumerate(lanes)]
    return f"{{{', '.join(reversed(parts))}}}"


def taken(word: str, lanes: Lanes) -> str:
    """Return the expression of `lanes` that lie in `word`, a port, each in as many bits as the widest."""
    each = width(*common(lanes))
    if bits(lanes) == each * len(lanes):
        return f"{word}[{bits(lanes) - 1}:0]"
    return cut(word, each, lanes)


def common(lanes: Lanes) -> tuple[int, int]:
    """Return the (low, high) of all lanes together."""
    return min(low for low, _ in lanes), max(high for _, high in lanes)


def instance(module: str, name: str, parameters: Mapping[str, object], ports: Mapping[str, str]) -> str:
    """Return the line that makes `name` of a module."""
    settings, wires = (", ".join(f".{key}({value})" for key, value in one.items()) for one in (parameters, ports))
    return f"  {module} #({settings}) {name} ({wires});"


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor as it passes by: `lanes` are (low, high) of its channels. `name` is that of its wires."""

    name: str
    shape: Shape
    lanes: Lanes
    timing: Timing

    def declared(self) -> list[str]:
        """Return the lines that declare its wires."""
        return [f"  wire [{bits(self.lanes) - 1}:0]  d{self.name};", f"  wire  v{self.name}, f{self.name};"]

    def as_lanes(self, lanes: Lanes) -> str:
        """Return the expression of its data in `lanes`, which may be wider: each is extended by its own sign."""
        parts, at = [], 0
        for (low, high), wanted in zip(self.lanes, lanes, strict=True):
            top = at + width(low, high) - 1
            more = width(*wanted) - width(low, high)
            fill = f"{{{more}{{d{self.name}[{top}]}}}}, " if low < 0 else f"{more}'d0, "
            parts.append(f"{fill if more else ''}d{self.name}[{top}:{at}]")
            at = top + 1
        return f"{{{', '.join(reversed(parts))}}}"


class Part(ABC):
    """What every part has: its result, and the flows that it takes. `files` are its modules in `flows/rtl`."""

    out: Flow
    operand: Flow
    files: tuple[str, ...] = ()

    @property
    def operands(self) -> tuple[Flow, ...]:
        """The flows that it takes."""
        return (self.operand,)

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules that are written for it alone."""
        return ()

    @abstractmethod
    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return its result (frames, height, width, channels) of the operands'."""

    def drain(self, flush: int) -> int:
        """Return the cycles after `flush` positions without a frame until nothing of these is left, but on its way."""
        return 0

    @abstractmethod
    def verilog(self) -> list[str]:
        """Return the lines after the declaration of its wires."""

    @property
    def instance(self) -> str:
        """The name of its module in the design."""
        return f"w{self.out.name}"

    @property
    def beside(self) -> str:
        """The name, in the design, of the bits that run along with its data."""
        return f"c_{self.instance}"

    def _moved(self, source: Flow, stages: int) -> str:
        """The instance of the bits that run along with data through so many stages."""
        ports = {
            **CLOCKED, "valid": f"v{source.name}", "flush": f"f{source.name}", "out_valid": f"v{self.out.name}",
            "out_flush": f"f{self.out.name}",
        }  # fmt: skip
        return instance("qap_valid", self.beside, {"STAGES": stages}, ports)


CLOCKED = {"ap_clk": "ap_clk", "ap_rst_n": "ap_rst_n", "move": "move"}


@dataclass(frozen=True, eq=False)
class Source(Part):
    """Where frames come in."""

    out: Flow

    @property
    def operands(self) -> tuple[Flow, ...]:
        """Nothing within the design."""
        return ()

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the one operand, the frames."""
        return operands[0]

    def verilog(self) -> list[str]:
        """Return the line that takes the data from the port."""
        return [f"  assign d{self.out.name} = {taken('in0_TDATA', self.out.lanes)};"]


@dataclass(frozen=True, eq=False)
class Compute(Part):
    """A datapath, once per position."""

    out: Flow
    operand: Flow
    module: Module
    files = ("qap_valid.sv",)

    @property
    def modules(self) -> tuple[Module, ...]:
        """The datapath."""
        return (self.module,)

    @property
    def instance(self) -> str:
        """The name of the datapath in the design."""
        return f"u_{self.module.name}"

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return what the netlist computes."""
        (values,) = operands
        results = run([self.module.netlist], values.reshape(-1, values.shape[-1]))
        return results.reshape(*values.shape[:3], -1)

    def verilog(self) -> list[str]:
        """Return the instances of the datapath and of its bits."""
        data = f".x(d{self.operand.name}), .y(d{self.out.name})"
        return [
            f"  {self.module.name} {self.instance} (.ap_clk(ap_clk), .move(move), {data});",
            self._moved(self.operand, self.module.stages),
        ]


@dataclass(frozen=True, eq=False)
class Window(Part):
    """What a kernel sees; its taps' channels are the lanes of the result."""

    out: Flow
    operand: Flow
    sweep: Sweep
    files = ("qap_window.sv",)

    @property
    def lanes(self) -> Lanes:
        """(low, high) of what one tap sees of each channel."""
        return self.out.lanes[: len(self.operand.lanes)]

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the windows."""
        windows = self.sweep.geometry.windows(operands[0])
        return windows.reshape(*windows.shape[:3], -1)

    def verilog(self) -> list[str]:
        """Return the instance."""
        geometry = self.sweep.geometry
        pad = pad_literal(geometry.pad, self.lanes) if geometry.is_padded else "0"
        parameters = {**self.sweep.parameters(), "BITS": bits(self.lanes), "PAD": pad}
        ports = {
            **CLOCKED, "valid": f"v{self.operand.name}", "flush": f"f{self.operand.name}",
            "x": self.operand.as_lanes(self.lanes), "out_valid": f"v{self.out.name}",
            "out_flush": f"f{self.out.name}", "y": f"d{self.out.name}",
        }  # fmt: skip
        return [instance("qap_window", self.instance, parameters, ports)]


@dataclass(frozen=True, eq=False)
class Delay(Part):
    """The same some cycles later."""

    out: Flow
    operand: Flow
    cycles: int
    files = ("qap_valid.sv", "qap_delay.sv")

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the operand."""
        return operands[0]

    def verilog(self) -> list[str]:
        """Return the instances of the delay and of its bits."""
        parameters = {"BITS": bits(self.out.lanes), "CYCLES": self.cycles}
        ports = {"ap_clk": "ap_clk", "move": "move", "x": f"d{self.operand.name}", "y": f"d{self.out.name}"}
        return [
            instance("qap_delay", self.instance, parameters, ports),
            self._moved(self.operand, self.cycles),
        ]


@dataclass(frozen=True, eq=False)
class Skip(Part):
    """A branch that waits for `leader`, by a number of cycles that varies."""

    out: Flow
    operand: Flow
    leader: Flow
    files = ("qap_skip.sv",)

    @cached_property
    def depth(self) -> int:
        """Positions that wait at a time."""
        return held(self.operand.timing, self.leader.timing)

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the operand."""
        return operands[0]

    def verilog(self) -> list[str]:
        """Return the instance; the bits are the leader's."""
        parameters = {"BITS": bits(self.out.lanes), "DEPTH": self.depth}
        ports = {
            **CLOCKED, "push": f"v{self.operand.name}", "pop": f"v{self.leader.name}", "x": f"d{self.operand.name}",
            "y": f"d{self.out.name}",
        }  # fmt: skip
        return [
            instance("qap_skip", self.instance, parameters, ports),
            f"  assign v{self.out.name} = v{self.leader.name}, f{self.out.name} = f{self.leader.name};",
        ]


@dataclass(frozen=True, eq=False)
class Join(Part):
    """The channels of flows that pass by together, side by side."""

    out: Flow
    joined: tuple[Flow, ...]

    @property
    def operands(self) -> tuple[Flow, ...]:
        """The flows."""
        return self.joined

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values side by side."""
        return np.concatenate(list(operands), axis=-1)

    def verilog(self) -> list[str]:
        """Return the wires."""
        first, data = self.joined[0].name, ", ".join(f"d{one.name}" for one in reversed(self.joined))
        return [
            f"  assign d{self.out.name} = {{{data}}};",
            f"  assign v{self.out.name} = v{first}, f{self.out.name} = f{first};",
        ]
