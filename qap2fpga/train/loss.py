# SPDX-License-Identifier: Apache-2.0
"""What the training makes small: losses of logits with their gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def choose(name: str, softmax_over_batch: bool) -> Loss:
    """The loss of that name: a function of logits (rows, classes) and labels (rows,) to (loss (), its gradient).

    'cross_entropy' is the mean over rows, in nats. 'binary_cross_entropy' is that of every output of the softmax
    with its one or zero, the mean over rows and classes, as in the paper's code. `softmax_over_batch` normalises over
    the rows instead, a mistake of that code.
    """
    if name == "cross_entropy" and not softmax_over_batch:
        return cross_entropy
    dimension = 0 if softmax_over_batch else 1

    def loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        leaf = logits.detach().requires_grad_()
        with torch.enable_grad():
            if name == "cross_entropy":
                value = functional.nll_loss(functional.log_softmax(leaf, dim=dimension), labels)
            else:
                wanted = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
                value = functional.binary_cross_entropy(functional.softmax(leaf, dim=dimension), wanted)
            (gradient,) = torch.autograd.grad(value, leaf)
        return value.detach(), gradient

    return loss


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and its gradient, by the operations that autograd would use."""
    aten = torch.ops.aten
    probabilities = functional.log_softmax(logits, dim=1)
    value, weight = aten.nll_loss_forward(probabilities, labels, None, 1, -100)
    gradient = aten.nll_loss_backward(torch.ones_like(value), probabilities, labels, None, 1, -100, weight)
    return value, aten._log_softmax_backward_data(gradient, probabilities, 1, logits.dtype)
