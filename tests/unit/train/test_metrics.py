# SPDX-License-Identifier: Apache-2.0
"""Metrics on cases small enough to know the answer, and their laws on random ones."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qap2fpga.system.errors import QapError
from qap2fpga.train.metrics import (
    ROC_POINTS,
    aiq,
    background_efficiency_at,
    binomial_error,
    entropy_bits,
    evaluate,
    neural_efficiency,
    one_against_rest,
)

TWO = ("background", "signal")


def of_scores(signal: list[float], background: list[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits and labels of a two-class network whose log-odds of 'signal' are the scores."""
    scores = np.array(signal + background)
    logits = np.stack([np.zeros(len(scores)), scores], axis=1)
    return logits, np.array([1] * len(signal) + [0] * len(background))


def mann_whitney(signal: list[int], background: list[int]) -> Fraction:
    """AUC by its definition: the share of pairs in the right order, ties count half."""
    points = sum(Fraction((s > b) + (s >= b), 2) for s, b in itertools.product(signal, background))
    return points / (len(signal) * len(background))


# --- evaluate -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "background", "expected"),
    [
        ([3, 4], [1, 2], Fraction(1)),
        ([1, 2], [3, 4], Fraction(0)),
        ([1, 1, 1], [1, 1], Fraction(1, 2)),
        ([2, 2], [2, 1], Fraction(3, 4)),
        ([1, 2, 2, 3], [0, 2], Fraction(3, 4)),
        ([5, 2], [2, 2, 2, 2], Fraction(3, 4)),
    ],
)
def test_auc_counts_ties_half(signal: list[int], background: list[int], expected: Fraction) -> None:
    assert mann_whitney(signal, background) == expected
    assert evaluate(*of_scores(signal, background), TWO)["auc"]["signal"] == float(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=30), st.lists(st.integers(-4, 4), min_size=1, max_size=30))
def test_auc_is_mann_whitney(signal: list[int], background: list[int]) -> None:
    result = evaluate(*of_scores(signal, background), TWO)["auc"]
    assert result["signal"] == pytest.approx(float(mann_whitney(signal, background)), abs=1e-14)
    assert result["background"] == pytest.approx(result["signal"], abs=1e-14)


def test_a_saturated_softmax_still_orders_rows() -> None:
    # As float32 and float64 probabilities, all four are 1.
    logits, labels = of_scores([400.0, 300.0], [200.0, 100.0])
    assert evaluate(logits, labels, TWO)["auc"]["signal"] == 1.0


def test_rows_that_differ_by_a_constant_or_an_order_tie() -> None:
    random = np.random.default_rng(2)
    row = random.integers(-64, 64, 8) / 16
    logits = np.array([np.append(row[0], random.permutation(row[1:])) + random.integers(-9, 9) for _ in range(200)])
    assert len(set(one_against_rest(logits, 0).tolist())) == 1


def test_scores_are_the_log_odds_of_the_softmax() -> None:
    logits = np.random.default_rng(1).normal(size=(50, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert one_against_rest(logits, 2) == pytest.approx(np.log(shares[:, 2] / (1 - shares[:, 2])))


def test_loss_and_accuracy_of_known_rows() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.25, 0.25, 0.5], [0.5, 0.25, 0.25]]))
    metrics = evaluate(logits, np.array([0, 1, 2, 1]), ("a", "b", "c"))
    assert metrics["rows"] == 4
    assert metrics["loss"] == pytest.approx(-(math.log(0.5) * 2 + math.log(0.75) + math.log(0.25)) / 4, rel=1e-14)
    assert metrics["accuracy"] == 0.75
    assert metrics["accuracy_error"] == math.sqrt(0.75 * 0.25 / 4)


def test_the_first_of_equal_logits_is_the_answer() -> None:
    assert evaluate(np.zeros((4, 2)), np.array([0, 0, 0, 1]), TWO)["accuracy"] == 0.75


@pytest.mark.parametrize(
    ("signal", "background", "expected"),
    [
        # Half of the signal is 8 and 7; one of five background rows lies above 7.
        ([8, 7, 2, 1], [9, 6, 5, 4, 3], Fraction(1, 5)),
        # An odd number: 0.5 lies half way between one and two of three, where no background is passed.
        ([8, 7, 1], [9, 6], Fraction(1, 2)),
        # One signal and two background rows tie: half of that signal costs half of those background rows.
        ([8, 5, 1], [5, 5, 0, 0], Fraction(1, 4)),
        # All tie: a random choice.
        ([1, 1], [1, 1, 1], Fraction(1, 2)),
        # At the signal efficiency 0.5 the background rises from 0 to 2 of 4: the cut is above them.
        ([8, 1], [5, 4, 0, 0], Fraction(0)),
    ],
)
def test_background_efficiency_of_a_built_score(
    signal: list[float], background: list[float], expected: Fraction
) -> None:
    result = evaluate(*of_scores(signal, background), TWO)["background_efficiency"]["signal"]
    share = float(expected)
    assert result == {
        "value": pytest.approx(share, abs=1e-15),
        "error": pytest.approx(math.sqrt(share * (1 - share) / len(background)), abs=1e-15),
        "at_signal_efficiency": 0.5,
    }


def test_background_efficiency_at_other_signal_efficiencies() -> None:
    background, efficiency = np.array([0.0, 0.0, 0.2, 0.2, 1.0]), np.array([0.0, 0.4, 0.4, 0.8, 1.0])
    values = [background_efficiency_at(at, background, efficiency) for at in (0.2, 0.4, 0.6, 0.9, 1.0)]
    assert values == pytest.approx([0.0, 0.0, 0.2, 0.6, 1.0])


def test_means_over_classes() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 300)
    metrics = evaluate(random.normal(size=(300, 3)) + 1.5 * np.eye(3)[labels], labels, ("a", "b", "c"))
    assert metrics["mean_auc"] == pytest.approx(np.mean(list(metrics["auc"].values())))
    one = list(metrics["background_efficiency"].values())
    assert metrics["mean_background_efficiency"]["value"] == pytest.approx(np.mean([each["value"] for each in one]))
    errors = [each["error"] for each in one]
    assert metrics["mean_background_efficiency"]["error"] == pytest.approx(np.sqrt(np.sum(np.square(errors))) / 3)
    assert json.loads(json.dumps(metrics)) == metrics


def test_the_kept_roc_is_part_of_the_curve_and_gives_its_area() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, 20_000)
    logits = np.stack([np.zeros(20_000), random.normal(size=20_000) + 2 * labels], axis=1)
    metrics = evaluate(logits, labels, TWO)
    curve = metrics["roc"]["signal"]
    x, y = np.array(curve["background_efficiency"]), np.array(curve["signal_efficiency"])
    assert ROC_POINTS // 2 < len(x) == len(y) <= ROC_POINTS
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
    cuts = np.sort(logits[:, 1])[::-1]
    passed = [logits[:, 1] >= cut for cut in cuts[::20]]
    points = [(np.mean(one[labels == 0]), np.mean(one[labels == 1])) for one in passed]
    assert np.count_nonzero((x > 0) & (x < 1e-2)) > 20
    assert np.trapezoid(y, x) == pytest.approx(metrics["auc"]["signal"], abs=2e-4)
    for background, efficiency in points:
        across, along = np.interp(efficiency, y, x) - background, np.interp(background, x, y) - efficiency
        assert min(abs(across), abs(along)) < 2e-3


def test_the_kept_roc_of_few_rows_is_the_whole_curve() -> None:
    curve = evaluate(*of_scores([8, 7, 2, 1], [9, 6, 5, 4]), TWO)["roc"]["signal"]
    assert set(zip(curve["background_efficiency"], curve["signal_efficiency"], strict=True)) >= {
        (0.0, 0.0),
        (0.25, 0.0),
        (0.25, 0.25),
        (0.25, 0.5),
        (1.0, 1.0),
    }


@pytest.mark.parametrize(
    ("logits", "labels", "classes", "complaint"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), TWO, r"shape \(3, 2\) for 2 labels of 2 classes"),
        (np.zeros((2, 3)), np.array([0, 1]), TWO, "give one output per class"),
        (np.zeros((2, 1)), np.array([0, 0]), ("a",), "two classes or more"),
        (np.array([[0, np.nan], [0, 0]]), np.array([0, 1]), TWO, "not all numbers"),
        (np.array([[0, np.inf], [0, 0]]), np.array([0, 1]), TWO, "lower learning rate"),
        (np.zeros((2, 2)), np.array([0, 2]), TWO, "integers from 0 to 1"),
        (np.zeros((2, 2)), np.array([-1, 1]), TWO, "out of range"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), TWO, "out of range"),
        (np.zeros((0, 2)), np.array([], dtype=int), TWO, "out of range"),
        (np.zeros((2, 2)), np.array([0, 0]), TWO, "no row of class 'signal'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    logits: NDArray[np.float64], labels: NDArray[np.int64], classes: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(QapError, match=complaint):
        evaluate(logits, labels, classes)


def test_binomial_error() -> None:
    assert [binomial_error(share, 100) for share in (0.0, 0.5, 1.0)] == [0.0, 0.05, 0.0]


# --- neural efficiency --------------------------------------------------------------------------------------------


def states(*columns: str) -> NDArray[np.bool_]:
    """Boolean array from rows as strings of 0 and 1."""
    return np.array([[one == "1" for one in row] for row in columns])


@pytest.mark.parametrize(
    ("layer", "bits"),
    [
        (states("000", "000", "000"), 0.0),
        (states("01", "10"), 1.0),
        (states("00", "01", "10", "11"), 2.0),
        # Shares 1/2, 1/4, 1/8, 1/8.
        (states(*["00"] * 4, *["01"] * 2, "10", "11"), 1.75),
        # One state three times, another once.
        (states("1", "1", "1", "0"), 2 - 0.75 * math.log2(3)),
    ],
)
def test_entropy_of_a_built_distribution(layer: NDArray[np.bool_], bits: float) -> None:
    assert entropy_bits(layer) == pytest.approx(bits, rel=1e-15, abs=0)


@pytest.mark.parametrize("neurons", [1, 7, 8, 9, 64, 65, 200])
def test_every_neuron_tells_states_apart(neurons: int) -> None:
    # One row a neuron, each with that neuron on: neurons states of the same share.
    assert entropy_bits(np.eye(neurons, dtype=bool)) == pytest.approx(math.log2(neurons), rel=1e-14)
    assert entropy_bits(np.repeat(np.eye(neurons, dtype=bool), 3, axis=0)) == pytest.approx(math.log2(neurons))


def test_all_states_of_a_layer_use_it_fully() -> None:
    layer = np.array(list(itertools.product([False, True], repeat=10)))
    assert neural_efficiency({"act1": layer})["layers"]["act1"] == {
        "entropy_bits": 10.0,
        "neurons": 10,
        "efficiency": 1.0,
    }


def test_network_efficiency_is_the_geometric_mean() -> None:
    half = states("0000", "0001", "0010", "0011")
    eighth = states("00000000", "00000000", "11111111", "11111111")
    assert neural_efficiency({"act1": half, "act2": eighth}) == {
        "layers": {
            "act1": {"entropy_bits": 2.0, "neurons": 4, "efficiency": 0.5},
            "act2": {"entropy_bits": 1.0, "neurons": 8, "efficiency": 0.125},
        },
        "network": 0.25,
        "rows": 4,
        "cap_bits": 2.0,
    }


def test_a_layer_that_never_changes_makes_the_network_zero() -> None:
    efficiencies = neural_efficiency({"act1": states("01", "10"), "act2": states("11", "11")})
    assert efficiencies["network"] == 0.0


def test_the_sample_caps_the_entropy() -> None:
    layer = np.random.default_rng(5).random((1000, 64)) < 0.5
    efficiencies = neural_efficiency({"act1": layer})
    assert efficiencies["cap_bits"] == math.log2(1000)
    assert efficiencies["layers"]["act1"]["entropy_bits"] == pytest.approx(math.log2(1000), rel=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 2**31))
def test_entropy_does_not_depend_on_order_and_stays_below_its_bounds(neurons: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    layer = random.random((rows, neurons)) < 0.5
    bits = entropy_bits(layer)
    assert 0 <= bits <= min(neurons, math.log2(rows)) + 1e-12
    assert entropy_bits(layer[random.permutation(rows)][:, random.permutation(neurons)]) == pytest.approx(bits)
    assert entropy_bits(~layer) == pytest.approx(bits)


@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"act1": np.zeros((0, 4), dtype=bool)},
        {"act1": np.zeros((4, 0), dtype=bool)},
        {"act1": np.zeros((4, 4))},
        {"act1": np.zeros(4, dtype=bool)},
        {"act1": np.zeros((4, 4), dtype=bool), "act2": np.zeros((5, 4), dtype=bool)},
    ],
)
def test_states_of_another_form_are_refused(layers: dict[str, NDArray[np.bool_]]) -> None:
    with pytest.raises(ValueError, match="states must be boolean"):
        neural_efficiency(layers)


def test_aiq() -> None:
    assert aiq(0.5, 0.5) == pytest.approx(0.5)
    assert aiq(0.25, 0.64, beta=1) == pytest.approx(0.4)
    assert aiq(0.0, 0.9) == 0.0
    assert aiq(1.0, 1.0, beta=3) == 1.0
    assert aiq(0.1, 0.8) == pytest.approx((0.1 * 0.8 * 0.8) ** (1 / 3))
