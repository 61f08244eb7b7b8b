# SPDX-License-Identifier: Apache-2.0
"""Activations whose bits are learned: how far the point lies from the last bit, and from the first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qap2fpga.qap.bits.functions import bounded, constant, exported, width
from qap2fpga.system.errors import QapError

# No activation has more levels: each is a threshold of the hardware.
MOST_BITS = 10
# How far the last bit may lie from the point.
FARTHEST = 24


class ExportHandler(nn.Module):
    """Where a quantizer is exported. The saver knows it by its name in the module, as it knows those of Brevitas."""

    def forward(self, x: Tensor, step: Tensor, bits: int, signed: bool, rounding: str) -> Tensor:
        """Return the values that the exported quantizer gives."""
        return exported(x, step, bits, signed=signed, rounding=rounding)


class LearnedQuantizer(nn.Module):
    """Activations with learned bits: rounded down at `2**-fraction`, bounded at `2**integer`, per channel or for all.

    Values that are not `signed` begin at 0: it is a ReLU, too. A channel whose bits have come to 0 gives 0 always.

    Args:
        channels: of what comes, in its dimension 1.
        signed: whether values may be negative.
        per: 'channel' or 'tensor'.
        fraction: bits after the point to begin with.
        integer: bits before it, without the sign, to begin with.
        of_input: whether it quantizes the network's input, which the host does: it takes no LUTs then.

    Shape: (rows, channels, ...) to the same.
    """

    # The saver records what a quantizer with this gives, beside those of Brevitas.
    records_levels = True

    def __init__(
        self, channels: int, *, signed: bool = False, per: str = "channel", fraction: float = 5.0, integer: float = 2.0,
        of_input: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if channels < 1 or per not in ("channel", "tensor"):
            raise QapError(f"a quantizer of {channels} channels, per '{per}'", "1 or more, per 'channel' or 'tensor'")
        size = channels if per == "channel" else 1
        self.channels, self.signed, self.per, self.of_input = channels, signed, per, of_input
        self.fraction = nn.Parameter(torch.full((size,), float(fraction)))
        self.integer = nn.Parameter(torch.full((size,), float(integer)))
        self.export_handler = ExportHandler()

    def extra_repr(self) -> str:
        """Return what stands in a printed module."""
        return f"{self.channels}, signed={self.signed}, per='{self.per}'"

    @property
    def bits(self) -> Tensor:
        """The bits of each channel (channels,), the sign among them, with gradients; 0 where it gives 0 always."""
        between = width(self.fraction, self.integer, MOST_BITS - float(self.signed))
        return (between + float(self.signed) * (between > 0)).expand(self.channels)

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The least and the largest value of each channel (channels,), without gradients."""
        with torch.no_grad():
            above = torch.exp2(torch.round(self.integer.clamp(-FARTHEST, FARTHEST)))
            high = torch.where(self.bits[: len(above)] > 0, above - torch.exp2(-torch.round(self._fraction)), 0.0)
            low = torch.where(high > 0, -above, 0.0) if self.signed else torch.zeros_like(high)
            return low.expand(self.channels), high.expand(self.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the quantized values."""
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise QapError(f"values of shape {tuple(x.shape)} for {self.channels} channels", "(rows, channels, ...)")
        shape = (1, -1, *(1,) * (x.ndim - 2))
        if torch.onnx.is_in_onnx_export():
            return self._exported(x, shape)
        integer = self.integer.clamp(-FARTHEST, FARTHEST).reshape(shape)
        return bounded(x, self._fraction.reshape(shape), integer, signed=self.signed)

    @property
    def _fraction(self) -> Tensor:
        """The fractional bits, as they are used: no channel has more than MOST_BITS."""
        most = MOST_BITS - float(self.signed) - torch.round(self.integer.detach())
        return torch.clamp(torch.minimum(self.fraction, most), -FARTHEST, FARTHEST)

    def _exported(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The same in QONNX: bounds where channels have fewer bits than the widest, and a Quant."""
        bits, sign = self.bits.detach()[: len(self.fraction)], float(self.signed)
        widest = max(int(bits.max()), 1 + self.signed)
        dead = bits == 0
        step = torch.exp2(-torch.round(self._fraction.detach()))
        if not dead.all():
            # The step of a channel that gives 0 always may have gone anywhere.
            step = torch.where(dead, step[~dead].min(), step)
        # A bound in the middle of a step rounds down to its level whatever its last digits are.
        upper, lower = (torch.exp2(bits - sign) - 0.5) * step, (0.5 - torch.exp2(bits - sign)) * step
        upper, lower = torch.where(dead, 0.5 * step, upper), torch.where(dead, 0.25 * step, lower)
        if bits.min() < widest:
            x = torch.minimum(x, constant(upper.reshape(shape)))
            if self.signed:
                x = torch.maximum(x, constant(lower.reshape(shape)))
        quantized: Tensor = self.export_handler(x, constant(step.reshape(shape)), widest, self.signed, "FLOOR")
        return quantized
