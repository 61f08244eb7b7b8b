# SPDX-License-Identifier: Apache-2.0
"""Training to a budget of LUTs: the price of one rises until the module meets it, and then keeps it there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor, nn

from qap2fpga.qap.bits.price import layers, price
from qap2fpga.system.codec import convert
from qap2fpga.system.errors import QapError

# Loss per relative change of the LUTs, in the loss's own unit: where a budget usually is met, and where the price
# begins, of what the module takes then.
USUAL, BEGIN = 0.2, 0.01
# A budget that is not met at so many times the usual price never will be.
HOPELESS = 100.0
# Once the budget was met, the price follows: by so much per step at most, in full where the module is a quarter off
# what is aimed at, a little below the budget.
FOLLOW, GAIN, AIM = 0.006, 4.0, 0.98
# Every so many steps it is seen whether each layer still has bits.
EVERY = 50


@dataclass(frozen=True)
class BudgetState:
    """Where a budget stands: steps `taken`, what a LUT cost at the `begin`, and the module's last `price`.

    `held`: what a LUT costs since the budget was met first. `ratio`: of what the module takes to its price, where that
    was said.
    """

    taken: int = 0
    begin: float | None = None
    held: float | None = None
    price: float = 0.0
    ratio: float = 1.0


class Budget:
    """What a module with learned bits may take in LUTs, unrolled.

        budget = Budget(module, luts=2000, steps=10_000)
        for x, y in batches:
            loss = criterion(module(x), y) + budget.loss()
            loss.backward()
            optimizer.step()
            budget.step()                   # once a batch
            if budget.is_met: ...           # of such states keep the one that is best on validation rows

    Args:
        module: with layers of this package.
        luts: the budget, as `price` counts them.
        steps: of the optimizer, after which it should be met; it takes as many as it takes. Train on for as many
            again: bits and weights learn on, and the price of a LUT is what keeps the module at its budget.
        wait: steps before the price begins, for the module to learn something first.
        coefficients: of the price; by default the shipped ones.
    """

    def __init__(
        self, module: nn.Module, luts: float, *, steps: int, wait: int = 0,
        coefficients: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        if not (math.isfinite(luts) and luts > 0) or steps < 1 or wait < 0:
            raise QapError(f"a budget of {luts:g} LUTs in {steps} steps after {wait}", "LUTs and steps above 0")
        if luts < len(layers(module)):
            raise QapError(
                f"a budget of {luts:g} LUTs for {len(layers(module))} layers", "give each layer one at least"
            )
        self.module, self.luts, self.steps, self.wait = module, float(luts), steps, wait
        self.coefficients = coefficients
        self.state = BudgetState()

    @property
    def was_met(self) -> bool:
        """Whether the module has taken no more than the budget once."""
        return self.state.held is not None

    @property
    def is_met(self) -> bool:
        """Whether the module took no more than the budget as it was priced last."""
        return self.was_met and self.predicted <= self.luts

    @property
    def predicted(self) -> float:
        """The LUTs of the module as it was priced last."""
        return self.state.ratio * self.state.price

    @property
    def strength(self) -> float:
        """What a LUT costs now, in units of the loss."""
        state = self.state
        if state.held is not None:
            return state.held
        if state.begin is None or state.taken < self.wait:
            return 0.0
        return float(state.begin * (self._usual / state.begin) ** ((state.taken - self.wait) / self.steps))

    @property
    def _usual(self) -> float:
        return USUAL / self.luts

    def loss(self) -> Tensor:
        """Return the term to add to the loss; it is 0 before the price begins.

        Raises `QapError` for a budget that no price reaches, for a layer that has lost all its bits, and where the
        training has diverged.
        """
        return self.weigh(price(self.module, self.coefficients) if self.is_priced else torch.zeros(()))

    @property
    def is_priced(self) -> bool:
        """Whether this step's loss has a term of the price."""
        return self.state.taken >= self.wait

    def weigh(self, priced: Tensor) -> Tensor:
        """Return what `loss` does, of the module's price that was computed elsewhere."""
        if not self.is_priced:
            return torch.zeros(())
        self.state = replace(self.state, price=float(priced.detach()))
        if self.state.begin is None:
            begin = min(BEGIN / max(self.predicted, 1.0), self._usual)
            self.state = replace(self.state, begin=begin)
        self._require_hope()
        if self.was_met or self.predicted <= self.luts:
            off = max(-1.0, min(1.0, GAIN * (self.predicted / self.luts - AIM)))
            self.state = replace(self.state, held=self.strength * math.exp(FOLLOW * off))
        return self.strength * (self.state.ratio * priced)

    def _require_hope(self) -> None:
        if not math.isfinite(self.predicted):
            raise QapError("the price is not finite: the training has diverged", "lower the learning rate")
        if self.predicted <= self.luts or self.state.taken % EVERY == 0:
            self._require_bits()
        if self.strength > HOPELESS * self._usual:
            what = f"a budget of {self.luts:,.0f} LUTs cannot be reached: {self.predicted:,.0f} are left"
            raise QapError(what, "give more LUTs, or a smaller module")

    def _require_bits(self) -> None:
        empty = next((name for name, one in layers(self.module).items() if not one.integers.any()), None)
        if empty is not None:
            what = f"layer {empty or 'of the module'} has no bits left, at {self.predicted:,.0f} LUTs"
            raise QapError(f"{what} of a budget of {self.luts:,.0f}", "give more LUTs, more steps, or fewer layers")

    def step(self) -> None:
        """Note that the optimizer has taken a step."""
        self.state = replace(self.state, taken=self.state.taken + 1)

    def fits(self) -> bool:
        """Return whether the module takes no more than the budget as it is now."""
        return self.state.ratio * float(price(self.module, self.coefficients).detach()) <= self.luts

    def correct(self, luts: float) -> None:
        """Say what the module takes as it is now, by which all further prices are corrected.

        Raises `QapError` for no positive number.
        """
        if not (math.isfinite(luts) and luts > 0):
            raise QapError(f"a correction to {luts:g} LUTs", "say what was measured")
        now = float(price(self.module, self.coefficients).detach())
        self.state = replace(self.state, price=now, ratio=luts / max(now, 1.0))

    def state_dict(self) -> dict[str, float | int | bool | None]:
        """Return where it stands, plain values."""
        return {"luts": self.luts, "steps": self.steps, "wait": self.wait, **asdict(self.state)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from where another one of the same budget stood. Raises `QapError` for the state of another."""
        mine = self.state_dict()
        if set(state) != set(mine) or any(state[name] != mine[name] for name in ("luts", "steps", "wait")):
            raise QapError("the state is of another budget", "make the budget as it was when the state was saved")
        own = {one.name: state[one.name] for one in fields(BudgetState)}
        self.state = convert(BudgetState, own, "state", "the budget")


def split(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters of `module` that are no bits, and those that are."""
    named = list(module.named_parameters())
    weights, bits = ([one for name, one in named if is_bits(name) == of_bits] for of_bits in (False, True))
    return weights, bits


def is_bits(name: str) -> bool:
    """Return whether the parameter called `name` in a module is of bits: give those a learning rate of their own."""
    return name.rpartition(".")[2] in ("fraction", "integer", "bias_fraction")
