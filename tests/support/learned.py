# SPDX-License-Identifier: Apache-2.0
"""Small modules with learned bits, whose bits differ."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qap2fpga.qap.bits import LearnedConv1d, LearnedConv2d, LearnedLinear, LearnedQuantizer
from qap2fpga.qap.bits.budget import is_bits


def entry(channels: int) -> LearnedQuantizer:
    """The quantizer of a network's input."""
    return LearnedQuantizer(channels, signed=True, of_input=True)


class Residual(nn.Module):
    """A branch that is added to what a quantizer has handed on, which two layers take."""

    def __init__(self) -> None:
        super().__init__()
        self.first = LearnedLinear(5, 6, quantizer=entry(5))
        shared = LearnedQuantizer(6)
        self.left, self.right = LearnedLinear(6, 4, quantizer=shared), LearnedLinear(6, 4, quantizer=shared, bias=False)
        self.middle = LearnedLinear(4, 4, quantizer=LearnedQuantizer(4, signed=True))
        self.last = LearnedLinear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        taken = self.first(x)
        return self.last(self.middle(self.left(taken)) + self.right(taken))


def dense(*, per: str = "weight") -> nn.Sequential:
    """Three dense layers."""
    return nn.Sequential(
        LearnedLinear(5, 8, per=per, quantizer=entry(5)), LearnedLinear(8, 6, per=per), LearnedLinear(6, 3, per=per)
    )


def image() -> nn.Sequential:
    """Convolutions, one of them of each channel by itself, a pool, and a dense layer: of 6x6 images."""
    return nn.Sequential(
        LearnedConv2d(2, 4, 3, padding=1, quantizer=entry(2)), LearnedConv2d(4, 4, 3, groups=4, bias=False),
        LearnedConv2d(4, 4, (1, 2), groups=2, stride=(1, 2)), nn.MaxPool2d(2),
        LearnedLinear(8, 3, quantizer=LearnedQuantizer(4)),
    )  # fmt: skip


def signal() -> nn.Sequential:
    """A convolution over time before a dense layer: of 2 channels, 7 samples."""
    return nn.Sequential(
        LearnedConv1d(2, 3, 3, quantizer=entry(2)), LearnedLinear(15, 2, quantizer=LearnedQuantizer(3))
    )


def batch_norm() -> nn.Sequential:
    """A batch norm with one negative gamma between two layers."""
    module = nn.Sequential(LearnedLinear(5, 4, bias=False, quantizer=entry(5)), nn.BatchNorm1d(4), LearnedLinear(4, 3))
    with torch.no_grad():
        module[1].weight.copy_(torch.tensor([0.7, -1.1, 0.4, 1.3]))
        module[1].bias.copy_(torch.tensor([0.1, 0.3, -0.2, 0.0]))
    return module


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "dense": (dense, (5,)),
    "per channel": (lambda: dense(per="channel"), (5,)),
    "per tensor": (lambda: dense(per="tensor"), (5,)),
    "residual": (Residual, (5,)),
    "image": (image, (2, 6, 6)),
    "signal": (signal, (2, 7)),
    "batch norm": (batch_norm, (5,)),
}


def module(name: str, seed: int = 1, rows: int = 60) -> tuple[nn.Module, Tensor]:
    """One of the `MODULES` with bits that are drawn, some of them 0, and rows."""
    torch.manual_seed(seed)
    make, shape = MODULES[name]
    made = make()
    with torch.no_grad():
        for parameter_name, one in made.named_parameters():
            if is_bits(parameter_name):
                one.copy_(torch.rand_like(one) * 4 + (1.0 if "integer" not in parameter_name else -1.0))
                if "fraction" in parameter_name and one.numel() > 2:
                    one.view(-1)[0] = -9.0
    return made.eval(), torch.randn(rows, *shape)
