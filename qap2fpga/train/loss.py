# SPDX-License-Identifier: Apache-2.0
"""What the training makes small: losses of logits with their gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# Floats in the widest vectors of a CPU.
VECTOR = 16
Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def choose(name: str, softmax_over_batch: bool) -> Loss:
    """Return the loss of that name: a function of logits (rows, classes) and labels (rows,) to (loss (), its gradient).

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
                one_hot = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
                value = functional.binary_cross_entropy(functional.softmax(leaf, dim=dimension), one_hot)
            (gradient,) = torch.autograd.grad(value, leaf)
        return value.detach(), gradient

    return loss


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and its gradient, with the bits that autograd gives.

    Classes are few and rows many: torch's softmax is five times as fast on the transposed logits. It rounds in
    another way in what is left over from its vectors, so rows are filled up to a multiple of these.
    """
    rows, chosen = len(labels), labels[None]
    columns = functional.pad(logits.t(), (0, -rows % VECTOR)) if rows % VECTOR else logits.t().contiguous()
    logarithms = functional.log_softmax(columns, dim=0)
    of_chosen = torch.zeros_like(logarithms).scatter_(0, chosen, -1 / rows)
    gradient = torch.ops.aten._log_softmax_backward_data(of_chosen, logarithms, 0, logits.dtype)
    return -logarithms.gather(0, chosen).mean(), gradient[:, :rows].t().contiguous()
