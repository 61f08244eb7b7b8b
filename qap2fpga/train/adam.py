# SPDX-License-Identifier: Apache-2.0
"""Adam (Kingma and Ba 2014, arXiv:1412.6980) on one flat vector, bit for bit `torch.optim.Adam`.

On networks this small the bookkeeping of torch's class takes longer than its arithmetic.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Changes `parameters` in place by their `gradient`; both flat, and the very tensors at every step."""

    def __init__(self, parameters: Tensor, gradient: Tensor) -> None:
        self.parameters, self.gradient = parameters, gradient
        self.mean, self.square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.steps = 0

    def step(self, rate: float) -> None:
        """One step with the learning rate `rate`."""
        self.steps += 1
        self.mean.lerp_(self.gradient, 1 - BETA1)
        self.square.mul_(BETA2).addcmul_(self.gradient, self.gradient, value=1 - BETA2)
        size = rate / (1 - BETA1**self.steps)
        scale = self.square.sqrt().div_(math.sqrt(1 - BETA2**self.steps)).add_(EPSILON)
        self.parameters.addcdiv_(self.mean, scale, value=-size)

    def save(self) -> dict[str, Tensor]:
        """Return a copy of the moments and the number of steps."""
        return {"mean": self.mean.clone(), "square": self.square.clone(), "steps": torch.tensor(self.steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what `save` gave."""
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps = int(state["steps"])
