# SPDX-License-Identifier: Apache-2.0
"""Whole runs: masks, rewinding, resuming, records, the kinds of networks they give, and the paper's mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qap2fpga.frontend.checkpoint import model_file as checkpoint
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.ir.functions import Step as StepFunction
from qap2fpga.requant.implementations import Target
from qap2fpga.requant.segments import constraints, rooms
from qap2fpga.requant.segments import split as split_segments
from qap2fpga.system.errors import QapError
from qap2fpga.train import config as settings
from qap2fpga.train import run as running
from qap2fpga.train.loop import Progress
from qap2fpga.train.network import Network
from qap2fpga.train.run import run
from qap2fpga.train.settings import RunConfig
from tests.support.training import toy

SMALL = {
    "model.widths": [8, 6],
    "training.epochs": 4,
    "training.batch": 32,
    "training.learning_rate": 1e-2,
    "training.patience": 2,
    "training.device": "cpu",
    "pruning.steps": 2,
    "pruning.epochs": 2,
}


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    part = toy()
    np.savez(tmp_path / "toy.npz", X=part.x, y=part.y)
    return tmp_path / "toy.npz"


def small(data: Path, **changes: Any) -> RunConfig:
    """A run of a second; `changes` are paths with two underscores for the dot."""
    config = settings.of_source(str(data))
    for path, value in (SMALL | {name.replace("__", "."): value for name, value in changes.items()}).items():
        config = settings.replace(config, path, value)
    return config


def silent(_line: str) -> None:
    """Ignore a report."""


def contents(folder: Path) -> dict[str, Any]:
    """All that a run left, without the time that it took."""
    record = json.loads((folder / "record.json").read_text())
    record.pop("seconds")
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".pt", ".npz")}
    return {"record": record, **files}


# ---- masks and rewinding


@pytest.mark.parametrize("schedule", ["fine_tuning", "lottery_ticket", "learning_rate_rewinding"])
def test_a_pruned_weight_is_zero_in_every_forward_pass(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    passes, broken = [0, 0], 0
    forward = Network.forward

    def watched(network: Network, x: torch.Tensor, training: bool) -> torch.Tensor:
        nonlocal broken
        if network.mask is not None:
            passes[training] += 1
            # Before the pass (nothing came back since the last one), and in the weights that it used.
            broken += int((network.weights[network.mask == 0] != 0).sum())
        logits = forward(network, x, training)
        if network.mask is not None:
            used = torch.cat([layer.kept["weight"].flatten() for layer in network.layers])
            broken += int((used[network.mask == 0] != 0).sum())
        return logits

    monkeypatch.setattr(Network, "forward", watched)
    record = run(small(toy_file, pruning__schedule=schedule, pruning__steps=3), tmp_path / "run", silent)
    assert broken == 0
    assert passes[True] >= 9 * 3
    assert passes[False] > 9
    sparsities = [step["mask_sparsity"] for step in record["steps"]]
    assert sparsities == sorted(sparsities)
    assert sparsities[-1] >= 0.8
    for step in record["steps"]:
        assert step["integer_sparsity"] >= step["mask_sparsity"]
        assert sum(step["nonzeros"].values()) == round((1 - step["integer_sparsity"]) * (6 * 8 + 8 * 6 + 6 * 3))


def test_the_papers_late_mask_lets_weights_come_back(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_back = 0
    forward = Network.forward

    def watched(network: Network, x: torch.Tensor, training: bool) -> torch.Tensor:
        nonlocal came_back
        if network.mask is not None and training:
            came_back += int((network.weights[network.mask == 0] != 0).sum())
        return forward(network, x, training)

    monkeypatch.setattr(Network, "forward", watched)
    run(small(toy_file, paper_code=["late_mask"]), tmp_path / "run", silent)
    assert came_back > 0


def starts(config: RunConfig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Network, dict[str, Any]]]:
    """Network and state at the beginning of each training of a run."""
    seen = []
    fit_one = running.fit

    def watched(network: Network, *arguments: Any) -> Any:
        seen.append((network, network.save() | {"mask": None if network.mask is None else network.mask.clone()}))
        return fit_one(network, *arguments)

    monkeypatch.setattr(running, "fit", watched)
    run(config, folder, silent)
    return seen


def test_a_lottery_ticket_is_the_initial_network_bit_for_bit(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = starts(small(toy_file, pruning__schedule="lottery_ticket"), tmp_path / "run", monkeypatch)
    network, initial = begins[0]
    count = network.weight_count
    assert len(begins) == 3
    for _, later in begins[1:]:
        assert torch.equal(later["parameters"][:count], initial["parameters"][:count] * later["mask"])
        assert torch.equal(later["parameters"][count:], initial["parameters"][count:])
        assert torch.equal(later["statistics"], initial["statistics"])
        assert float(later["mask"].mean()) < 0.6


@pytest.mark.parametrize(
    ("schedule", "mistakes"),
    [("fine_tuning", []), ("learning_rate_rewinding", []), ("lottery_ticket", ["rewind_without_copy"])],
)
def test_the_other_schedules_go_on_with_what_was_learned(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str, mistakes: list[str]
) -> None:
    config = small(toy_file, pruning__schedule=schedule, paper_code=mistakes)
    network, initial = (begins := starts(config, tmp_path / "run", monkeypatch))[0]
    for _, later in begins[1:]:
        kept = later["mask"] == 1
        same = later["parameters"][: network.weight_count] == initial["parameters"][: network.weight_count]
        assert not same[kept].any()


# ---- resuming


class Killed(Exception):
    """A run that ends here."""


def killed_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make runs end after so many saved epochs; the returned function takes that back."""
    monkeypatch.setattr(running, "SAVE_SECONDS", 0.0)
    after_epoch = running._Run._after_epoch
    seen = 0

    def dying(self: Any, progress: Progress) -> None:
        nonlocal seen
        after_epoch(self, progress)
        seen += 1
        if seen == epochs:
            raise Killed

    monkeypatch.setattr(running._Run, "_after_epoch", dying)
    return lambda: monkeypatch.setattr(running._Run, "_after_epoch", after_epoch)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pruning__schedule": "lottery_ticket"},
        {"model__scales": "power_of_two", "training__epochs": 2},
        {"model__bits": 32},
        {"training__quantization": "after", "data__randomize": 0.5},
    ],
    ids=["fine tuning", "lottery ticket", "power of two", "float", "after"],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    config = small(toy_file, **changes)
    run(config, tmp_path / "whole", silent)
    whole = contents(tmp_path / "whole")
    epochs = sum(len(step["epochs"]) + len(step.get("tuning_epochs", [])) for step in whole["record"]["steps"])
    for after in (1, epochs // 2, epochs - 1):
        folder = tmp_path / f"killed-{after}"
        undo = killed_after(after, monkeypatch)
        with pytest.raises(Killed):
            run(config, folder, silent)
        undo()
        assert not json.loads((folder / "record.json").read_text())["finished"]
        lines: list[str] = []
        run(config, folder, lines.append)
        assert lines[0].startswith("going on with step")
        assert contents(folder) == whole
        assert not (folder / "state.pt").exists()


def test_a_finished_run_is_not_trained_again(toy_file: Path, tmp_path: Path) -> None:
    config = small(toy_file)
    record = run(config, tmp_path / "run", silent)
    toy_file.unlink()
    lines: list[str] = []
    assert run(config, tmp_path / "run", lines.append) == record
    assert not lines


def test_a_damaged_state_starts_the_run_again(toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(toy_file)
    run(config, tmp_path / "whole", silent)
    undo = killed_after(3, monkeypatch)
    with pytest.raises(Killed):
        run(config, tmp_path / "run", silent)
    undo()
    (tmp_path / "run" / "state.pt").write_bytes((tmp_path / "run" / "state.pt").read_bytes()[:1000])
    run(config, tmp_path / "run", silent)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_folder_of_another_run_is_left_alone(toy_file: Path, tmp_path: Path) -> None:
    config = small(toy_file)
    run(config, tmp_path / "run", silent)
    before = contents(tmp_path / "run")
    with pytest.raises(QapError, match=r"another training\.l1"):
        run(settings.replace(config, "training.l1", 0.5), tmp_path / "run", silent)
    assert contents(tmp_path / "run") == before
    with pytest.raises(QapError, match="something else than a run"):
        run(config, tmp_path, silent)
    with pytest.raises(QapError, match="is a file"):
        run(config, toy_file, silent)
    with running.RunFolder(tmp_path / "run", config), pytest.raises(QapError, match="another run is writing"):
        run(config, tmp_path / "run", silent)


@pytest.mark.slow
def test_a_killed_process_leaves_a_run_that_goes_on(toy_file: Path, tmp_path: Path) -> None:
    config = small(toy_file)
    program = """
import os, signal, sys
from pathlib import Path
from qap2fpga.train import config, run
run.SAVE_SECONDS = 0.0
save, count = run._Run._save, 0
def dying(self):
    global count
    save(self)
    count += 1
    if count == 5:
        os.kill(os.getpid(), signal.SIGKILL)
run._Run._save = dying
run.run(config.load(Path(sys.argv[1])), Path(sys.argv[2]), print)
"""
    import yaml

    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings.to_dict(config)))
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "run.yaml", tmp_path / "run"], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "state.pt").exists()
    run(config, tmp_path / "run", silent)
    run(config, tmp_path / "whole", silent)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


# ---- what a run gives


def test_the_record_says_what_was_trained_and_how_well(toy_file: Path, tmp_path: Path) -> None:
    config = small(toy_file, fold=[2, 3], model__widths=[8], model__weight_bits=[6, 4])
    record = run(config, tmp_path / "run", silent)
    assert json.loads((tmp_path / "run" / "record.json").read_text()) == record
    assert settings.from_dict(record["config"]) == config
    assert record["finished"]
    assert record["data"]["classes"] == ["class0", "class1", "class2"]
    assert [record["data"][f"{part}_rows"] for part in ("training", "validation", "test")] == [227, 113, 60]
    for number, step in enumerate(record["steps"]):
        assert step["step"] == number
        losses = [epoch["validation_loss"] for epoch in step["epochs"]]
        assert step["metrics"]["validation"]["loss"] == min(losses) == losses[step["best_epoch"]]
        assert step["metrics"]["test"]["rows"] == 60
        assert set(step["metrics"]["test"]["neural_efficiency"]["layers"]) == {"act1", "fc2"}
        assert 0 < step["metrics"]["test"]["aiq"] < 1
        assert step["bops"]["paper"] < step["bops"]["paper_code"]
        model = checkpoint.read(tmp_path / "run" / step["checkpoint"], Widths())
        assert model.provenance["metrics"]["test_accuracy"] == step["metrics"]["test"]["accuracy"]
        assert model.provenance["config"]["fold"] == [2, 3]
        assert [op.quantizer.bits for op in model.ops if op.kind == "dense" and op.quantizer] == [6, 4]
    assert str(tmp_path) not in json.dumps(model.provenance)
    with np.load(tmp_path / "run" / "vectors.npz") as vectors:
        assert vectors["X"].shape == (60, 6)


def test_a_float_run_is_a_state_dict_and_counts_32_bits(toy_file: Path, tmp_path: Path) -> None:
    record = run(small(toy_file, model__bits=32, pruning__schedule="none"), tmp_path / "run", silent)
    (step,) = record["steps"]
    state = torch.load(tmp_path / "run" / step["checkpoint"], weights_only=True)
    assert state["fc1.weight"].shape == (8, 6)
    assert {"bn2.running_var", "fc3.bias"} <= set(state)
    dense = sum(m * n * (32 * 32 + 64 + np.log2(n)) for n, m in ((6, 8), (8, 6), (6, 3)))
    assert step["bops"]["paper"] == pytest.approx(dense)


def test_random_labels_spoil_the_training_part_only(toy_file: Path, tmp_path: Path) -> None:
    accuracies = {}
    for share in (0.0, 0.9):
        config = small(toy_file, data__randomize=share, pruning__schedule="none", model__bits=32, training__epochs=8)
        record = run(config, tmp_path / str(share), silent)
        accuracies[share] = record["steps"][0]["metrics"]["test"]["accuracy"]
    assert accuracies[0.0] > 0.7 > accuracies[0.9]


def channels(network: Any) -> Any:
    """(name, target) of each channel between two layers."""
    for layer, ranges in zip(network.layers, network.ranges, strict=True):
        if not isinstance(layer.activation, StepFunction):
            continue
        for channel, thresholds in enumerate(layer.activation.thresholds):
            low, high = (int(end[channel]) for end in ranges.accumulators)
            inside = thresholds[(thresholds > low) & (thresholds <= high)]
            yield f"{layer.name} {channel}", Target(inside, low, high, int((thresholds <= low).sum()))


def is_shift(target: Target) -> bool:
    """Whether `(x + offset) >> shift`, between two limits, is the channel."""
    if len(target.thresholds) < 2:
        return True
    first, last = int(target.thresholds[0]), int(target.thresholds[-1])
    segments = split_segments(constraints(target, first, last - 1, 0), 0, 0)
    return any(True for _ in rooms([(((1, 0),), shift) for shift in range(24)], segments))


@pytest.mark.slow
@pytest.mark.parametrize("bias_bits", [None, 8])
def test_power_of_two_scales_leave_shifts_between_the_layers(
    toy_file: Path, tmp_path: Path, bias_bits: int | None
) -> None:
    config = small(toy_file, model__scales="power_of_two", model__bias_bits=bias_bits, model__activation_bits=4)
    run(config, tmp_path / "run", silent)
    for step in range(3):
        lowered = prepare(Source(tmp_path / "run" / f"step-{step:02d}.pt", Widths()), silent).network
        assert all(is_shift(target) for _, target in channels(lowered))
        multipliers = lowered.layers[-1].activation.multiplier
        assert (multipliers & (multipliers - 1) == 0).all()
    arbitrary = small(toy_file, model__activation_bits=4, pruning__schedule="none")
    run(arbitrary, tmp_path / "arbitrary", silent)
    lowered = prepare(Source(tmp_path / "arbitrary" / "step-00.pt", Widths()), silent).network
    assert not all(is_shift(target) for _, target in channels(lowered))


def test_quantization_after_training_keeps_the_float_weights(toy_file: Path, tmp_path: Path) -> None:
    changes = {"pruning__schedule": "none", "training__epochs": 6}
    config = small(toy_file, training__quantization="after", model__bits=8, **changes)
    after = run(config, tmp_path / "after", silent)["steps"][0]
    floats = run(small(toy_file, model__bits=32, **changes), tmp_path / "float", silent)["steps"][0]
    assert after["epochs"] == floats["epochs"]
    assert abs(after["metrics"]["test"]["accuracy"] - floats["metrics"]["test"]["accuracy"]) < 0.1
    state = torch.load(tmp_path / "float" / "step-00.pt", weights_only=True)
    model = checkpoint.read(tmp_path / "after" / "step-00.pt", Widths())
    for op in (op for op in model.ops if op.kind == "dense"):
        assert op.quantizer is not None
        error = np.abs(op.tensors["weight"] - state[f"{op.name}.weight"].numpy())
        assert error.max() <= 0.501 * float(op.quantizer.scale)


def test_training_that_diverges_is_told(toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    initialise = Network.initialise

    def infinite(network: Network) -> None:
        initialise(network)
        network.layers[0].weight.fill_(torch.inf)

    monkeypatch.setattr(Network, "initialise", infinite)
    with pytest.raises(QapError, match="diverged"):
        run(small(toy_file, model__bits=32, model__batch_norm=False), tmp_path / "run", silent)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_that_is_not_there_is_told(toy_file: Path, tmp_path: Path) -> None:
    with pytest.raises(QapError, match="no CUDA device"):
        run(small(toy_file, training__device="cuda"), tmp_path / "run", silent)
    assert not (tmp_path / "run").exists()


# ---- the mistakes of the paper's code


@pytest.mark.parametrize("mistake", ["softmax_over_batch", "l1_on_batch_norm", "own_test_scaler"])
def test_a_mistake_changes_what_it_says(toy_file: Path, tmp_path: Path, mistake: str) -> None:
    changes = {"pruning__schedule": "none", "training__l1": 1e-2}
    right = run(small(toy_file, **changes), tmp_path / "right", silent)["steps"][0]
    wrong = run(small(toy_file, paper_code=[mistake], **changes), tmp_path / "wrong", silent)["steps"][0]
    same_training = right["epochs"] == wrong["epochs"]
    assert same_training == (mistake == "own_test_scaler")
    assert right["metrics"]["test"]["loss"] != wrong["metrics"]["test"]["loss"]
    if mistake == "l1_on_batch_norm":
        gammas = [
            sum(
                np.abs(op.tensors["weight"]).sum()
                for op in checkpoint.read(tmp_path / name / "step-00.pt", Widths()).ops
                if op.kind == "batch_norm"
            )
            for name in ("right", "wrong")
        ]
        assert gammas[1] < gammas[0]


def test_shared_masks_begin_where_the_float_run_ended(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = starts(small(toy_file, paper_code=["shared_masks"]), tmp_path / "run", monkeypatch)
    last = torch.load(tmp_path / "run" / "shared_masks" / "step-02.pt", weights_only=True)
    weights = torch.cat([last[f"fc{number}.weight"].flatten() for number in (1, 2, 3)])
    network, first = begins[3]
    assert network.shape.weight_bits is not None
    assert torch.equal(first["mask"], (weights != 0).float())


def test_a_shared_checkpoint_is_whoever_wrote_last(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = small(toy_file, paper_code=["shared_checkpoint"], pruning__schedule="none")
    run(config, tmp_path / "alone", silent)
    assert (tmp_path / "checkpoint.pt").is_file()
    write = running.write_tensors

    def another_run_writes_too(path: Path, content: dict[str, Any]) -> None:
        write(path, content)
        if path.name == "checkpoint.pt":
            write(path, content | {"parameters": content["parameters"] * 0})

    monkeypatch.setattr(running, "write_tensors", another_run_writes_too)
    (step,) = run(config, tmp_path / "beside", silent)["steps"]
    # All logits are 0: the loss is that of three classes guessed.
    assert step["metrics"]["validation"]["loss"] == pytest.approx(np.log(3))
