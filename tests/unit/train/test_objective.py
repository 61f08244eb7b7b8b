# SPDX-License-Identifier: Apache-2.0
"""The loss and the price of a step: the same compiled, plain, and where compiling fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from qap2fpga.qap.bits import price
from qap2fpga.train import objective
from qap2fpga.train.budgeted import network
from qap2fpga.train.objective import Objective

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(3))
Y = (X[:, 0] * X[:, 1] > 0).long()


def module() -> nn.Sequential:
    torch.manual_seed(5)
    return network((4, 8, 2))


def gradients(one: nn.Module, asked: Objective) -> list[Tensor]:
    loss, luts = asked(X, Y)
    (loss + 1e-3 * luts).backward()
    return [loss.detach(), luts.detach(), *(value.grad for value in one.parameters() if value.grad is not None)]


def test_a_step_has_the_loss_and_the_price() -> None:
    one = module()
    asked = Objective(one, 1, pytest.fail)
    loss, luts = asked(X, Y)
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(one(X), Y).item())
    assert luts.item() == pytest.approx(price(one).item()) and not asked.is_compiled
    assert asked(X, Y, is_priced=False)[1] == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its parts
def test_compiled_it_gives_the_same() -> None:
    one, other = module(), module()
    plain, compiled = Objective(one, 1, pytest.fail), Objective(other, objective.MANY, pytest.fail)
    assert compiled.is_compiled
    for given, wanted in zip(gradients(other, compiled), gradients(one, plain), strict=True):
        torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)


def test_without_a_compiler_it_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not Objective(module(), objective.MANY, pytest.fail).is_compiled


def test_where_compiling_fails_it_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_function: Callable[..., object]) -> Callable[..., object]:
        def call(*_arguments: object) -> object:
            raise RuntimeError("no such header")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    lines: list[str] = []
    one = module()
    asked = Objective(one, objective.MANY, lines.append)
    assert asked(X, Y)[1].item() == pytest.approx(price(one).item())
    assert asked(X, Y)[0].item() > 0 and len(lines) == 1 and "RuntimeError" in lines[0]


def test_what_is_wrong_with_the_rows_is_not_hidden() -> None:
    with pytest.raises(IndexError):
        Objective(module(), 1, pytest.fail)(X, Y + 2)
