# SPDX-License-Identifier: Apache-2.0
"""A schedule sets back exactly, resumes bit for bit, and refuses what does not fit before it changes anything."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import brevitas.nn as qnn
import pytest
import torch
from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import nn

import qap2fpga
from qap2fpga.qap import Schedule
from qap2fpga.system.errors import QapError
from tests.support.brevitas_modules import module

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(2))
Y = torch.arange(16) % 3


def plain() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def quantized() -> nn.Module:
    torch.manual_seed(1)
    weights = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 4}
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, bit_width=6),
        qnn.QuantLinear(4, 8, bias=True, **weights),
        nn.BatchNorm1d(8),
        qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=4),
        qnn.QuantLinear(8, 3, bias=True, **weights),
    )


def train(module: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any, epochs: int = 3) -> None:
    module.train()
    for _ in range(epochs):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(X), Y).backward()
        optimizer.step()
        scheduler.step()


def learning(module: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)


@pytest.mark.parametrize("make", [plain, quantized])
def test_a_lottery_ticket_is_set_back_exactly(make) -> None:
    module = make()
    before = {name: one.clone() for name, one in (*module.named_parameters(), *module.named_buffers())}
    optimizer, scheduler = learning(module)
    schedule = Schedule(module, (0.5, 0.75), "lottery_ticket", rewind=(optimizer, scheduler))
    for sparsity in (0.5, 0.75):
        train(module, optimizer, scheduler)
        assert schedule.step() == pytest.approx(sparsity, abs=0.02)
        assert optimizer.param_groups[0]["lr"] == 0.1 and not optimizer.state
        for name, one in (*module.named_parameters(), *module.named_buffers()):
            mask = schedule.masks.get(name.removesuffix(".weight"), torch.ones_like(one, dtype=torch.bool))
            assert torch.equal(one, torch.where(mask, before[name], 0))
    assert schedule.remaining == 0
    with pytest.raises(QapError, match="no step remains"):
        schedule.step()


def test_late_rewinding() -> None:
    module = plain()
    schedule = Schedule(module, (0.5,), "lottery_ticket", "layer")
    train(module, *learning(module))
    schedule.remember()
    then = module[0].weight.detach().clone()
    train(module, *learning(module))
    schedule.step()
    assert torch.equal(module[0].weight, torch.where(schedule.mask("0"), then, 0))


def test_learning_rate_rewinding_keeps_the_weights() -> None:
    module = plain()
    optimizer, scheduler = learning(module)
    schedule = Schedule(module, (0.5,), "learning_rate_rewinding", "layer", rewind=(optimizer, scheduler))
    train(module, optimizer, scheduler)
    trained = module[0].weight.detach().clone()
    schedule.step()
    assert torch.equal(module[0].weight, torch.where(schedule.mask("0"), trained, 0))
    assert optimizer.param_groups[0]["lr"] == 0.1 and scheduler.last_epoch == 0


@pytest.mark.parametrize("kind", ["fine_tuning", "lottery_ticket", "learning_rate_rewinding"])
def test_resumed_equals_uninterrupted(kind: str) -> None:
    def run(interrupted: bool) -> nn.Module:
        module = plain()
        optimizer, scheduler = learning(module)
        rewind = () if kind == "fine_tuning" else (optimizer, scheduler)
        schedule = Schedule(module, (0.3, 0.6), kind, rewind=rewind)
        train(module, optimizer, scheduler)
        schedule.step()
        train(module, optimizer, scheduler)
        if interrupted:
            file = io.BytesIO()
            torch.save([one.state_dict() for one in (module, optimizer, scheduler, schedule)], file)
            file.seek(0)
            states = torch.load(file, weights_only=True)
            torch.manual_seed(5)
            module = plain()
            optimizer, scheduler = learning(module)
            rewind = () if kind == "fine_tuning" else (optimizer, scheduler)
            schedule = Schedule(module, (0.3, 0.6), kind, rewind=rewind)
            for one, state in zip((module, optimizer, scheduler, schedule), states, strict=True):
                one.load_state_dict(state)
        schedule.step()
        train(module, optimizer, scheduler)
        return module

    straight, resumed = run(False).state_dict(), run(True).state_dict()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_a_pruned_brevitas_network_is_saved_as_it_was_trained(tmp_path) -> None:
    module = quantized()
    schedule = Schedule(module, (0.5,))
    optimizer, scheduler = learning(module)
    train(module, optimizer, scheduler)
    schedule.step()
    train(module, optimizer, scheduler)
    module.eval()
    qap2fpga.save(module, X, tmp_path / "model.pt")
    integers = qap2fpga.load(tmp_path / "model.pt")
    with torch.no_grad():
        assert (torch.as_tensor(integers.run(X)).argmax(1) == module(X).argmax(1)).all()
    weights = [part for part in module if isinstance(part, nn.Linear)]
    left = sum(int(mask.sum()) for mask in schedule.masks.values())
    assert sum(int((part.quant_weight().value != 0).sum()) for part in weights) <= left


def shared() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    return module


def frozen() -> nn.Module:
    module = plain()
    module[0].weight.requires_grad_(False)
    return module


def diverged() -> nn.Module:
    module = plain()
    nn.init.constant_(module[0].weight, torch.nan)
    return module


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (plain, {"kind": "fine_tunning"}, "unknown kind"),
        (plain, {"scope": "globl"}, "unknown scope"),
        (plain, {"fractions": ()}, "not above 0"),
        (plain, {"fractions": (0.5, 1.0)}, "not above 0"),
        (plain, {"fractions": (float("nan"),)}, "not above 0"),
        (plain, {"fractions": (0.5, 0.5)}, "do not increase"),
        (plain, {"fractions": 0.5}, "fractions is 0.5\n  give the share after each step"),
        (plain, {"fractions": ("half",)}, "fractions is .*\n  give the share after each step"),
        (plain, {"scope": "balanced"}, "needs a size"),
        (plain, {"size": 2}, "has no size"),
        (plain, {"scope": "balanced", "size": 3}, "3 does not divide"),
        (plain, {"kind": "learning_rate_rewinding"}, "nothing to set back"),
        (plain, {"rewind": (torch.optim.SGD([torch.zeros(1)], 0.1),)}, "sets nothing back"),
        (plain, {"layers": ["2"]}, "unknown layer"),
        (nn.ReLU, {}, "no dense layer"),
        (shared, {}, "0 and 1 share one weight"),
        (frozen, {"layers": ["0"]}, "weight of 0 is frozen"),
        (diverged, {}, "0 has weights that are not finite"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), {}, "no shape yet"),
    ],
)
def test_what_does_not_fit_is_refused(module, options: dict, message: str) -> None:
    with pytest.raises(QapError, match=message):
        Schedule(module(), **{"fractions": (0.5,), **options})


def test_frozen_layers_are_left_as_they_are() -> None:
    assert list(Schedule(frozen(), (0.5,)).masks) == ["3"]


def test_a_second_schedule_is_refused() -> None:
    module = plain()
    Schedule(module, (0.5,))
    with pytest.raises(QapError, match="has a schedule already"):
        Schedule(module, (0.5,))


def test_weights_that_diverge_stop_a_step_and_change_nothing() -> None:
    module = plain()
    schedule = Schedule(module, (0.5,), "lottery_ticket")
    nn.init.constant_(module[3].weight, torch.inf)
    with pytest.raises(QapError, match="3 has weights that are not finite"):
        schedule.step()
    assert schedule.remaining == 1 and schedule.sparsity == 0
    assert torch.isinf(module[3].weight).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fractions": [0.4]}, "another schedule: fractions"),
        ({"masks": {}}, "another module"),
        ({"done": 2}, "another schedule: its steps"),
        ({"states": [{}]}, "another schedule: its steps"),
    ],
)
def test_a_state_of_something_else_is_refused(change: dict, message: str) -> None:
    schedule = Schedule(plain(), (0.5,))
    with pytest.raises(QapError, match=message):
        schedule.load_state_dict(schedule.state_dict() | change)
    with pytest.raises(QapError, match="no state of a schedule"):
        schedule.load_state_dict({})
    assert schedule.remaining == 1 and schedule.sparsity == 0


def test_the_library_has_it_without_torch() -> None:
    program = "import sys, qap2fpga; assert 'torch' not in sys.modules; print(qap2fpga.qap.Schedule.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "Schedule"


@pytest.mark.parametrize("name", ["residual image", "residual dense", "layer twice"])
def test_masks_hold_in_mixed_precision_with_scaled_gradients(name: str) -> None:
    """Also in a step that the scaler leaves out, since a gradient was infinite."""
    network, inputs = module(name)
    schedule = Schedule(network, (0.5, 0.8))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    network.train()
    losses = []
    while True:
        for factor in (1.0, float("inf"), 1.0):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                results = network(inputs)
                loss = getattr(results, "value", results).float().square().mean()
            scaler.scale(loss * factor).backward()
            scaler.step(optimizer)
            scaler.update()
            layers = dict(network.named_modules())
            assert not any(layers[layer].weight[~mask].any() for layer, mask in schedule.masks.items())
            losses.append(loss.item())
        if not schedule.remaining:
            break
        schedule.step()
    # A step that is left out changes nothing, so the loss after it is that before it.
    assert schedule.sparsity >= 0.8 and len(set(losses)) == 6
    assert scaler.get_scale() < 256.0
