# SPDX-License-Identifier: Apache-2.0
"""A dense network that learns the bits of each weight and activation, to a budget of LUTs: `train --max-lut`.

First the weights learn alone, then a LUT costs more and more until the budget is met, then the price follows, so that
the network stays at its budget while bits and weights learn on. The learning rate falls again and again; of the states
that meet the budget the one with the lowest validation loss is kept. The price of training is corrected by what a build
expects of the network.
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
from qap2fpga.train.objective import Objective
from qap2fpga.train.output import Luts, TrainResult
from qap2fpga.train.predict import predict_luts
from qap2fpga.train.prepare import Prepared, prepare, write_vectors
from qap2fpga.train.run import EXAMPLES, one_thread
from qap2fpga.train.settings import FLOAT_BITS, RunConfig

Say = Callable[[str], None]
# Of the epochs, those after which the budget should be met, and of these the ones before any price; and those that it
# takes at least once the budget is met.
RISING, BEFORE, AFTER = 0.5, 0.08, 0.3
# Bits need so many steps to move at all.
FEWEST_STEPS = 300
# Once the budget is met, a build is asked again whenever so much of the epochs has passed.
AGAIN = 0.1
# What is said of a network of no LUTs, by which a price can be corrected.
NOTHING = 1.0
# Learning rates of the weights and of the bits, as multiples of the one that is set.
WEIGHTS_RATE, BITS_RATE = 3.0, 6.0
# The rate falls from its highest to `LOWEST` of that so often, and begins a little lower each time.
CYCLES, RESTART, LOWEST = 24, 0.93, 0.01
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

    It takes `training.epochs`, or more until the budget is met; the bits of `config` are not used. A stopped training
    with a `folder` goes on, bit for bit. Raises `QapError` for a budget that cannot be reached, a network that has
    become a constant, a folder of another training, and a training that diverges.
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


def cyclic(rate: float, turns: float, cycles: float, restart: float) -> float:
    """Return a learning rate after so many `turns` of cycles in which it falls to `LOWEST` of where it began.

    The first begins at `rate`, each further one at `restart` of the one before, up to the number of `cycles`.
    """
    highest = rate * restart ** min(math.floor(turns), cycles)
    return highest * max(0.5 * (1 + math.cos(math.pi * (turns % 1.0))), LOWEST)


@dataclass
class _Progress:
    """Epochs so far, when the budget was met first, and when a build was asked last; the best state, and its loss."""

    epochs: int = 0
    met_after: int | None = None
    asked_after: int = 0
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
        self.steps = config.training.epochs * self.batches
        rising = max(FEWEST_STEPS, round(RISING * self.steps))
        self.budget = Budget(self.module, luts, steps=rising, wait=round(BEFORE * rising))
        self.progress = _Progress()
        rates = [{"params": one} for one in split(self.module)]
        self.optimizer = torch.optim.Adam(rates, lr=config.training.learning_rate)
        self.objective = Objective(self.module, self.steps, say)
        self.begin = self.saved = time.monotonic()
        self._resume()

    def learn(self) -> None:
        """Learn until the epochs are over and the best state meets the budget by what a build expects, too."""
        while True:
            while self.progress.epochs < self._enough:
                self._epoch()
                self._after_epoch()
            if self._best_fits():
                return

    @property
    def _enough(self) -> float:
        """Epochs to learn: those that are set, or more."""
        epochs, met = self.config.training.epochs, self.progress.met_after
        return math.inf if met is None else max(epochs, met + math.ceil(AFTER * epochs))

    def _epoch(self) -> None:
        """One pass over the training rows."""
        self.module.train()
        for rows in self._rows():
            self._set_rates()
            self.optimizer.zero_grad()
            loss, luts = self.objective(*(part[rows] for part in self.training), is_priced=self.budget.is_priced)
            if not torch.isfinite(loss):
                raise QapError("the training has diverged: the loss is not finite", "lower training.learning_rate")
            torch.autograd.backward(loss + self.budget.weigh(luts))
            self.optimizer.step()
            self.budget.step()
        self.progress.epochs += 1

    def _set_rates(self) -> None:
        turns = self.budget.state.taken / self.steps * CYCLES
        falling = cyclic(self.config.training.learning_rate, turns, CYCLES, RESTART)
        for group, factor in zip(self.optimizer.param_groups, (WEIGHTS_RATE, BITS_RATE), strict=True):
            group["lr"] = factor * falling

    def _best_fits(self) -> bool:
        """Go back to the best state; where a build expects more than the budget of it, let it be learned anew."""
        progress = self.progress
        if progress.best is not None:
            self.module.load_state_dict(progress.best)
            expected = self._ask()
            if expected <= NOTHING:
                what = f"on the way to {self.budget.luts:,.0f} LUTs the network has become a constant"
                raise QapError(what, "give more epochs, in which bits can come back, or more LUTs")
            if expected <= self.budget.luts:
                return True
        progress.met_after, progress.best, progress.best_loss = progress.epochs, None, math.inf
        return False

    def _ask(self) -> float:
        """Correct the price by the LUTs that a build would expect, and return these."""
        expected = self._expected()
        self.budget.correct(expected)
        self.say(f"{expected:,.0f} LUTs expected after {self.progress.epochs} epochs")
        self.progress.asked_after = self.progress.epochs
        return expected

    def _rows(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.training[0]), generator=self.generator)
        yield from order[: self.batches * self.batch].reshape(self.batches, self.batch)

    def _score(self, rows: tuple[Tensor, Tensor]) -> tuple[float, float]:
        """(accuracy, loss) on some rows."""
        self.module.eval()
        with torch.no_grad():
            outputs = self.module(rows[0])
        accuracy = (outputs.argmax(dim=1) == rows[1]).float().mean()
        return float(accuracy), float(nn.functional.cross_entropy(outputs, rows[1]))

    def _expected(self) -> float:
        """The LUTs that a build would expect."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.pt"
            self._save_model(path, {})
            return max(predict_luts(path), NOTHING)

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
        """Keep the state if it is the best one that fits, and tell how far it is."""
        progress, now = self.progress, time.monotonic()
        accuracy, loss = self._score(self.validation)
        if self.budget.was_met:
            if progress.met_after is None:
                progress.met_after = progress.epochs
            if progress.epochs - progress.asked_after >= AGAIN * self.config.training.epochs:
                self._ask()
            if self.budget.fits() and loss < progress.best_loss:
                progress.best, progress.best_loss = deepcopy(self.module.state_dict()), loss
        self.say(
            f"epoch {progress.epochs}: {self.budget.predicted:,.0f} LUTs,"
            f" validation loss {loss:.4f}, accuracy {accuracy:.4f}"
        )
        progress.seconds += now - self.begin
        self.begin = now
        if now - self.saved >= SAVE_SECONDS or progress.epochs == self.config.training.epochs:
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
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.say(f"goes on after epoch {self.progress.epochs}")
