# SPDX-License-Identifier: Apache-2.0
"""One training with HGQ2, and its best networks as Verilog by alkaid: runs in the peers' own environment.

    python peers_hgq_inside.py JOB.json

It imports the peers and numpy alone. HGQ2 is used as its authors do for jets: dense layers with batch norm and ReLU,
bits per weight and per activation, EBOPs (bit operations) as a regulariser whose weight beta grows by a power over the
run, cosine restarts of the learning rate, and a front of checkpoints, none of which is beaten by another in both
validation accuracy and EBOPs. Schedules go by the CPU time that is used up, since the budget is CPU time.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras
import numpy as np
from alkaid.codegen import RTLModel
from alkaid.converter import trace_model
from alkaid.trace import FVArray, HWConfig, trace
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.layers import QDense, QEinsumDenseBatchnorm
from hgq.utils import trace_minmax
from hgq.utils.sugar import FreeEBOPs

Job = dict[str, Any]
Settings = dict[str, Any]
Checkpoint = tuple[float, float, list[np.ndarray]]  # validation accuracy, EBOPs, weights
TOP = "model"
BATCH = 8192  # of predictions
# Checkpoints near the front whose ranges are traced: their accuracies, and so many steps of EBOPs by so many of each.
SLACK, NEAR = 0.01, (32, 2)
# Of an epoch.
FEWEST_BATCHES = 4


def network(inputs: int, classes: int, settings: Settings) -> keras.Model:
    """Return an untrained network: bits of weights are learned one by one, those of activations too."""
    weight, bits = int(settings["weight_bits"]), int(settings["activation_bits"])
    with (
        QuantizerConfigScope(place="weight", overflow_mode="SAT_SYM", b0=weight, f0=weight),
        QuantizerConfigScope(place="bias", overflow_mode=settings["bias_overflow"], b0=weight, f0=weight),
        QuantizerConfigScope(place="datalane", i0=1, f0=bits),
    ):
        source = keras.Input((inputs,))
        last = source
        for number, width in enumerate(settings["widths"]):
            first = {"iq_conf": QuantizerConfig(overflow_mode=settings["input_overflow"])} if number == 0 else {}
            last = QEinsumDenseBatchnorm(
                "bc,cC->bC", int(width), bias_axes="C", activation="relu", name=f"dense{number}", **first
            )(last)
        last = QDense(classes, name="logits")(last)
    return keras.Model(source, last)


class Budget(keras.callbacks.Callback):
    """Set beta and the learning rate by the part of the CPU time that is used up, and stop when it is.

    Keeps the weights of all checkpoints that no other beats by more than `SLACK` with at most their EBOPs.
    """

    def __init__(self, cpu_s: float, settings: Settings) -> None:
        super().__init__()
        self.cpu_s, self.settings = cpu_s, settings
        self.begin = time.process_time()
        self.epochs = 0
        self.near: list[Checkpoint] = []

    @property
    def used(self) -> float:
        """The part of the CPU time that is used up."""
        return (time.process_time() - self.begin) / self.cpu_s

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        used, chosen = min(self.used, 1.0), self.settings
        grown = max(0.0, used - chosen["beta_wait"]) / (1 - chosen["beta_wait"])
        beta = chosen["beta"][0] * (chosen["beta"][1] / chosen["beta"][0]) ** grown
        for layer in self.model._flatten_layers():
            if getattr(layer, "_beta", None) is not None:
                layer._beta.assign(beta)
        turns = used * chosen["restarts"]
        decay = chosen["restart_factor"] ** math.floor(turns)
        rate = chosen["rate"] * decay * 0.5 * (1 + math.cos(math.pi * (turns % 1.0)))
        self.model.optimizer.learning_rate = max(rate, 1e-6)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        self.epochs += 1
        accuracy, ebops = float(logs["val_accuracy"]), float(logs["ebops"])
        far = any(other > accuracy + SLACK and cost <= ebops for other, cost, _ in self.near)
        if math.isfinite(float(logs["loss"])) and not far:
            kept = [one for one in self.near if one[0] >= accuracy - SLACK or one[1] < ebops]
            self.near = [*kept, (accuracy, ebops, self.model.get_weights())]
        if self.used >= 1:
            self.model.stop_training = True


def spread(checkpoints: list[Checkpoint], parts: int, each: int, ends: tuple[float, float]) -> list[Checkpoint]:
    """Return the `each` most accurate checkpoints in each of `parts` even steps of the logarithm of EBOPs.

    Those whose EBOPs are not between `ends` are left out.
    """
    some = [one for one in checkpoints if ends[0] <= one[1] <= ends[1]]
    if not some:
        return []
    low, high = (math.log(end(ebops for _, ebops, _ in some)) for end in (min, max))
    steps: dict[int, list[Checkpoint]] = {}
    for one in sorted(some, key=lambda one: -one[0]):
        step = min(parts - 1, int((math.log(one[1]) - low) / ((high - low) or 1) * parts))
        steps.setdefault(step, []).append(one)
    return [one for step in sorted(steps) for one in steps[step][:each]]


def front(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Return those that no other beats in both accuracy and EBOPs."""
    kept: list[Checkpoint] = []
    for one in sorted(checkpoints, key=lambda one: (one[1], -one[0])):
        if not kept or one[0] > kept[-1][0]:
            kept.append(one)
    return kept


def traced(model: keras.Model, data: dict[str, np.ndarray], checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Return `checkpoints` with the ranges that the training rows need, and what accuracy and EBOPs they have so.

    Ranges in training are those of the last batches; with exact ones another checkpoint may be the best.
    """
    result = []
    for _, _, weights in checkpoints:
        model.set_weights(weights)
        ebops = float(trace_minmax(model, data["X_train"], batch_size=BATCH))
        logits = model.predict(data["X_validation"], batch_size=BATCH, verbose=0)
        result.append((float(np.mean(logits.argmax(axis=1) == data["y_validation"])), ebops, model.get_weights()))
    return result


def batches(rows: int, settings: Settings) -> tuple[int, int]:
    """Return the rows of a batch, and the steps that are taken at once: of few rows an epoch has some batches, too.

    On digits four an epoch are better than one of 1,024 rows in the same time.
    """
    batch = min(int(settings["batch"]), -(-rows // FEWEST_BATCHES))
    return batch, min(int(settings["steps_at_once"]), rows // batch)


def train(job: Job, data: dict[str, np.ndarray]) -> tuple[keras.Model, Budget]:
    """Train one network within the CPU time."""
    settings = job["settings"]
    batch, at_once = batches(len(data["X_train"]), settings)
    model = network(data["X_train"].shape[1], int(data["classes"]), settings)
    model.compile(
        optimizer=keras.optimizers.Adam(settings["rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=at_once,
    )
    budget = Budget(job["cpu_s"], settings)
    model.fit(
        data["X_train"], data["y_train"], validation_data=(data["X_validation"], data["y_validation"]),
        batch_size=batch, validation_batch_size=BATCH, epochs=1_000_000, verbose=0,
        callbacks=[FreeEBOPs(), budget, keras.callbacks.TerminateOnNaN()],
    )  # fmt: skip
    return model, budget


def convert(model: keras.Model, data: dict[str, np.ndarray], settings: Settings, folder: Path) -> dict[str, Any]:
    """Write the Verilog of `model` as it is, and return its accuracies by alkaid's exact integers."""
    # Real numbers become integers before the hardware, by the network's own input quantizer.
    quantizer = model.layers[1].iq
    widths = (np.asarray(one, np.int8) for one in quantizer.quantizer.kif)
    hwconf, options = HWConfig(*settings["alkaid"]), {"hard_dc": settings["hard_dc"]}
    inputs = FVArray.from_kif(*widths, hwconf, 0, options)
    logic = trace(*trace_model(model, hwconf, options, inputs=inputs))
    given = {part: np.asarray(quantizer(data[f"X_{part}"]), np.float64) for part in ("validation", "test")}
    exact = {part: logic.predict(rows, n_threads=1) for part, rows in given.items()}
    floats = model.predict(data["X_test"], batch_size=BATCH, verbose=0)
    hardware = RTLModel(
        logic, folder, TOP, latency_cutoff=settings["latency_cutoff"], print_latency=False,
        ternary_fuse=settings["ternary_adders"],
    )  # fmt: skip
    hardware.write()
    right = {part: float(np.mean(logits.argmax(axis=1) == data[f"y_{part}"])) for part, logits in exact.items()}
    return {
        **right, "top": TOP, "expected_lut": float(logic.cost), "stages": hardware.latency,
        "differing_values": int((floats.reshape(exact["test"].shape) != exact["test"]).sum()),
        "differing_classes": int((floats.argmax(axis=1) != exact["test"].argmax(axis=1)).sum()),
        "float_test": float(np.mean(floats.argmax(axis=1) == data["y_test"])),
    }  # fmt: skip


def main(path: Path) -> None:
    """Do the job in `path`: train, convert the front, and write what came out beside it."""
    job = json.loads(path.read_text())
    folder = path.parent
    with np.load(job["data"], allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    keras.utils.set_random_seed(job["seed"])
    begin = time.process_time()
    model, budget = train(job, data)
    cpu_s = time.process_time() - begin
    best = front(traced(model, data, spread(budget.near, *NEAR, job["ebops"])))
    candidates, unconverted = [], 0
    for _, ebops, weights in spread(best, job["candidates"], 1, job["ebops"]):
        name = f"e{int(ebops)}"
        model.set_weights(weights)
        try:
            candidates.append({"name": name, "ebops": ebops, **convert(model, data, job["settings"], folder / name)})
        except Exception:  # alkaid's, of whatever kind: the other networks are none the worse for it
            unconverted += 1
            traceback.print_exc()
    result = {
        "cpu_s": cpu_s, "epochs": budget.epochs, "front": len(best), "unconverted": unconverted,
        "candidates": candidates,
    }  # fmt: skip
    temporary = folder / "result.part"
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(folder / "result.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
