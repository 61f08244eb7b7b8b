# SPDX-License-Identifier: Apache-2.0
"""A dense network that learns the bits of each weight and activation, to a budget of LUTs: `train --max-lut`.

First the weights learn alone, then a LUT costs more and more until the budget is met, then the bits stand and the
weights learn on with a falling learning rate. What a build would expect of the network is asked when the price says
that the budget is met: where it is more, the bits go on learning.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qap2fpga.frontend.saving import save
from qap2fpga.qap.bits import Budget, LearnedLinear, LearnedQuantizer
from qap2fpga.qap.bits.budget import split
from qap2fpga.qap.bits.price import layers
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.locks import locked
from qap2fpga.system.reading import json_object
from qap2fpga.train import record
from qap2fpga.train.config import to_dict
from qap2fpga.train.folder import read_tensors, write_tensors
from qap2fpga.train.output import Luts, TrainResult
from qap2fpga.train.predict import predict_luts
from qap2fpga.train.prepare import Prepared, prepare, write_vectors
from qap2fpga.train.run import EXAMPLES, one_thread
from qap2fpga.train.settings import FLOAT_BITS, RunConfig

Say = Callable[[str], None]
# Of the epochs with a rising price, so many come before it.
BEFORE = 0.05
# Learning rates of the bits, and of the weights once the bits stand, as multiples of the weights'.
BITS_RATE, LAST_RATE = 3.0, 1 / 3
# Whole numbers of bits to begin with: of inputs, standardised, and of activations.
INPUT_INTEGER = 2.0
# Between two states that a stopped training goes on from, but for one epoch.
SAVE_SECONDS = 5.0
# Settings of a training that a budget takes the place of.
UNUSED = ("weight_bits", "activation_bits", "input_bits", "sparsity", "prune_steps", "l1", "batch_norm", "patience")
STATE, SETTINGS = "state.pt", "settings.json"


def train_to(
    config: RunConfig, luts: int, say: Say, output: Path, vectors: Path | None = None, folder: Path | None = None
) -> TrainResult:
    """Train the widths of `config` on its data to `luts`, and write the model to `output`.

    `training.epochs` are those in which the price rises, `pruning.epochs` those after it; the bits of `config` are not
    used. A stopped training with a `folder` goes on, bit for bit. Raises `QapError` for a budget that cannot be
    reached, a folder of another training, and a training that diverges.
    """
    if luts < 1:
        raise QapError(f"a budget of {luts} LUTs", "give a positive number")
    plain = replace(config, model=replace(config.model, weight_bits=FLOAT_BITS, scales="arbitrary"))
    with tempfile.TemporaryDirectory() as temporary, one_thread():
        place = folder or Path(temporary) / "training"
        with locked(place, file=".lock", other="another training"):
            _claim(place, {"luts": luts, "config": to_dict(config)})
            training = _Training(config, prepare(plain), luts, place, say)
            training.learn()
            if vectors is not None:
                write_vectors(vectors, training.prepared)
            return training.result(output)


def _claim(place: Path, settings: dict[str, object]) -> None:
    """Raise `QapError` if the folder is of another training; else it is of this one from now on."""
    path = place / SETTINGS
    if path.exists():
        if json_object(path, "choose another folder") != json.loads(json.dumps(settings)):
            raise QapError(f"{place} holds a training with other settings", "choose another folder, or delete it")
        return
    if others := [one.name for one in place.iterdir() if not one.name.startswith(".")]:
        raise QapError(f"{place} holds something else than a training: {others[0]}", "choose another folder")
    write_atomically(path, json.dumps(settings, indent=1) + "\n")


def network(sizes: tuple[int, ...], per: str = "weight") -> nn.Sequential:
    """Return a network with bits learned `per` weight of layers of `sizes`: inputs, hidden neurons, outputs."""
    dense: list[LearnedLinear] = []
    for inputs, outputs in pairwise(sizes):
        first = not dense
        quantizer = LearnedQuantizer(inputs, signed=first, of_input=first, integer=INPUT_INTEGER)
        dense.append(LearnedLinear(inputs, outputs, per=per, quantizer=quantizer))
    return nn.Sequential(*dense)


@dataclass
class _Progress:
    """Epochs with a rising price, and after it; the best weights after it, and their validation loss."""

    epochs: int = 0
    last_epochs: int = 0
    best: dict[str, Tensor] | None = None
    best_loss: float = math.inf
    seconds: float = 0.0


class _Training:
    def __init__(self, config: RunConfig, prepared: Prepared, luts: int, place: Path, say: Say) -> None:
        self.config, self.prepared, self.place, self.say = config, prepared, place, say
        parts = prepared.parts
        self.training, self.validation, self.test = (
            (torch.from_numpy(part.x), torch.from_numpy(part.y))
            for part in (parts.training, parts.validation, parts.test)
        )
        self.batch = min(config.training.batch, len(self.training[0]))
        self.batches = len(self.training[0]) // self.batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            sizes = (len(prepared.data.features), *config.model.widths, len(prepared.data.classes))
            self.module = network(sizes)
            self.generator = torch.Generator()
            self.generator.set_state(torch.get_rng_state())
        steps = config.training.epochs * self.batches
        self.budget = Budget(self.module, luts, steps=steps, wait=round(BEFORE * steps))
        self.progress = _Progress()
        self.optimizer = self._first_optimizer()
        self.criterion = nn.CrossEntropyLoss()
        self.begin = self.saved = time.monotonic()
        self._resume()

    def _first_optimizer(self) -> torch.optim.Adam:
        """Of everything: bits have a learning rate of their own."""
        rate, (weights, bits) = self.config.training.learning_rate, split(self.module)
        return torch.optim.Adam([{"params": weights, "lr": rate}, {"params": bits, "lr": BITS_RATE * rate}])

    def _last_optimizer(self) -> torch.optim.Adam:
        """Of the weights alone."""
        return torch.optim.Adam(split(self.module)[0], lr=LAST_RATE * self.config.training.learning_rate)

    def learn(self) -> None:
        """Learn to the budget, and after it; once more where the tuned network takes more than the budget."""
        progress = self.progress
        while True:
            if not progress.last_epochs:
                self._meet_the_budget()
                self.optimizer = self._last_optimizer()
            while progress.last_epochs < self.config.pruning.epochs:
                self._last_epoch()
            if progress.best is not None:
                self.module.load_state_dict(progress.best)
            expected = self._expected()
            self.budget.correct(expected)
            if self.budget.is_met:
                return
            self.say(f"{expected:,.0f} LUTs expected of the tuned network: its bits learn on")
            progress.last_epochs, progress.best, progress.best_loss = 0, None, math.inf
            self.optimizer = self._first_optimizer()

    def _meet_the_budget(self) -> None:
        """Learn bits until a build would expect no more than the budget."""
        while not self.budget.is_met:
            while not self.budget.is_met:
                self._epoch()
                self.progress.epochs += 1
                self._after_epoch()
            expected = self._expected()
            self.budget.correct(expected)
            self.say(f"{expected:,.0f} LUTs expected after {self.progress.epochs} epochs")

    def _epoch(self) -> None:
        """One pass over the training rows; where the budget is met before its end, it ends there."""
        self.module.train()
        for rows in self._rows():
            self.optimizer.zero_grad()
            loss = self.criterion(self.module(self.training[0][rows]), self.training[1][rows])
            if not torch.isfinite(loss):
                raise QapError("the training has diverged: the loss is not finite", "lower training.learning_rate")
            (loss + self.budget.loss()).backward()
            self.optimizer.step()
            self.budget.step()
            if self.budget.is_met and not self.progress.last_epochs:
                return

    def _last_epoch(self) -> None:
        """One pass with bits that stand, and a learning rate that falls; the best weights are kept."""
        done, epochs = self.progress.last_epochs, self.config.pruning.epochs
        self.progress.last_epochs = done + 1
        falling = 0.5 * (1 + math.cos(math.pi * done / max(epochs, 1)))
        self.optimizer.param_groups[0]["lr"] = LAST_RATE * self.config.training.learning_rate * max(falling, 0.01)
        self._epoch()
        _, loss = self._score(self.validation)
        if loss < self.progress.best_loss and self.budget.fits():
            self.progress.best, self.progress.best_loss = deepcopy(self.module.state_dict()), loss
        self._after_epoch()

    def _rows(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.training[0]), generator=self.generator)
        yield from order[: self.batches * self.batch].reshape(self.batches, self.batch)

    def _score(self, rows: tuple[Tensor, Tensor]) -> tuple[float, float]:
        """(accuracy, loss) on some rows."""
        self.module.eval()
        with torch.no_grad():
            outputs = self.module(rows[0])
        return float((outputs.argmax(dim=1) == rows[1]).float().mean()), float(self.criterion(outputs, rows[1]))

    def _expected(self) -> float:
        """The LUTs that a build would expect."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.pt"
            self._save_model(path, {})
            return max(predict_luts(path), 1.0)

    def _save_model(self, path: Path, stated: dict[str, object]) -> None:
        x, y = (one[:EXAMPLES] for one in self.test)
        config = {name: value for name, value in record.settings(self.config).items() if name not in UNUSED}
        config |= {"max_lut": int(self.budget.luts)}
        save(self.module.eval(), x, path, y, record.origin(self.prepared, self.config.data.split, config, stated))

    def result(self, output: Path) -> TrainResult:
        """Write the model, and return what it came to."""
        accuracy, validation = self._score(self.test)[0], self._score(self.validation)[0]
        weights = torch.cat([one.integers.flatten() for one in layers(self.module).values()])
        sparsity = float((weights == 0).float().mean())
        self._save_model(output, {"test_accuracy": accuracy, "validation_accuracy": validation, "sparsity": sparsity})
        self.say(f"wrote {output}")
        return TrainResult(
            output=output,
            accuracy=accuracy,
            float_accuracy=None,
            validation_accuracy=validation,
            test_rows=len(self.test[0]),
            sparsity=sparsity,
            seconds=self.progress.seconds,
            luts=Luts(int(self.budget.luts), predict_luts(output)),
        )

    def _after_epoch(self) -> None:
        progress, now = self.progress, time.monotonic()
        accuracy, loss = self._score(self.validation)
        self.say(
            f"epoch {progress.epochs + progress.last_epochs}: {self.budget.predicted:,.0f} LUTs,"
            f" validation loss {loss:.4f}, accuracy {accuracy:.4f}"
        )
        progress.seconds += now - self.begin
        self.begin = now
        if now - self.saved >= SAVE_SECONDS or progress.last_epochs in (1, self.config.pruning.epochs):
            self._save()
            self.saved = now

    def _save(self) -> None:
        """Write all that a stopped training goes on from."""
        state: dict[str, Any] = {
            "module": self.module.state_dict(), "optimizer": self.optimizer.state_dict(),
            "budget": self.budget.state_dict(), "generator": self.generator.get_state(),
            "progress": vars(self.progress),
        }  # fmt: skip
        write_tensors(self.place / STATE, state)

    def _resume(self) -> None:
        state: Any = read_tensors(self.place / STATE)
        if state is None:
            return
        self.progress = _Progress(**state["progress"])
        self.module.load_state_dict(state["module"])
        self.budget.load_state_dict(state["budget"])
        if self.progress.last_epochs:
            self.optimizer = self._last_optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.say(f"goes on after epoch {self.progress.epochs + self.progress.last_epochs}")
