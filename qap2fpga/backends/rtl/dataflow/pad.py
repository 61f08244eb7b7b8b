# SPDX-License-Identifier: Apache-2.0
"""Frames with pads around them as larger frames: for kernels that make more positions of their pads than go in.

A window generator gives at most a window per position. Where pads on both sides are together as large as the kernel, or
the first window sees pads alone, the pads are put into the stream before it, and it has none of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qap2fpga.backends.rtl.dataflow.parts import CLOCKED, Flow, Part, bits, instance, pad_literal
from qap2fpga.backends.rtl.dataflow.timing import Timing, held
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape


@dataclass(frozen=True)
class Frame:
    """Frames of the shape `source` with `geometry`'s pads around them."""

    geometry: Geometry
    source: Shape

    @property
    def shape(self) -> Shape:
        """The shape with the pads."""
        top, left, bottom, right = self.geometry.pads
        return replace(self.source, height=self.source.height + top + bottom, width=self.source.width + left + right)

    @property
    def places(self) -> np.ndarray:
        """Where each position of the source is among all."""
        top, left, _, _ = self.geometry.pads
        rows, columns = np.indices((self.source.height, self.source.width))
        return np.asarray((rows.ravel() + top) * self.shape.width + columns.ravel() + left)

    def begin(self, source: Timing) -> int:
        """Return the number of positions that must have come so that from then on none comes too late."""
        start = int((source.cycles + 1 - self.places).max())
        return int(np.searchsorted(source.cycles + 1, start)) + 1

    def timing(self, source: Timing) -> Timing:
        """Return when each position leaves."""
        begin, count = self.begin(source), self.shape.positions
        last = np.clip(np.searchsorted(self.places, np.arange(count), side="right") - 1, begin - 1, None)
        needs = np.maximum.accumulate(source.needs)[last]
        return replace(source, cycles=source.cycles[begin - 1] + 1 + np.arange(count), needs=needs)

    def keeps_up(self, source: Timing) -> bool:
        """Whether a frame has left before the next one begins to."""
        return self.shape.positions <= source.period


def before(geometry: Geometry, source: Shape) -> Frame | None:
    """Return the padded frame that the kernel moves over; None where the window generator has the pads."""
    return Frame(geometry, source) if Sweep(geometry, source).overflows else None


def sweep(geometry: Geometry, source: Shape) -> Sweep:
    """Return the kernel's way over `source`, or over the padded frame before it."""
    frame = before(geometry, source)
    return Sweep(geometry, source) if frame is None else Sweep(replace(geometry, pads=(0, 0, 0, 0)), frame.shape)


def timing(source: Timing, geometry: Geometry, shape: Shape) -> Timing:
    """Return when each window of a tensor of `shape` leaves."""
    frame = before(geometry, shape)
    padded = source if frame is None else frame.timing(source)
    return padded.at(sweep(geometry, shape).places).later(1)


@dataclass(frozen=True, eq=False)
class Padded(Part):
    """A tensor with pads around it."""

    out: Flow
    operand: Flow
    frame: Frame
    files = ("qap_pad.sv",)

    @cached_property
    def depth(self) -> int:
        """Positions that wait at a time."""
        source = self.operand.timing
        return held(source, replace(source, cycles=self.out.timing.cycles[self.frame.places]))

    def drain(self, flush: int) -> int:
        """Return the cycles after `flush` positions without a frame until all that comes of these has left."""
        return self.out.timing.after(flush)

    def evaluate(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values with the pads."""
        top, left, bottom, right = self.frame.geometry.pads
        around = ((0, 0), (top, bottom), (left, right), (0, 0))
        return np.pad(operands[0], around, constant_values=self.frame.geometry.pad)

    def verilog(self) -> list[str]:
        """Return the instance."""
        source, shape, (top, left, _, _) = self.frame.source, self.frame.shape, self.frame.geometry.pads
        parameters = {
            "HEIGHT": source.height, "WIDTH": source.width, "BITS": bits(self.out.lanes), "TOP": top, "LEFT": left,
            "OUT_HEIGHT": shape.height, "OUT_WIDTH": shape.width, "BEGIN": self.frame.begin(self.operand.timing),
            "DEPTH": self.depth, "PAD": pad_literal(self.frame.geometry.pad, self.out.lanes),
        }  # fmt: skip
        ports = {
            **CLOCKED, "valid": f"v{self.operand.name}", "flush": f"f{self.operand.name}",
            "x": self.operand.as_lanes(self.out.lanes), "out_valid": f"v{self.out.name}",
            "out_flush": f"f{self.out.name}", "y": f"d{self.out.name}",
        }  # fmt: skip
        return [instance("qap_pad", self.instance, parameters, ports)]
