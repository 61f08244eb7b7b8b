# SPDX-License-Identifier: Apache-2.0
"""Which weights are pruned, what is protected, and which steps a schedule takes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.system.errors import QapError
from qap2fpga.train import config
from qap2fpga.train.convert import integer_weights, zeros
from qap2fpga.train.network import Network, Shape
from qap2fpga.train.prune import check_lanes, layers_of, mask_sparsity, prune_to
from qap2fpga.train.schedule import sparsities, steps
from qap2fpga.train.settings import PruningConfig, RunConfig

SIZES = (6, 12, 8, 3)


def network(sizes: tuple[int, ...] = SIZES, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    shape = Shape(sizes, (4,) * (len(sizes) - 1), (4,) * (len(sizes) - 2), None, 8, 0.0625, True)
    result = Network(shape)
    result.initialise()
    return result


def test_the_smallest_weights_go_whatever_their_layer() -> None:
    pruned = network((2, 2, 2))
    pruned.weights.copy_(torch.tensor([1.0, -2.0, 3.0, -9.0, 0.5, -8.0, 7.0, 2.5]))
    assert prune_to(pruned, 0.5, PruningConfig(scope="global")) == []
    assert pruned.weights.tolist() == [0, 0, 3, -9, 0, -8, 7, 0]
    prune_to(pruned, 0.7, PruningConfig(scope="global"))
    assert pruned.weights.tolist() == [0, 0, 0, -9, 0, -8, 0, 0]


def test_each_layer_loses_its_own_smallest_weights() -> None:
    pruned = network((2, 2, 2))
    pruned.weights.copy_(torch.tensor([10.0, -20.0, 30.0, -90.0, 0.5, -8.0, 7.0, 2.5]))
    prune_to(pruned, 0.5, PruningConfig(scope="layer"))
    assert pruned.weights.tolist() == [0, 0, 30, -90, 0, -8, 7, 0]
    assert prune_to(pruned, 0.9, PruningConfig(scope="layer")) == [
        "fc1 would have lost all its weights: its largest one is kept",
        "fc2 would have lost all its weights: its largest one is kept",
    ]
    assert pruned.weights.tolist() == [0, 0, 0, -90, 0, -8, 0, 0]


def test_a_neuron_goes_with_all_that_enters_and_leaves_it() -> None:
    pruned = network((2, 3, 2))
    pruned.weights.copy_(torch.tensor([5.0, 5.0, 0.1, 0.2, 4.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    assert prune_to(pruned, 0.2, PruningConfig(scope="neuron")) == []
    assert pruned.weights.tolist() == [5, 5, 0, 0, 4, 3, 1, 0, 1, 1, 0, 1]
    messages = prune_to(pruned, 0.99, PruningConfig(scope="neuron"))
    assert messages[0] == "fc1 would have lost its last neuron: it is kept"
    assert "out of reach" in messages[1]
    assert pruned.weights.tolist() == [5, 5, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]


def test_each_lane_keeps_as_many_weights_of_each_neuron() -> None:
    pruned = network()
    balanced = PruningConfig(scope="balanced", lanes=2)
    check_lanes(pruned, balanced)
    assert prune_to(pruned, 0.75, balanced) == ["fc1 keeps one of the 3 weights of each lane, 33.3% of all"]
    assert pruned.mask is not None
    kept = {name: part.reshape(len(part), -1, 2).sum(dim=1) for name, part in layers_of(pruned, pruned.mask)}
    assert {name: sorted(set(counts.flatten().tolist())) for name, counts in kept.items()} == {
        "fc1": [1], "fc2": [1], "fc3": [1],
    }  # fmt: skip
    largest = pruned.weights.clone()
    assert (largest[pruned.mask == 1] != 0).all()


def test_lanes_that_do_not_divide_a_layer_are_refused() -> None:
    with pytest.raises(QapError, match=r"lanes = 4 does not divide the 6 inputs of fc1"):
        check_lanes(network(), PruningConfig(scope="balanced", lanes=4))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.01, 0.9), min_size=1, max_size=3), st.sampled_from(["global", "layer", "neuron", "balanced"])
)
def test_what_is_masked_stays_masked_and_is_enough(targets: list[float], scope: str) -> None:
    pruned = network(seed=len(targets))
    before = torch.ones(pruned.weight_count)
    for target in sorted(targets):
        prune_to(pruned, target, PruningConfig(scope=scope, lanes=2 if scope == "balanced" else None))
        assert pruned.mask is not None
        assert (pruned.mask <= before).all()
        assert (pruned.weights[pruned.mask == 0] == 0).all()
        before = pruned.mask.clone()
        if scope == "global":
            assert mask_sparsity(pruned) == pytest.approx(math.ceil(target * len(before) - 1e-6) / len(before))
        if scope == "layer":
            for _, part in layers_of(pruned, before):
                assert 1 - float(part.mean()) >= target - 1e-6 or int(part.sum()) == 1
    assert all(part.any() for _, part in layers_of(pruned, before))


def test_an_emptied_layer_is_protected_and_said_so() -> None:
    pruned = network()
    pruned.layers[1].weight.mul_(1e-6)
    assert prune_to(pruned, 0.6, PruningConfig(scope="global")) == [
        "fc2 would have lost all its weights: its largest one is kept"
    ]
    assert {name: int((values != 0).sum()) for name, values in integer_weights(pruned).items()}["fc2"] == 1
    assert mask_sparsity(pruned) >= 0.6
    prune_to(pruned, 0.999, PruningConfig(scope="global"))
    assert {int((values != 0).sum()) for values in integer_weights(pruned).values()} == {1}


def test_zeros_are_counted_after_rounding() -> None:
    pruned = network((2, 2, 2))
    # The largest weight, 7, makes a step of 1 with 4 bits: 0.4 is nothing, 0.6 is one.
    pruned.weights.copy_(torch.tensor([7.0, 0.4, 0.6, -0.4, 7.0, 1.0, 2.0, 3.0]))
    assert zeros(pruned)["fc1"].tolist() == [[False, True], [False, True]]
    assert not zeros(pruned)["fc2"].any()
    floats = Network(Shape((2, 2, 2), None, None, None, None, None, True))
    floats.weights.copy_(pruned.weights)
    assert not zeros(floats)["fc1"].any()


# ---- schedules


def plan(**pruning: object) -> RunConfig:
    return config.from_dict({"data": {"source": "x"}, "pruning": pruning})


def test_the_default_steps_take_the_same_share_of_what_is_left() -> None:
    assert sparsities(plan(sparsity=0.0).pruning) == ()
    assert sparsities(plan(steps=1).pruning) == (0.8,)
    fractions = sparsities(plan(steps=4).pruning)
    kept = [1.0, *(1 - sparsity for sparsity in fractions)]
    assert [b / a for a, b in itertools.pairwise(kept)] == pytest.approx([0.2**0.25] * 4)
    assert fractions[-1] == 0.8


def test_the_papers_steps_are_fractions_of_what_is_left() -> None:
    fractions = sparsities(plan(sparsities="paper").pruning)
    assert len(fractions) == 11
    assert fractions[:3] == pytest.approx((0.1, 0.1999, 1 - 0.9 * 0.889 * 0.875))
    left = math.prod(1 - part for part in (0.1, 0.111, 0.125, 0.143, 0.166, 0.2, 0.25, 0.333, 0.5, 0.666, 0.666))
    assert fractions[-1] == pytest.approx(1 - left)
    assert sparsities(plan(sparsities=[0.3, 0.6]).pruning) == (0.3, 0.6)
    assert sparsities(plan(sparsities="paper", schedule="none").pruning) == ()


@pytest.mark.parametrize(
    ("schedule", "epochs", "rewinds"),
    [
        ("fine_tuning", [60, 10, 60], False),
        ("lottery_ticket", [60, 60, 60], True),
        ("learning_rate_rewinding", [60, 60, 60], False),
        ("none", [60], False),
    ],
)
def test_the_schedules_differ_in_epochs_and_in_where_they_start(
    schedule: str, epochs: list[int], rewinds: bool
) -> None:
    result = steps(plan(schedule=schedule, steps=2))
    assert [one.epochs for one in result] == epochs
    assert [one.number for one in result] == list(range(len(epochs)))
    assert [one.rewind for one in result] == [False] + [rewinds] * (len(epochs) - 1)
    assert result[0].sparsity == 0
