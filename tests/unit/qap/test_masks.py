# SPDX-License-Identifier: Apache-2.0
"""A mask is never violated: optimizers with momentum, state dicts, writes from outside, copies, compiled modules."""

from __future__ import annotations

import copy
import gc
import io

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks

from qap2fpga.qap.masks import Mask, install


def masked(layer: nn.Linear) -> Mask:
    (mask,) = install(layer, [layer])
    mask.kept[:, ::2] = False
    mask.apply(layer)
    return mask


def zeros(layer: nn.Linear) -> bool:
    return bool((layer.weight[:, ::2] == 0).all() and (layer.weight[:, 1::2] != 0).all())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1),
        lambda parameters: torch.optim.AdamW(parameters, 0.1),
        lambda parameters: torch.optim.LBFGS(parameters, 0.1, max_iter=3),
    ],
)
def test_a_step_with_the_momentum_of_unmasked_times(optimizer, precision) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(6, 3)
    optimizer = optimizer(layer.parameters())

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            value = layer(torch.ones(4, 6)).float().square().mean()
        value.backward()
        return value

    optimizer.step(loss)
    mask = masked(layer)
    for _ in range(3):
        optimizer.step(loss)
        assert zeros(layer)
        assert not layer.weight.grad[:, ::2].any()
    assert not mask.kept[:, ::2].any()


def test_a_forward_sees_no_weight_that_was_written() -> None:
    layer = nn.Linear(6, 3, bias=False)
    masked(layer)
    with torch.no_grad():
        layer.weight[:, ::2] = torch.nan
    assert torch.isfinite(layer(torch.ones(1, 6))).all()
    assert zeros(layer)


def test_two_forwards_before_a_backward() -> None:
    layer = nn.Linear(6, 6, bias=False)
    masked(layer)
    layer(layer(torch.ones(1, 6, requires_grad=True))).sum().backward()
    assert zeros(layer)


def test_a_state_dict_of_a_dense_layer_is_masked() -> None:
    layer = nn.Linear(6, 3)
    dense = copy.deepcopy(layer.state_dict())
    masked(layer)
    layer.load_state_dict(dense)
    assert zeros(layer)


def test_copies_keep_their_mask() -> None:
    layer = nn.Linear(6, 3)
    mask = masked(layer)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        nn.init.ones_(other.weight)
        other(torch.ones(1, 6))
        assert zeros(other)
    mask.kept[:] = True
    assert zeros(layer)


def test_a_compiled_module() -> None:
    layer = nn.Linear(6, 3)
    masked(layer)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    compiled = torch.compile(layer, backend="eager")
    for _ in range(2):
        compiled(torch.ones(4, 6)).sum().backward()
        optimizer.step()
        assert zeros(layer)


def test_a_hook_goes_with_its_module() -> None:
    before = len(_global_optimizer_post_hooks)
    layer = nn.Linear(6, 3)
    masked(layer)
    assert len(_global_optimizer_post_hooks) == before + 1
    del layer
    gc.collect()
    assert len(_global_optimizer_post_hooks) == before
