# SPDX-License-Identifier: Apache-2.0
"""Blocks that FINN has RTL for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.estimate import THRESHOLD_BLOCK_RAM_DEPTH
from qap2fpga.backends.finn.stream import models, windows
from qap2fpga.backends.finn.stream.blocks import Attributes, Block, Kind
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape

# From this depth on the memory of a window generator is block RAM: 64 words are a LUT per bit, 512 a block.
BLOCK_RAM_DEPTH = 256


def shape_of(stream_shape: tuple[int, int, int]) -> Shape:
    """Return the shape of a tensor (rows, columns, channels)."""
    rows, columns, channels = stream_shape
    return Shape(channels, rows, columns)


@dataclass(frozen=True, kw_only=True)
class Pad(Block):
    """Zeros beyond the borders."""

    op = "FMPadding_rtl"
    pads: tuple[int, int, int, int]

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return windows.padding(shape_of(self.taken.shape), self.pads, self.taken.fold)

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node."""
        rows, columns, channels = self.taken.shape
        return {
            "ImgDim": [rows, columns], "Padding": list(self.pads), "NumChannels": channels,
            "SIMD": self.taken.lanes, "inputDataType": self.taken.kind.finn,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Windows(Block):
    """What a kernel sees at every position: tap by tap, or `parallel`, all taps in one beat."""

    op = "ConvolutionInputGenerator_rtl"
    geometry: Geometry
    depthwise: bool
    parallel: bool = False

    def model(self) -> models.Model:
        """Return what it does with beats."""
        size = shape_of(self.taken.shape)
        if self.at_once:
            return windows.parallel(size, self.geometry, self.taken.fold)
        return windows.serial(size, self.geometry, self.taken.fold, depthwise=self.depthwise)

    @property
    def at_once(self) -> bool:
        """Whether FINN takes its parallel generator."""
        return self.parallel or self.geometry.taps == 1

    @property
    def memory(self) -> int:
        """Elements that it holds."""
        return windows.memory(shape_of(self.taken.shape), self.geometry, self.taken.fold)

    @property
    def in_block_ram(self) -> bool:
        """Whether its memory is block RAM."""
        rows = max(self.geometry.kernel[0] - 1, 1)
        depth = self.memory // rows if self.at_once else self.memory
        return depth >= BLOCK_RAM_DEPTH

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node."""
        rows, columns, channels = self.taken.shape
        return {
            "ConvKernelDim": list(self.geometry.kernel), "IFMChannels": channels, "IFMDim": [rows, columns],
            "OFMDim": list(self.given.shape[:2]), "SIMD": self.taken.lanes, "Stride": list(self.geometry.stride),
            "Dilation": list(self.geometry.dilation), "inputDataType": self.taken.kind.finn,
            "outputDataType": self.taken.kind.finn, "depthwise": int(self.depthwise),
            "is1D": int(rows == 1 or columns == 1), "parallel_window": int(self.parallel),
            "ram_style": "block" if self.in_block_ram else "distributed",
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Product(Block):
    """A matrix of weights (MW, MH) times every window."""

    op = "MVAU_rtl"
    weights: np.ndarray
    weight_bits: int
    density: float  # the part of the weights that is not zero

    @property
    def simd(self) -> int:
        """Inputs per cycle."""
        return self.taken.lanes

    @property
    def pe(self) -> int:
        """Outputs per cycle."""
        return self.given.lanes

    @property
    def folds(self) -> tuple[int, int]:
        """Beats of a window, and how often they are replayed."""
        inputs, outputs = self.weights.shape
        return inputs // self.simd, outputs // self.pe

    @property
    def cycles(self) -> int:
        """Cycles per frame."""
        fold, repeat = self.folds
        return self.given.positions * fold * repeat

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.matrix(*self.folds, self.simd)

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node."""
        inputs, outputs = self.weights.shape
        return {
            "MW": inputs, "MH": outputs, "SIMD": self.simd, "PE": self.pe, "inputDataType": self.taken.kind.finn,
            "weightDataType": Kind(self.weight_bits, True).finn, "outputDataType": self.given.kind.finn,
            "accDataType": self.given.kind.finn, "noActivation": 1, "numInputVectors": [1, *self.given.shape[:2]],
            "mem_mode": "internal_decoupled", "resType": "dsp",
        }  # fmt: skip

    def constants(self) -> dict[str, tuple[np.ndarray, Kind]]:
        """Return the weights."""
        return {"weights": (self.weights, Kind(self.weight_bits, True))}


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds(Block):
    """How many thresholds each value reaches; `rows` are (channels, 2**n - 1).

    FINN's base of a count is not used: where it needs another bit, FINN writes the thresholds of another tree.
    """

    op = "Thresholding_rtl"
    rows: np.ndarray
    deep: bool

    @property
    def bits(self) -> int:
        """Comparisons one after the other."""
        return int(self.rows.shape[1]).bit_length()

    @property
    def threshold_kind(self) -> Kind:
        """The type of the thresholds, in which they are compared with what comes."""
        return self.taken.kind.holding(int(self.rows.min()), int(self.rows.max()))

    def model(self) -> models.Model:
        """Return what it does with beats."""
        stages = self.bits * (1 + self.deep)
        return models.queue(stages + 1, stages + 3, guarded=True)

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node."""
        return {
            "PE": self.taken.lanes, "NumChannels": self.taken.channels, "numSteps": int(self.rows.shape[1]),
            "inputDataType": self.taken.kind.finn, "weightDataType": self.threshold_kind.finn,
            "outputDataType": self.given.kind.finn, "ActVal": 0,
            "numInputVectors": [1, *self.taken.shape[:2]], "deep_pipeline": int(self.deep),
            "depth_trigger_bram": THRESHOLD_BLOCK_RAM_DEPTH,
        }  # fmt: skip

    def constants(self) -> dict[str, tuple[np.ndarray, Kind]]:
        """Return the thresholds."""
        return {"thresholds": (self.rows, self.threshold_kind)}


@dataclass(frozen=True, kw_only=True)
class Converter(Block):
    """Other beats of the same values."""

    op = "StreamingDataWidthConverter_rtl"

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.converter(self.taken.bits, self.given.bits)

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node."""
        shape = [1, *self.taken.shape]
        return {
            "inShape": shape, "outShape": shape, "inWidth": self.taken.bits, "outWidth": self.given.bits,
            "dataType": self.taken.kind.finn,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fifo(Block):
    """Room for `depth` beats; None: as many as it takes."""

    op = "StreamingFIFO_rtl"
    depth: int | None

    def model(self) -> models.Model:
        """Return what it does with beats."""
        return models.queue(1, None if self.depth is None else self.depth - 1, guarded=False)

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node."""
        lanes = self.taken.lanes
        folded = [1, self.taken.positions * self.taken.channels // lanes, lanes]
        return {
            "depth": self.depth, "folded_shape": folded, "normal_shape": [1, *self.taken.shape],
            "dataType": self.taken.kind.finn, "ram_style": "distributed",
        }  # fmt: skip
