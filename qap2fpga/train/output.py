# SPDX-License-Identifier: Apache-2.0
"""One model file out of one run, beside a float network of the same shape: what `qap2fpga train --output` does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.train.config import check
from qap2fpga.train.data import find
from qap2fpga.train.schema import StepRecord
from qap2fpga.train.settings import FLOAT_BITS, RunConfig

Say = Callable[[str], None]


@dataclass(frozen=True)
class Luts:
    """The budget of a training, what a build expects of its network, and what Yosys counts, once it has."""

    budget: int
    expected: float
    measured: int | None = None


@dataclass(frozen=True)
class TrainResult:
    """The measured outcome; accuracies are shares of correct answers on the rows named, 0 to 1.

    float_accuracy: of the float network of the same shape; None if that is the network itself, or was not trained.
    sparsity: share of the dense weights that are zero as integers, masked or rounded to nothing.
    luts: of a training to a budget, None of any other.
    """

    output: Path
    accuracy: float
    float_accuracy: float | None
    validation_accuracy: float
    test_rows: int
    sparsity: float
    seconds: float
    luts: Luts | None = None


def train(
    config: RunConfig, say: Say, output: Path | None = None, vectors: Path | None = None, folder: Path | None = None
) -> TrainResult:
    """Run `config` in `folder` and write the model of its last step to `output`.

    Without a `folder` the run's is a temporary one. With an `output` a float network of the same shape is trained,
    too, and the model's provenance has its accuracy. `vectors`: the file for standardised test rows. `say` gets a
    line at every step. Raises `QapError`, before any work, for a value out of range and for missing or broken data.
    """
    if output is None and folder is None:
        raise QapError("nowhere to write to", "give --output MODEL.pt, or --folder RUN_FOLDER, or both")
    ready_to(config, (output, vectors))
    # torch and brevitas take seconds to import: a mistake is told at once, a correct run does not mind.
    from qap2fpga.train.run import run

    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary) / "run"
        record = run(config, place, say)
        last = record["steps"][-1]
        reference = None
        if output is not None and not config.model.is_float:
            reference = run(_float(config), place / "float", lambda line: say(f"float {line}"))["steps"][-1]
        if vectors is not None:
            write_atomically(vectors, (place / "vectors.npz").read_bytes())
            say(f"wrote {vectors}")
        if output is not None:
            _write(place / last["checkpoint"], output, last, reference)
            say(f"wrote {output}")
        if folder is not None:
            shutil.rmtree(folder / "float", ignore_errors=True)
    return TrainResult(
        output=output or place / last["checkpoint"],
        accuracy=last["metrics"]["test"]["accuracy"],
        float_accuracy=None if reference is None else reference["metrics"]["test"]["accuracy"],
        validation_accuracy=last["metrics"]["validation"]["accuracy"],
        test_rows=record["data"]["test_rows"],
        sparsity=last["integer_sparsity"],
        seconds=record["seconds"],
    )


def ready_to(config: RunConfig, files: Sequence[Path | None]) -> None:
    """Raise `QapError`, before any work, for settings out of range, missing data, and files that cannot be written."""
    check(config)
    find(config.data.source)
    for path in files:
        if path is not None:
            check_writable(path)


def _float(config: RunConfig) -> RunConfig:
    """The float network of the same shape, without L1 and pruning."""
    return replace(
        config,
        model=replace(config.model, weight_bits=FLOAT_BITS, scales="arbitrary"),
        training=replace(config.training, l1=0.0, quantization="aware"),
        pruning=replace(config.pruning, schedule="none"),
    )


def _write(checkpoint: Path, output: Path, last: StepRecord, reference: StepRecord | None) -> None:
    """The checkpoint as the model file; with a float `reference`, its accuracies stand in the provenance."""
    if reference is None:
        write_atomically(output, checkpoint.read_bytes())
        return
    import torch

    from qap2fpga.train.folder import write_tensors

    content = torch.load(checkpoint, weights_only=True)
    metrics: dict[str, object] = {}
    parts: tuple[Literal["test", "validation"], ...] = ("test", "validation")
    for part in parts:
        for prefix, step in (("", last), ("float_", reference)):
            metrics[f"{prefix}{part}_accuracy"] = step["metrics"][part]["accuracy"]
    metrics |= {"sparsity": last["integer_sparsity"], "layer_sparsity": last["layer_sparsity"]}
    content["provenance"]["metrics"] = metrics
    write_tensors(output, content)


def check_writable(path: Path) -> None:
    """A file that cannot be written must not be found out after minutes of training."""
    if path.is_dir():
        raise QapError(f"{path} is a folder", "name the file to write")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise QapError(f"{path} cannot be written: {folder} is not a folder of yours", "choose another place")
