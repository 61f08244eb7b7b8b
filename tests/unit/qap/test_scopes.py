# SPDX-License-Identifier: Apache-2.0
"""Each scope keeps the largest where it says, and fractions that do not fit are refused before training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from qap2fpga.qap import scopes
from qap2fpga.system.errors import QapError


def kept(weight: Tensor, scope: str, fraction: float, size: int | None = None) -> Tensor:
    before = torch.ones_like(weight, dtype=torch.bool)
    return scopes.kept_weights({"fc": weight}, {"fc": before}, scope, size, fraction)["fc"]


WEIGHT = torch.tensor([[1.0, -8, 2, 7], [30, 40, -10, 20]])


def test_layer_and_channel() -> None:
    assert kept(WEIGHT, "layer", 0.5).tolist() == [[False] * 4, [True] * 4]
    assert kept(WEIGHT, "global", 0.5).tolist() == [[False] * 4, [True] * 4]
    assert kept(WEIGHT, "channel", 0.5).tolist() == [[False, True, False, True], [True, True, False, False]]
    assert kept(WEIGHT, "whole_channel", 0.5).tolist() == [[False] * 4, [True] * 4]


def test_groups_and_lanes() -> None:
    assert kept(WEIGHT, "n_of_m", 0.5, 2).tolist() == [[False, True, False, True], [False, True, False, True]]
    assert kept(WEIGHT, "balanced", 0.5, 2).tolist() == [[False, True, True, False], [True, True, False, False]]


@pytest.mark.parametrize("scope", ["n_of_m", "balanced"])
def test_inputs_of_a_convolution_are_ordered_by_position_then_channel(scope: str) -> None:
    weight = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(1))
    rows = kept(weight, scope, 0.5, 4).permute(0, 2, 3, 1).reshape(3, 4, 4)  # outputs, positions, channels
    assert (rows.sum(2 if scope == "n_of_m" else 1) == 2).all()
    assert rows.sum() == weight.numel() / 2


@pytest.mark.parametrize("scope", scopes.SCOPES)
def test_what_is_masked_stays_masked_also_where_weights_are_zero(scope: str) -> None:
    weight = torch.tensor([[0.0, 0, 0, 0, 3, 4, 5, 6]] * 4)
    size = 4 if scope in scopes.SIZED else None
    first = {"fc": kept(weight, scope, 0.25, size).flip(1) if scope == "layer" else kept(weight, scope, 0.25, size)}
    second = scopes.kept_weights({"fc": weight}, first, scope, size, 0.5)["fc"]
    assert not (second & ~first["fc"]).any()
    assert (~second).sum() == 16


def test_an_emptied_layer_keeps_its_largest_with_a_warning() -> None:
    weights = {"small": torch.tensor([[0.1, 0.2]]), "large": torch.tensor([[1.0, 2, 3, 4]])}
    before = {name: torch.ones_like(one, dtype=torch.bool) for name, one in weights.items()}
    with pytest.warns(UserWarning, match="small would have lost all"):
        masks = scopes.kept_weights(weights, before, "global", None, 0.5)
    assert masks["small"].tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("scope", "size", "fraction", "message"),
    [
        ("global", None, 0.99, "less than one weight per layer"),
        ("layer", None, 0.99, "the layer of fc empty"),
        ("channel", None, 0.9, "each channel of fc empty"),
        ("whole_channel", None, 0.7, "the layer of fc empty"),
        ("n_of_m", 4, 0.3, "no whole number"),
        ("n_of_m", 4, 0.8, "each group of fc empty"),
        ("n_of_m", 3, 0.5, "which 3 does not divide"),
        ("balanced", 4, 0.6, "each lane of fc empty"),
        ("balanced", 5, 0.5, "which 5 does not divide"),
    ],
)
def test_a_fraction_that_does_not_fit_is_refused(scope: str, size: int | None, fraction: float, message: str) -> None:
    with pytest.raises(QapError, match=message):
        scopes.check(scope, size, (fraction,), {"fc": (2, 8)})


def test_fractions_that_fit() -> None:
    for scope, size in (("global", None), ("layer", None), ("channel", None), ("n_of_m", 4), ("balanced", 4)):
        scopes.check(scope, size, (0.25, 0.5), {"fc": (2, 8)})


def test_weights_that_are_not_finite_are_named() -> None:
    with pytest.raises(QapError, match="fc has weights that are not finite"):
        kept(torch.tensor([[1.0, torch.nan]]), "layer", 0.5)
