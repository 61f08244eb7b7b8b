# SPDX-License-Identifier: Apache-2.0
"""How a kernel moves over a tensor: which values each of its positions sees, and what stands beyond the borders."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.ir.tensors import Code, Range, Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """A kernel over the rows and columns of a tensor: extents are (rows, columns), in positions of the tensor.

    `pads` are (top, left, bottom, right); what is padded holds the integer `pad`, in every channel. A vector has one
    row and one column, and the default kernel sees it whole.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad: int = 0

    @property
    def is_point(self) -> bool:
        """Whether each position sees itself alone and all are kept: a matrix product position by position."""
        return self.kernel == self.stride == (1, 1) and not self.is_padded

    @property
    def is_padded(self) -> bool:
        """Whether anything stands beyond the borders."""
        return any(self.pads)

    @property
    def padded_with(self) -> set[int]:
        """The pad, where anything stands beyond the borders."""
        return {self.pad} if self.is_padded else set()

    @property
    def taps(self) -> int:
        """Positions that one position of the kernel sees."""
        return self.kernel[0] * self.kernel[1]

    @property
    def extent(self) -> Pair:
        """Rows and columns from the first tap to the last, both included."""
        return self._extent(0), self._extent(1)

    def _extent(self, axis: int) -> int:
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def check(self) -> None:
        """Raise `ValueError` with the reason if the numbers describe no kernel."""
        for name, pair in (("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)):
            if min(pair) < 1:
                raise ValueError(f"its {name} is {pair[0]}x{pair[1]}")
        if min(self.pads) < 0:
            raise ValueError(f"its pads are {', '.join(map(str, self.pads))}: none may be negative")
        for axis, side in ((0, "top or bottom"), (1, "left or right")):
            if max(self.pads[axis], self.pads[axis + 2]) >= self._extent(axis):
                raise ValueError(f"its pad at the {side} is as large as its kernel, which then sees nothing but pads")

    def output(self, source: Shape, channels: int) -> Shape:
        """Return the shape of a result with a value per position and channel.

        Raises `ValueError` with the reason if the kernel does not fit into `source`.
        """
        rows, columns = (self._positions(axis, size) for axis, size in enumerate((source.height, source.width)))
        if rows < 1 or columns < 1:
            raise ValueError(f"its kernel of {self.kernel[0]}x{self.kernel[1]} does not fit into {source}")
        return Shape(channels, rows, columns)

    def sees_whole(self, source: Shape) -> bool:
        """Return whether its one position sees every value of `source` once, and nothing else."""
        return self.kernel == (source.height, source.width) and not self.is_padded

    def _positions(self, axis: int, size: int) -> int:
        room = size + self.pads[axis] + self.pads[axis + 2] - self._extent(axis)
        return room // self.stride[axis] + 1

    def windows(self, values: np.ndarray) -> np.ndarray:
        """Return what each position sees, (frames, rows, columns, kernel rows, kernel columns, channels).

        `values` are (frames, height, width, channels). The result shares their memory where nothing is padded.
        """
        return self.windows_of(self.padded(values))

    def padded(self, values: np.ndarray) -> np.ndarray:
        """Return `values` (frames, height, width, channels) with what stands beyond the borders."""
        if not self.is_padded:
            return values
        top, left, bottom, right = self.pads
        return np.pad(values, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=self.pad)

    def windows_of(self, values: np.ndarray) -> np.ndarray:
        """Return the windows of `values` that are padded."""
        seen = np.lib.stride_tricks.sliding_window_view(values, self.extent, axis=(1, 2))
        (rows, columns), (down, across) = self.stride, self.dilation
        return np.moveaxis(seen[:, ::rows, ::columns, :, ::down, ::across], 3, -1)

    def by_tap(self, values: np.ndarray) -> list[np.ndarray]:
        """Return what each tap sees of `values` that are padded, (frames, rows, columns, channels) each."""
        windows = self.windows_of(values)
        rows, columns = self.kernel
        return [windows[:, :, :, row, column] for row in range(rows) for column in range(columns)]

    def recoded(self, code: Code) -> Geometry:
        """Return the kernel over codes. Raises `ValueError` where the pad has none."""
        return replace(self, pad=code.of(self.pad)) if self.is_padded else self

    def seen(self, source: Range) -> Range:
        """Return the range of what a tap may see of a tensor whose range is `source`: its values, or the pad."""
        if not self.is_padded:
            return source
        return Range(np.minimum(source.low, self.pad), np.maximum(source.high, self.pad))


# One position that sees itself: the kernel of a dense layer over a vector.
POINT = Geometry()
