# SPDX-License-Identifier: Apache-2.0
"""How a kernel is moved over a stream of positions: what `flows/rtl/qap_window.sv` does, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape


@dataclass(frozen=True)
class Sweep:
    """The kernel `geometry` over frames of the shape `source`."""

    geometry: Geometry
    source: Shape

    @property
    def output(self) -> Shape:
        """The shape of a result of one channel."""
        return self.geometry.output(self.source, 1)

    @property
    def last_tap(self) -> tuple[int, int]:
        """Row and column of the last tap that ever lies within the frame."""
        kernel, step, pads = self.geometry.kernel, self.geometry.dilation, self.geometry.pads
        extents = (self.source.height, self.source.width)
        row, column = (min(kernel[at] - 1, (extents[at] - 1 + pads[at]) // step[at]) for at in (0, 1))
        return row, column

    @property
    def start(self) -> int:
        """The number of the position that completes the first window."""
        (row, column), (down, across) = self.last_tap, self.geometry.dilation
        return (row * down - self.geometry.pads[0]) * self.source.width + column * across - self.geometry.pads[1]

    @property
    def length(self) -> int:
        """Positions that are held."""
        (row, column), (down, across) = self.last_tap, self.geometry.dilation
        return row * down * self.source.width + column * across + 1

    @property
    def places(self) -> np.ndarray:
        """The number of the position that completes each window, counted on into what follows the frame."""
        rows, columns = np.indices((self.output.height, self.output.width))
        down, across = self.geometry.stride
        return np.asarray(self.start + rows.ravel() * down * self.source.width + columns.ravel() * across)

    @property
    def overflows(self) -> bool:
        """Whether more windows come of the frame than it has positions, or the first one sees pads alone."""
        (rows, columns), pads = self.geometry.extent, self.geometry.pads
        if pads[0] + pads[2] >= rows or pads[1] + pads[3] >= columns:
            return True
        row, column = (place * step for place, step in zip(self.last_tap, self.geometry.dilation, strict=True))
        return row < pads[0] or column < pads[1]

    def parameters(self) -> dict[str, int]:
        """Return the parameters of the Verilog module, but for the bits and the pad."""
        (rows, columns), (down, across), (row, column) = self.geometry.kernel, self.geometry.stride, self.last_tap
        return {
            "HEIGHT": self.source.height, "WIDTH": self.source.width, "ROWS": rows, "COLUMNS": columns,
            "LAST_ROW": row, "LAST_COLUMN": column, "STRIDE_DOWN": down, "STRIDE_ACROSS": across,
            "STEP_DOWN": self.geometry.dilation[0], "STEP_ACROSS": self.geometry.dilation[1],
            "TOP": self.geometry.pads[0], "LEFT": self.geometry.pads[1],
            "OUT_HEIGHT": self.output.height, "OUT_WIDTH": self.output.width,
        }  # fmt: skip
