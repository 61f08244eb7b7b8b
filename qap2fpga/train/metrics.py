# SPDX-License-Identifier: Apache-2.0
"""How well a classifier does, and how much of its neurons' state space it uses.

    metrics = evaluate(logits, labels, classes)
    efficiency = neural_efficiency({"act1": hidden1 > 0, "act2": hidden2 > 0})
    quotient = aiq(efficiency["network"], metrics["accuracy"])

Every result is a tree of plain JSON values. ROC, AUC and background efficiency are one class against the rest, by
the class's softmax probability. Neural efficiency and aIQ are those of Schaub and Hotaling 2020, "Assessing
Intelligence in Artificial Neural Networks" (arXiv 2006.02909), which Hawks et al. 2021, "Ps and Qs", use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.metrics import auc, roc_curve

from qap2fpga.system.errors import QapError
from qap2fpga.train.schema import BackgroundEfficiency, ClassifierMetrics, Curve, LayerEfficiency, NeuralEfficiency

SIGNAL_EFFICIENCY = 0.5
# Points of a ROC curve that a record keeps.
ROC_POINTS = 200
# Weight of the performance in aIQ; 2 in the code of Hawks et al.
AIQ_BETA = 2


def evaluate(logits: NDArray[Any], labels: NDArray[Any], classes: Sequence[str]) -> ClassifierMetrics:
    """Return loss, accuracy, AUC, ROC and background efficiency of a classifier.

    `logits` (N, classes) are the network's outputs before the softmax, `labels` (N,) integers 0 to classes - 1.

    - `loss`: mean cross-entropy in nats. `accuracy`: share of rows whose largest logit, the first of equal ones, is
      that of their class; `accuracy_error` its binomial error `sqrt(a (1 - a) / N)`.
    - `auc`: per class the area under the ROC curve; rows of equal score count half, as in the Mann-Whitney
      statistic. `mean_auc`: the plain mean over classes.
    - `roc`: per class at most 200 of the curve's own points, dense in signal efficiency and in the logarithm of
      the background efficiency.
    - `background_efficiency`: per class the share `e` of the rows of all other classes that pass the cut which half of
      the class's rows pass, with its binomial error `sqrt(e (1 - e) / rows of other classes)`: see
      `background_efficiency_at`. `mean_background_efficiency`: the plain mean, its error that of independent values.

    Raises `QapError` for logits that are not numbers, labels that are not such integers, and a class without rows.
    """
    outputs, truth = _checked(logits, labels, classes)
    rows = len(truth)
    accuracy = float(np.mean(outputs.argmax(axis=1) == truth))
    areas: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    backgrounds: dict[str, BackgroundEfficiency] = {}
    for index, name in enumerate(classes):
        signal = truth == index
        background, efficiency, _ = roc_curve(signal, one_against_rest(outputs, index), drop_intermediate=False)
        areas[name] = float(auc(background, efficiency))
        curves[name] = _thinned(background, efficiency, rows)
        value = background_efficiency_at(SIGNAL_EFFICIENCY, background, efficiency)
        backgrounds[name] = {
            "value": value,
            "error": binomial_error(value, rows - int(signal.sum())),
            "at_signal_efficiency": SIGNAL_EFFICIENCY,
        }
    return {
        "rows": rows,
        "loss": float(-np.mean(log_softmax(outputs, axis=1)[np.arange(rows), truth])),
        "accuracy": accuracy,
        "accuracy_error": binomial_error(accuracy, rows),
        "auc": areas,
        "mean_auc": math.fsum(areas.values()) / len(classes),
        "roc": curves,
        "background_efficiency": backgrounds,
        "mean_background_efficiency": {
            "value": math.fsum(one["value"] for one in backgrounds.values()) / len(classes),
            "error": math.hypot(*(one["error"] for one in backgrounds.values())) / len(classes),
        },
    }


def one_against_rest(logits: NDArray[Any], index: int) -> NDArray[np.float64]:
    """Return the log-odds of the softmax probability of class `index` (N,): its order, without its saturation at 1.

    Where logits lie on a common binary grid, rows whose differences are the same get the very same score.
    """
    others = np.delete(logits, index, axis=1) - logits[:, index : index + 1]
    return -np.asarray(logsumexp(np.sort(others, axis=1), axis=1), dtype=np.float64)


def background_efficiency_at(signal_efficiency: float, background: NDArray[Any], efficiency: NDArray[Any]) -> float:
    """Return the background efficiency at `signal_efficiency`, 0 < `signal_efficiency` <= 1, of a full ROC curve.

    Between two neighbouring points it is interpolated linearly, which is a cut at random among rows of equal score;
    of several points with that very signal efficiency it is the lowest.
    """
    after = int(np.searchsorted(efficiency, signal_efficiency, side="left"))
    before = after - 1
    part = (signal_efficiency - efficiency[before]) / (efficiency[after] - efficiency[before])
    return float(background[before] + part * (background[after] - background[before]))


def binomial_error(share: float, rows: int) -> float:
    """Return the standard error of a share counted in `rows` rows; 0 at the shares 0 and 1, where it says nothing."""
    return math.sqrt(share * (1.0 - share) / rows)


def neural_efficiency(states: Mapping[str, NDArray[np.bool_]]) -> NeuralEfficiency:
    """Return how much of their state space the layers use, from which neurons are on in which row.

    `states`: layer name to a boolean array (N, neurons), true where the neuron's output is above 0. The code of
    Hawks et al. takes the outputs of batch norm (without it, of the dense layers) and the logits.

    A layer's `entropy_bits` is that of its states, `-sum p_s log2 p_s` over the distinct rows; its `efficiency` the
    entropy divided by its neurons; `network` the geometric mean over layers, so 0 where one layer never changes.
    N rows show at most N states: an entropy is at most `cap_bits` = log2 N, and the efficiency of a layer of more
    neurons than that at most `cap_bits / neurons`. Compare networks on the same number of rows.

    Memory is that of one layer packed, an eighth of a byte a state, and its sorted copy. Raises `ValueError` for
    arrays that are not of this form or differ in rows.
    """
    rows = {len(layer) for layer in states.values()}
    if len(rows) != 1 or any(layer.ndim != 2 or layer.dtype != bool or not layer.size for layer in states.values()):
        raise ValueError("states must be boolean arrays (rows, neurons) of as many rows, and none may be empty")
    layers: dict[str, LayerEfficiency] = {}
    for name, layer in states.items():
        entropy = entropy_bits(layer)
        neurons = layer.shape[1]
        layers[name] = {"entropy_bits": entropy, "neurons": neurons, "efficiency": entropy / neurons}
    (count,) = rows
    network = math.prod(layer["efficiency"] for layer in layers.values()) ** (1.0 / len(layers))
    return {"layers": layers, "network": network, "rows": count, "cap_bits": math.log2(count)}


def entropy_bits(states: NDArray[np.bool_]) -> float:
    """Return the Shannon entropy, in bits, of the rows of a boolean array (N, neurons)."""
    packed = np.ascontiguousarray(np.packbits(states, axis=1))
    # A row as one opaque value sorts ten times faster than as a vector.
    values = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    counts = np.unique(values, return_counts=True)[1]
    return math.fsum(counts * np.log2(len(states) / counts)) / len(states)


def aiq(efficiency: float, performance: float, beta: int = AIQ_BETA) -> float:
    """Return the artificial intelligence quotient `(efficiency performance^beta)^(1 / (beta + 1))`, all from 0 to 1.

    Schaub and Hotaling take the accuracy for `performance`, and so do we; the code of Hawks et al. takes the mean AUC.
    """
    return (efficiency * performance**beta) ** (1.0 / (beta + 1))


def _checked(
    logits: NDArray[Any], labels: NDArray[Any], classes: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    outputs, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if outputs.shape != (len(truth), len(classes)) or len(classes) < 2:
        raise QapError(
            f"outputs of shape {outputs.shape} for {len(truth)} labels of {len(classes)} classes",
            "give one output per class, for two classes or more",
        )
    if not np.isfinite(outputs).all():
        raise QapError("the network's outputs are not all numbers", "it diverged: take a lower learning rate")
    if (
        not np.issubdtype(truth.dtype, np.integer)
        or truth.size == 0
        or not 0 <= truth.min() <= truth.max() < len(classes)
    ):
        raise QapError("labels out of range", f"they must be integers from 0 to {len(classes) - 1}")
    counts = np.bincount(truth, minlength=len(classes))
    if not counts.all():
        absent = classes[int(counts.argmin())]
        raise QapError(f"no row of class '{absent}' to measure it by", "take more rows, or leave the class out")
    return outputs, truth.astype(np.int64)


def _thinned(background: NDArray[Any], efficiency: NDArray[Any], rows: int) -> Curve:
    """At most `ROC_POINTS` points of the curve, its ends among them."""
    half = ROC_POINTS // 2
    even = np.searchsorted(efficiency, np.linspace(0.0, 1.0, half))
    decades = np.searchsorted(background, np.geomspace(1.0 / rows, 1.0, half - 1))
    chosen = np.unique(np.concatenate([even, decades, [len(background) - 1]]))
    return {
        "background_efficiency": background[chosen].tolist(),
        "signal_efficiency": efficiency[chosen].tolist(),
    }
