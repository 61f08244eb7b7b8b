# SPDX-License-Identifier: Apache-2.0
"""The training loop: Adam on cross-entropy with L1 on the dense weights, stopped early; pruning in steps."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from qap2fpga.errors import QapError
from qap2fpga.train.data import Part
from qap2fpga.train.network import dense_layers
from qap2fpga.train.prune import mask_sparsity, prune_to, steps

# Rows a pass when nothing is learned.
EVALUATION_BATCH = 8192


@dataclass(frozen=True)
class Recipe:
    """How to train: at most `epochs` epochs, fewer when `patience` of them bring no lower validation loss.

    The learning rate falls from `learning_rate` along half a cosine to a hundredth of it at the last epoch.
    `l1` multiplies the sum of the absolute dense weights, of nothing else.
    """

    epochs: int
    patience: int
    learning_rate: float
    batch: int
    l1: float


@dataclass(frozen=True)
class Rows:
    """A part of the data as tensors: x (N, features) float32, y (N,) int64."""

    x: torch.Tensor
    y: torch.Tensor

    @classmethod
    def of(cls, part: Part) -> Rows:
        return cls(torch.from_numpy(part.x), torch.from_numpy(part.y))


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats and share of correct answers, 0 to 1."""

    loss: float
    accuracy: float


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed torch and keep it to one thread within the block: the same seed then gives the same bits.

    More threads sum in another order, and for layers this small they are slower.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@torch.no_grad()
def evaluate(network: nn.Module, rows: Rows) -> Score:
    """Loss and accuracy on all rows, in evaluation mode; the network is left in it."""
    network.eval()
    loss, correct = 0.0, 0
    for x, y in zip(*(torch.split(part, EVALUATION_BATCH) for part in (rows.x, rows.y)), strict=True):
        logits = network(x)
        loss += float(cross_entropy(logits, y, reduction="sum"))
        correct += int((logits.argmax(dim=1) == y).sum())
    return Score(loss / len(rows.y), correct / len(rows.y))


def fit(network: nn.Module, training: Rows, validation: Rows, recipe: Recipe) -> Score:
    """Train in place, leave the network as it was at its lowest validation loss, and return that score.

    The state before the first epoch is not a candidate: after a step of pruning its batch norm statistics are
    those of another network. Raises `QapError` if the loss is no longer a number.
    """
    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate)
    best, state, waited = Score(math.inf, 0.0), copy.deepcopy(network.state_dict()), 0
    for epoch in range(recipe.epochs):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _cosine(epoch, recipe.epochs)
        _one_epoch(network, training, recipe, optimizer)
        score = evaluate(network, validation)
        if not math.isfinite(score.loss):
            raise QapError("the training diverged: the loss is no longer a number", "lower the learning rate")
        waited += 1
        if score.loss < best.loss:
            best, state, waited = score, copy.deepcopy(network.state_dict()), 0
        if waited > recipe.patience:
            break
    network.load_state_dict(state)
    return evaluate(network, validation)


def fit_pruned(
    network: nn.Module,
    training: Rows,
    validation: Rows,
    dense: Recipe,
    tuning: Recipe,
    sparsity: float,
    count: int,
    report: Callable[[str], None],
) -> Score:
    """Train dense, then `count` times prune and train on: fine-tuning pruning, Hawks et al. 2021, section 3.

    After each step but the last the network learns by the recipe `tuning`; after the last by `dense`.
    """
    score = fit(network, training, validation, dense)
    report(f"dense: validation loss {score.loss:.4f}, accuracy {score.accuracy:.4f}")
    targets = steps(sparsity, count)
    for number, target in enumerate(targets, 1):
        prune_to(network, target, report)
        score = fit(network, training, validation, dense if number == len(targets) else tuning)
        report(f"{mask_sparsity(network):.1%} pruned: validation loss {score.loss:.4f}, accuracy {score.accuracy:.4f}")
    return score


def _one_epoch(network: nn.Module, rows: Rows, recipe: Recipe, optimizer: torch.optim.Optimizer) -> None:
    network.train()
    layers = [layer for _, layer in dense_layers(network)]
    for batch in torch.split(torch.randperm(len(rows.y)), recipe.batch):
        # Batch norm cannot learn from a single row, which the last batch may be.
        if len(batch) < 2:
            continue
        loss = cross_entropy(network(rows.x[batch]), rows.y[batch])
        if recipe.l1:
            # After the forward pass `weight` is the masked one: what is pruned is not pulled at.
            loss = loss + recipe.l1 * torch.stack([layer.weight.abs().sum() for layer in layers]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _cosine(epoch: int, epochs: int) -> float:
    """From 1 at the first epoch to 0.01 at the last."""
    progress = epoch / max(1, epochs - 1)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2
