# SPDX-License-Identifier: Apache-2.0
"""Budgets of LUTs: they are met, resumed bit for bit, and refused where they cannot be met."""

from __future__ import annotations

import io
import math
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import nn

from qap2fpga.qap.bits import Budget, LearnedLinear, price
from qap2fpga.qap.bits.budget import is_bits
from qap2fpga.system.errors import QapError
from tests.support.learned import entry, module

X = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] * X[:, 1] > 0).long()


def network() -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(LearnedLinear(4, 12, quantizer=entry(4)), LearnedLinear(12, 2))


def optimizer_of(one: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(one.parameters(), lr=2e-2)


def learn(one: nn.Module, budget: Budget, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        (nn.functional.cross_entropy(one(X), Y) + budget.loss()).backward()
        optimizer.step()
        budget.step()


def test_a_budget_is_met_and_kept() -> None:
    one = network()
    budget = Budget(one, 60, steps=150, wait=20)
    optimizer = optimizer_of(one)
    learn(one, budget, optimizer, 20)
    assert budget.strength == 0
    learn(one, budget, optimizer, 1)
    assert budget.strength > 0 and not budget.is_met and not budget.was_met
    while not budget.is_met:
        learn(one, budget, optimizer, 1)
    assert budget.predicted <= 60 < budget.predicted + 20
    bits = {name: value.clone() for name, value in one.named_parameters() if is_bits(name)}
    seen = []
    for _ in range(150):
        learn(one, budget, optimizer, 1)
        seen.append((budget.predicted, budget.is_met, budget.strength))
    assert any(not torch.equal(value, bits[name]) for name, value in one.named_parameters() if is_bits(name))
    assert all(is_met == (luts <= 60) for luts, is_met, _ in seen) and budget.was_met
    assert sum(is_met for _, is_met, _ in seen) > 10 and max(luts for luts, _, _ in seen) < 90
    assert budget.fits() == (price(one).item() <= 60)


def test_the_price_follows_once_the_budget_was_met() -> None:
    one = network()
    budget = Budget(one, 0.9 * price(one).item(), steps=100)
    for luts, rises in ((0.8, False), (2.0, True), (1.0, True), (0.5, False)):
        before = budget.strength
        budget.weigh(torch.tensor(luts * budget.luts))
        budget.step()
        assert (budget.strength > before) == rises or not before


def test_the_price_of_a_lut_rises_evenly_and_not_before_its_time() -> None:
    one = network()
    budget = Budget(one, 60, steps=100, wait=3)
    strengths = []
    for _ in range(30):
        budget.loss()
        strengths.append(budget.strength)
        budget.state = type(budget.state)(**{**vars(budget.state), "taken": budget.state.taken + 1})
    assert strengths[:3] == [0, 0, 0] and strengths[3] > 0
    ratios = [after / before for before, after in pairwise(strengths[3:])]
    assert max(ratios) == pytest.approx(min(ratios)) and min(ratios) > 1


def test_a_resumed_budget_gives_what_an_uninterrupted_one_gives() -> None:
    one = network()
    budget, optimizer = Budget(one, 60, steps=60, wait=5), optimizer_of(one)
    learn(one, budget, optimizer, 25)
    stored = io.BytesIO()
    torch.save([one.state_dict(), optimizer.state_dict(), budget.state_dict()], stored)
    learn(one, budget, optimizer, 80)
    other = network()
    again, further = Budget(other, 60, steps=60, wait=5), optimizer_of(other)
    parts = torch.load(io.BytesIO(stored.getvalue()), weights_only=True)
    for part, state in zip((other, further, again), parts, strict=True):
        part.load_state_dict(state)
    learn(other, again, further, 80)
    assert again.state == budget.state
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_correction_holds_for_all_prices_after_it() -> None:
    one = network()
    budget, optimizer = Budget(one, 60, steps=100), optimizer_of(one)
    while not budget.is_met:
        learn(one, budget, optimizer, 1)
    priced = price(one).item()
    budget.correct(80.0)
    assert not budget.is_met and budget.predicted == pytest.approx(80.0) and not budget.fits()
    while not budget.is_met:
        learn(one, budget, optimizer, 1)
    assert budget.predicted <= 60 and budget.state.price <= 60 * priced / 80
    budget.correct(59.0)
    assert budget.is_met and budget.fits()
    with pytest.raises(QapError, match="correction"):
        budget.correct(math.nan)


@pytest.mark.parametrize(
    ("luts", "options", "what"),
    [(0, {}, "budget of 0 LUTs"), (math.inf, {}, "budget of inf"), (math.nan, {}, "budget of nan"), (1, {}, "2 layers"),
     (50, {"steps": 0}, "in 0 steps"), (50, {"wait": -1}, "after -1")],
)  # fmt: skip
def test_a_budget_that_makes_no_sense(luts: float, options: dict[str, int], what: str) -> None:
    with pytest.raises(QapError, match=what):
        Budget(network(), luts, **{"steps": 10, **options})


def test_a_budget_that_cannot_be_reached() -> None:
    """Bits that do not learn keep their price."""
    one = network()
    for name, value in one.named_parameters():
        value.requires_grad_(not is_bits(name))
    budget, optimizer = Budget(one, 60, steps=3), optimizer_of(one)
    with pytest.raises(QapError, match="cannot be reached"):
        learn(one, budget, optimizer, 500)


def test_a_layer_that_loses_all_bits_is_named() -> None:
    one = network()
    budget = Budget(one, 60, steps=3)
    budget.loss()
    with torch.no_grad():
        one[1].fraction.fill_(-9)
    with pytest.raises(QapError, match="layer 1 has no bits left"):
        budget.loss()


def test_a_training_that_diverges_is_named() -> None:
    one = network()
    budget = Budget(one, 60, steps=3)
    budget.loss()
    with torch.no_grad():
        one[1].input_quant.fraction.fill_(math.nan)
    with pytest.raises(QapError, match="diverged"):
        budget.loss()


def test_the_state_of_another_budget_is_refused() -> None:
    budget = Budget(network(), 60, steps=10)
    good = budget.state_dict()
    for change in ({"luts": 61.0}, {"steps": 11}, {"more": 1}, {"taken": "3"}, {"held": "no"}):
        with pytest.raises(QapError, match=r"budget|state"):
            Budget(network(), 60, steps=10).load_state_dict({**good, **change})
    fewer = deepcopy(good)
    del fewer["ratio"]
    with pytest.raises(QapError, match="another budget"):
        budget.load_state_dict(fewer)


def test_branches_meet_a_budget() -> None:
    one, x = module("residual", rows=128)
    one.train()
    y = (x[:, 0] > 0).long()
    budget, optimizer = Budget(one, 0.5 * price(one).item(), steps=60), optimizer_of(one)
    for _ in range(2000):
        optimizer.zero_grad()
        (nn.functional.cross_entropy(one(x), y) + budget.loss()).backward()
        optimizer.step()
        budget.step()
        if budget.is_met:
            break
    assert budget.is_met
