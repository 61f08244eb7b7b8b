# SPDX-License-Identifier: Apache-2.0
"""One run: from a configuration to a folder with a record and a checkpoint of every step. `docs/training.md`."""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qap2fpga.frontend.checkpoint import writing
from qap2fpga.train import loss, record
from qap2fpga.train.config import check
from qap2fpga.train.convert import float_state, to_model
from qap2fpga.train.folder import RunFolder, write_tensors
from qap2fpga.train.loop import Keeper, Progress, Recipe, Score, evaluate, fit
from qap2fpga.train.network import Network
from qap2fpga.train.prepare import Prepared, device_of, prepare, rows, shape_of, write_vectors
from qap2fpga.train.prune import check_lanes, mask_sparsity, prune_to
from qap2fpga.train.requantize import merged, quantized
from qap2fpga.train.schedule import Step, steps
from qap2fpga.train.schema import Record
from qap2fpga.train.settings import RunConfig

Say = Callable[[str], None]
# Test rows that a model itself carries.
EXAMPLES = 1000
# A run is interrupted at most so many seconds, and one epoch, after what it goes on from.
SAVE_SECONDS = 5.0
# The file of the paper's code that all its runs share.
SHARED_CHECKPOINT = Path("checkpoint.pt")


def run(config: RunConfig, folder: Path, say: Say) -> Record:
    """Train what `config` says, in `folder`, and return the record; `say` gets a line at every step.

    Called again on the folder of an interrupted run it goes on, and gives, on a CPU, bit for bit what an
    uninterrupted run gives; on that of a finished one it returns the record. Raises `QapError` for a value out of
    range, for data that cannot be used, for a folder of another run, and if the training diverges.
    """
    check(config)
    device = device_of(config.training.device)
    with warnings.catch_warnings(), RunFolder(folder, config) as place:
        # Brevitas names the dimensions of its tensors, and torch warns that it may stop to allow that.
        warnings.filterwarnings("ignore", message="Named tensors")
        stored = place.record()
        if stored is not None and stored["finished"]:
            return stored
        with one_thread(), torch.no_grad():
            return _Run(config, place, device, say).all_steps()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: more of them sum in another order, and for layers this small they are slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass
class _State:
    """Where a run stands; `save` and `load` turn it to plain values.

    step: number of the step that is being learned; tuning: whether its training is done and its product learns.
    trunk: the network before the step, or while tuning, after its training.
    """

    record: Record
    initial: dict[str, Tensor]
    trunk: dict[str, Tensor]
    generator: Tensor
    mask: Tensor | None = None
    step: int = 0
    tuning: bool = False
    messages: list[str] = dataclasses.field(default_factory=list)
    progress: Progress = dataclasses.field(default_factory=Progress)
    product: Progress = dataclasses.field(default_factory=Progress)

    def save(self) -> dict[str, object]:
        """Return plain values and tensors."""
        plain = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        fits = {name: dict(vars(plain[name])) for name in ("progress", "product")}
        return plain | fits | {"record": json.dumps(self.record)}

    @classmethod
    def load(cls, stored: Mapping[str, object]) -> _State:
        """Return the state of what `save` gave."""
        plain: dict[str, Any] = dict(stored)
        fits = {name: Progress(**plain[name]) for name in ("progress", "product")}
        return cls(**(plain | fits | {"record": json.loads(plain["record"])}))


class _Run:
    """The data, the network and the state of one run while it goes on."""

    def __init__(self, config: RunConfig, place: RunFolder, device: str, say: Say) -> None:
        self.config, self.place, self.device, self.say = config, place, device, say
        self.prepared: Prepared = prepare(config)
        is_float = config.model.is_float or config.training.quantization == "after"
        self.network = Network(shape_of(config, self.prepared, is_float=is_float), device)
        check_lanes(self.network, config.pruning)
        self.network.late_mask = "late_mask" in config.paper_code
        parts = self.prepared.parts
        self.training, self.validation = (
            rows(part, self.network.shape, device) for part in (parts.training, parts.validation)
        )
        self.generator = torch.Generator()
        self.saved = self.started = time.monotonic()
        self.state = self._resumed() or self._fresh()

    def _fresh(self) -> _State:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            self.network.initialise()
            self.generator.set_state(torch.get_rng_state())
        start = self.network.save()
        state = _State(record.of_run(self.config, self.prepared), start, start, self.generator.get_state())
        self.place.write_record(state.record)
        write_vectors(self.place.path / "vectors.npz", self.prepared)
        data, parts = self.prepared.data, self.prepared.parts
        self.say(f"{data.name}: {len(parts.training)} rows to train on, {len(parts.validation)} to validate on")
        if "shared_masks" in self.config.paper_code and not self.config.model.is_float:
            state.mask = self._mask_of_the_float_run()
        return state

    def _resumed(self) -> _State | None:
        stored = self.place.state()
        if stored is None:
            return None
        state = _State.load(stored)
        self.started -= state.record["seconds"]
        self.say(f"going on with step {state.step}, after {len(state.progress.epochs)} epochs")
        return state

    def _mask_of_the_float_run(self) -> Tensor | None:
        """The weights that a 32-bit run of the same configuration leaves, which the paper's code begins with."""
        model = replace(self.config.model, weight_bits=32, scales="arbitrary")
        training = replace(self.config.training, quantization="aware")
        taken = run(replace(self.config, model=model, training=training), self.place.path / "shared_masks", self.say)
        state = torch.load(self.place.path / "shared_masks" / taken["steps"][-1]["checkpoint"], weights_only=True)
        weights = [state[f"fc{number}.weight"].flatten() for number in range(1, len(self.network.layers) + 1)]
        return (torch.cat(weights) != 0).to(torch.float32).to(self.device)

    def all_steps(self) -> Record:
        """Take every step that is left, and return the finished record."""
        plan, state = steps(self.config), self.state
        for step in plan[state.step :]:
            self._take(step)
            state.record["seconds"] = time.monotonic() - self.started
            state.step, state.tuning, state.messages = step.number + 1, False, []
            state.progress, state.product = Progress(), Progress()
            self._save()
            self.place.write_record(state.record)
        state.record["finished"] = True
        self.place.finish(state.record)
        return state.record

    def _take(self, step: Step) -> None:
        """Prune, learn, make the product of the step, and write both down."""
        state, network = self.state, self.network
        network.mask = state.mask
        network.restore(state.trunk)
        self.generator.set_state(state.generator)
        if not state.tuning:
            if not state.progress.epochs:
                self._begin(step)
            fit(
                network, self.training, self.validation, self._recipe(step.epochs), self.generator, state.progress,
                self._after_epoch,
            )  # fmt: skip
            state.trunk, state.generator, state.tuning = network.save(), self.generator.get_state(), True
        product, tuned, score = self._product(step)
        name = "dense" if not step.sparsity else f"{mask_sparsity(network):.1%} pruned"
        self.say(f"{name}: validation loss {score.loss:.4f}, accuracy {score.accuracy:.4f}")
        self._write(step, product, tuned, score)

    def _begin(self, step: Step) -> None:
        """Prune, and rewind if the schedule says so."""
        state, network = self.state, self.network
        if step.sparsity:
            state.messages = prune_to(network, step.sparsity, self.config.pruning)
            for message in state.messages:
                self.say(message)
            state.mask = network.mask
        if step.rewind and "rewind_without_copy" not in self.config.paper_code:
            network.restore(state.initial)
            network.apply_mask()

    def _recipe(self, epochs: int) -> Recipe:
        training, mistakes = self.config.training, self.config.paper_code
        keeper = Keeper(
            put=lambda state: write_tensors(SHARED_CHECKPOINT, state),
            get=lambda: torch.load(SHARED_CHECKPOINT, weights_only=True),
        )
        return Recipe(
            epochs=epochs,
            patience=training.patience,
            learning_rate=training.learning_rate,
            batch=training.batch,
            l1=training.l1,
            loss=loss.choose(training.loss, "softmax_over_batch" in mistakes),
            schedule=training.schedule,
            l1_on_batch_norm="l1_on_batch_norm" in mistakes,
            keep_best=keeper if "shared_checkpoint" in mistakes else None,
        )

    def _product(self, step: Step) -> tuple[Network, Progress | None, Score]:
        """What the step gives: the trained network, or what is made of it; how it learned, and how good it is."""
        config, network = self.config, self.network
        if config.training.quantization == "after":
            shape = shape_of(config, self.prepared, is_float=False)
            parts = self.prepared.parts
            product = quantized(network, shape, rows(parts.training, shape, self.device).x)
            return product, None, evaluate(product, rows(parts.validation, shape, self.device))
        if config.model.scales == "arbitrary":
            return network, None, evaluate(network, self.validation)
        product = merged(network, self.training.x, config.model.bias_bits)
        # Its own random numbers: the steps that follow learn as they would without the product.
        generator = torch.Generator().manual_seed(config.seed + step.number)
        recipe = self._recipe(config.pruning.epochs)
        score = fit(product, self.training, self.validation, recipe, generator, self.state.product, self._after_epoch)
        return product, self.state.product, score

    def _write(self, step: Step, product: Network, tuned: Progress | None, score: Score) -> None:
        """The checkpoint and the record of a step."""
        state, prepared, network = self.state, self.prepared, product.on_cpu()
        softmax_over = self.config.training.batch if "softmax_over_batch" in self.config.paper_code else 0
        name = f"step-{step.number:02d}.pt"
        learned = record.Learned(state.progress, tuned, score, state.messages)
        entry = record.of_step(network, step, learned, prepared, name, softmax_over)
        path = self.place.path / name
        if network.shape.weight_bits is None:
            write_tensors(path, float_state(network))
        else:
            test = prepared.parts.test
            model = to_model(network, test.x[:EXAMPLES], test.y[:EXAMPLES])
            writing.write(model, path, model.labels, record.provenance(self.config, prepared, entry))
        state.record["steps"].append(entry)

    def _after_epoch(self, _progress: Progress) -> None:
        if time.monotonic() - self.saved >= SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        self.state.record["seconds"] = time.monotonic() - self.started
        self.place.save_state(self.state.save())
        self.saved = time.monotonic()
