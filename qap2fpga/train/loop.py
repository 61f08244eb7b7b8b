# SPDX-License-Identifier: Apache-2.0
"""The training loop: Adam with L1 on the dense weights, stopped early, resumable after every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from qap2fpga.system.errors import QapError
from qap2fpga.train.adam import Adam
from qap2fpga.train.loss import Loss
from qap2fpga.train.network import Network
from qap2fpga.train.schema import Epoch

# The learning rate of a cosine schedule ends at this part of where it began.
LAST_LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Recipe:
    """How to train: at most `epochs` epochs, fewer when `patience` of them bring no lower validation loss.

    schedule: 'cosine': the learning rate falls from `learning_rate` along half a cosine to a hundredth of it at the
        last epoch; 'constant': it stays.
    l1: multiplies the sum of the absolute dense weights, and of nothing else.
    l1_on_batch_norm: a mistake of the paper's code: of batch norm's gamma as well.
    keep_best: how the best epoch is kept and taken back; None: as a copy in memory.
    """

    epochs: int
    patience: int
    learning_rate: float
    batch: int
    l1: float
    loss: Loss
    schedule: str = "cosine"
    l1_on_batch_norm: bool = False
    keep_best: Keeper | None = None

    def rate(self, epoch: int) -> float:
        """Return the learning rate of the `epoch`-th epoch, from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        progress = epoch / max(1, self.epochs - 1)
        last = LAST_LEARNING_RATE
        return self.learning_rate * (last + (1 - last) * (1 + math.cos(math.pi * progress)) / 2)


@dataclass(frozen=True)
class Keeper:
    """A place for the state of the best epoch."""

    put: Callable[[dict[str, Tensor]], None]
    get: Callable[[], dict[str, Tensor]]


@dataclass(frozen=True)
class Rows:
    """A part of the data on the training's device: quantized x (N, features) float32, y (N,) int64."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats and share of correct answers, 0 to 1."""

    loss: float
    accuracy: float


@dataclass
class Progress:
    """Where a training stands after an epoch: what a resumed one needs, as plain values and tensors.

    epochs: one entry per epoch: learning rate, training loss, validation loss and accuracy.
    best: the network's state at the lowest validation loss; best_epoch counts from 0.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    best_epoch: int = 0
    network: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    generator: Tensor | None = None

    def done(self, recipe: Recipe) -> bool:
        """Return whether there is nothing left to learn."""
        waited = len(self.epochs) - 1 - self.best_epoch
        return len(self.epochs) >= recipe.epochs or (bool(self.epochs) and waited > recipe.patience)


def evaluate(network: Network, rows: Rows) -> Score:
    """Loss and accuracy on all rows."""
    loss, correct = 0.0, 0
    for logits, y in network.batches(rows.x, rows.y):
        loss += float(cross_entropy(logits, y, reduction="sum"))
        correct += int((logits.argmax(dim=1) == y).sum())
    return Score(loss / len(rows.y), correct / len(rows.y))


def fit(
    network: Network,
    training: Rows,
    validation: Rows,
    recipe: Recipe,
    generator: torch.Generator,
    progress: Progress,
    after_epoch: Callable[[Progress], None],
) -> Score:
    """Train in place, leave the network as it was at its lowest validation loss, and return that score.

    `generator` gives the order of the rows. `progress` is a new one, or where an interrupted training stood: then it
    goes on as if nothing had happened. The state before the first epoch is not a candidate: after a step of pruning
    its batch norm statistics are those of another network. Raises `QapError` if the loss is no longer a number.
    """
    optimizer = Adam(network.parameters, network.gradient)
    if progress.epochs:
        network.restore(progress.network)
        optimizer.restore(progress.optimizer)
        assert progress.generator is not None
        generator.set_state(progress.generator)
    while not progress.done(recipe):
        epoch = len(progress.epochs)
        rate = recipe.rate(epoch)
        training_loss = _one_epoch(network, training, recipe, optimizer, rate, generator)
        score = evaluate(network, validation)
        if not math.isfinite(score.loss):
            raise QapError("the training diverged: the loss is no longer a number", "lower the learning rate")
        progress.epochs.append(
            {
                "learning_rate": rate,
                "training_loss": training_loss,
                "validation_loss": score.loss,
                "validation_accuracy": score.accuracy,
            }
        )
        if score.loss < progress.best_loss:
            progress.best, progress.best_loss, progress.best_epoch = network.save(), score.loss, epoch
            if recipe.keep_best is not None:
                recipe.keep_best.put(progress.best)
        progress.network, progress.optimizer = network.save(), optimizer.save()
        progress.generator = generator.get_state()
        after_epoch(progress)
    network.restore(progress.best if recipe.keep_best is None else recipe.keep_best.get())
    return evaluate(network, validation)


def _one_epoch(
    network: Network, rows: Rows, recipe: Recipe, optimizer: Adam, rate: float, generator: torch.Generator
) -> float:
    """One pass over the rows in random order; the mean loss over batches, without the L1 term."""
    order = torch.randperm(len(rows.y), generator=generator).to(rows.y.device)
    x, y = rows.x.index_select(0, order), rows.y.index_select(0, order)
    losses = []
    for batch, labels in zip(torch.split(x, recipe.batch), torch.split(y, recipe.batch), strict=True):
        # Batch norm cannot learn from a single row, which the last batch may be.
        if len(labels) >= 2:
            losses.append(step(network, batch, labels, recipe, optimizer, rate))
    return float(torch.stack(losses).mean())


def step(network: Network, x: Tensor, y: Tensor, recipe: Recipe, optimizer: Adam, rate: float) -> Tensor:
    """Learn from one batch; its loss, without the L1 term."""
    value, gradient = recipe.loss(network.forward(x, training=True), y)
    network.gradient.zero_()
    if recipe.l1:
        weights = network.weights
        torch.sign(weights, out=network.gradient[: len(weights)]).mul_(recipe.l1)
        if recipe.l1_on_batch_norm:
            for layer in network.layers:
                if layer.gamma is not None and layer.d_gamma is not None:
                    layer.d_gamma.add_(layer.gamma.sign(), alpha=recipe.l1)
    network.backward(gradient)
    optimizer.step(rate)
    if not network.late_mask:
        network.apply_mask()
    return value
