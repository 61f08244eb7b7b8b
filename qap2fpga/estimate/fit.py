# SPDX-License-Identifier: Apache-2.0
"""From measured designs to a calibration: factors, errors on designs that were not fitted, and intervals.

Non-negative least squares over the nodes of all designs. Some designs are set aside as hold-out before anything is
fitted, two thirds of the large ones; the interval comes from cross-validation on the rest, and the hold-out says what
it is worth. Then the interval is widened to what the hold-out designs have shown; the factors stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped]

from qap2fpga.estimate.calibration import COUNTED, TOOLS, Calibration, fingerprint, sizes
from qap2fpga.estimate.draw import JET_SIZE
from qap2fpga.estimate.images import ImageRecipe
from qap2fpga.estimate.sparse import SparseRecipe
from qap2fpga.hw.design import is_of
from qap2fpga.hw.resources import FITTED
from qap2fpga.ir.bops import equation
from qap2fpga.system.errors import QapError

SIZES = (300, 1000, 4000)
FOLDS = 5
# An error of a few cells in a design of a few is no error.
SMALL = 50
# The interval is what cross-validation has seen, and so much more of it; and this part of the number at least.
WIDEN = 1.25
MARGIN = 0.01
LEAST_DESIGNS = 30
LEAST_IN_CLASS = 20
# Of how many designs of a sort which are hold-out, by their number.
HOLD_OUT = {"small": (3, (0,)), "large": (3, (1, 2)), ImageRecipe.kind: (5, (2, 4)), SparseRecipe.kind: (3, (1,))}

Line = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """One design that was not fitted: its size and what was measured and predicted of each resource."""

    seed: int
    kind: str
    nonzeros: int
    measured: dict[str, float]
    predicted: dict[str, float]
    inside: dict[str, bool]


def fit(
    backend: str, lines: Sequence[Line], specimens: tuple[str, str], command: str, versions: dict[str, str]
) -> tuple[dict[str, Any], list[Held]]:
    """The calibration file's content, and the hold-out designs. `specimens` are the digests of a few designs, and of
    what is expected of them.

    Raises `QapError` when fewer than `LEAST_DESIGNS` designs can be fitted.
    """
    good = [one for one in lines if "failed" not in one]
    kept, held = split(good)
    if len(kept) < LEAST_DESIGNS:
        raise QapError(
            f"{len(kept)} designs of {backend} to fit are too few for a calibration, {LEAST_DESIGNS} are needed",
            "calibrate with more designs",
        )
    content: dict[str, Any] = {
        "schema": 1, "backend": backend, "stage": "synthesis", "fingerprint": fingerprint(backend),
        "specimens": specimens[0], "expected": specimens[1], "command": command,
        "tools": {name: versions[name] for name in TOOLS[backend]},
        "designs": _counts(good, kept, held, len(lines) - len(good)),
        "range": _range(kept),
        "resources": {}, "counted": {}, "lut_per_bop": _per_bop(kept),
    }  # fmt: skip
    for resource in FITTED:
        content["resources"][resource] = _fitted(resource, kept)
    rows = [against(one, content) for one in held]
    for resource in FITTED:
        part = content["resources"][resource]
        pairs = [(row.nonzeros, row.measured[resource], row.predicted[resource]) for row in rows]
        part["held_back"] = errors_by_size(pairs) | {"outside_interval": sum(not row.inside[resource] for row in rows)}
        # Once it is known what the interval is worth, it takes in what the hold-out designs have shown.
        part["interval"] = _intervals([*part.pop("guessed"), *((measured, value) for _, measured, value in pairs)])
    for name in COUNTED:
        content["counted"][name] = differences(name, good)
    return content, rows


def split(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return (fitted, hold-out): every third design of a kind is hold-out, two of three of jet size, two of five of
    those over images; of pruned ones one of three of any size."""
    kept: list[Line] = []
    held: list[Line] = []
    seen: Counter[str] = Counter()
    for one in sorted(lines, key=lambda line: line["seed"]):
        large = sizes(one["network"])["nonzeros"] >= JET_SIZE
        kind = one["recipe"]["kind"]
        sort = kind if kind in HOLD_OUT else "large" if large else "small"
        seen[sort] += 1
        share, chosen = HOLD_OUT[sort]
        (held if seen[sort] % share in chosen else kept).append(one)
    return kept, held


def _counts(good: Sequence[Line], kept: Sequence[Line], held: Sequence[Line], failed: int) -> dict[str, int]:
    kinds = Counter(one["recipe"]["kind"] for one in good)
    large = sum(sizes(one["network"])["nonzeros"] >= JET_SIZE for one in held)
    return {
        "fitted": len(kept), "held_back": len(held), "held_back_of_jet_size": large, **dict(sorted(kinds.items())),
        "failed": failed,
    }  # fmt: skip


def _range(lines: Sequence[Line]) -> dict[str, list[float]]:
    rows = [sizes(one["network"]) for one in lines]
    return {name: [min(row[name] for row in rows), max(row[name] for row in rows)] for name in rows[0]}


def _fitted(resource: str, lines: Sequence[Line]) -> dict[str, Any]:
    kinds = sorted({kind for one in lines for node in one["nodes"] for kind in node.features[resource]})
    rows = _rows(resource, lines, kinds)
    order = np.random.default_rng(0).permutation(len(lines))
    guessed = np.zeros(len(lines))
    for fold in range(FOLDS):
        out = np.isin(rows.designs, order[fold::FOLDS])
        sums = rows.features[out] @ _solve(rows, ~out)
        np.add.at(guessed, rows.designs[out], sums)
    factors = _solve(rows, np.ones(len(rows.designs), bool))
    counts = np.array([float(one["measured"][resource]) for one in lines])
    nonzeros = [int(sizes(one["network"])["nonzeros"]) for one in lines]
    return {
        "factors": {kind: round(float(value), 4) for kind, value in zip(kinds, factors, strict=True)},
        "cross_validated": errors_by_size(list(zip(nonzeros, counts, guessed, strict=True))),
        "guessed": list(zip(counts, guessed, strict=True)),
        "interval": _intervals(list(zip(counts, guessed, strict=True))),
    }


@dataclass(frozen=True)
class _Rows:
    """One row a node: its features, its cells, the design it is in, and what an error of one cell counts."""

    features: np.ndarray
    counts: np.ndarray
    designs: np.ndarray
    weights: np.ndarray


def _rows(resource: str, lines: Sequence[Line], kinds: Sequence[str]) -> _Rows:
    features, counts, designs, weights = [], [], [], []
    for number, one in enumerate(lines):
        total = max(one["measured"][resource], SMALL)
        for node, cells in zip(one["nodes"], cells_of_nodes(resource, one), strict=True):
            features.append([node.features[resource].get(kind, 0.0) for kind in kinds])
            counts.append(cells)
            designs.append(number)
            # Between an error's part of the node and of the design: both are to be right.
            weights.append(1 / np.sqrt(total * max(cells, SMALL)))
    return _Rows(np.array(features), np.array(counts, float), np.array(designs), np.array(weights))


def cells_of_nodes(resource: str, line: Line) -> list[int]:
    """What was measured of each node; of a node without a part of its own, what is outside of all parts."""
    parts = dict(line["parts"])
    mine = [[parts.pop(key)[resource] for key in list(parts) if is_of(key, node.name)] for node in line["nodes"]]
    if parts or sum(not cells for cells in mine) > 1:
        what = ", ".join(parts) or "more than one node"
        raise QapError(
            f"design {line['seed']}: nodes and measured parts differ: {what}", "calibrate this version afresh"
        )
    rest = line["measured"][resource] - sum(map(sum, mine))
    return [sum(cells) if cells else rest for cells in mine]


def _per_bop(lines: Sequence[Line]) -> dict[str, float]:
    """LUTs by the paper's BOPs: the band of nine designs in ten, and how wide it is says what BOPs alone are worth."""
    ratios = []
    for one in lines:
        total = sum(
            equation(
                layer["inputs"], layer["outputs"], layer["nonzeros"] / (layer["inputs"] * layer["outputs"]),
                layer["input_bits"], layer["weight_bits"],
            )
            for layer in one["network"]
        )  # fmt: skip
        ratios.append(one["measured"]["lut"] / total)
    low, middle, high = (float(value) for value in np.quantile(ratios, (0.05, 0.5, 0.95)))
    return {"low": round(low, 4), "median": round(middle, 4), "high": round(high, 4)}


def _solve(rows: _Rows, chosen: np.ndarray) -> np.ndarray:
    """Non-negative factors of the least squared error."""
    weights = rows.weights[chosen]
    factors, _ = nnls(rows.features[chosen] * weights[:, None], rows.counts[chosen] * weights)
    return np.asarray(factors)


def _intervals(rows: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    """Ratios of measured to predicted by size class, from rows of both; a class of few joins the next larger one."""
    counts, guessed = np.array(rows).T
    intervals: list[dict[str, float]] = []
    waiting: list[float] = []
    for low, high in zip((0, *SIZES), (*SIZES, np.inf), strict=True):
        chosen = (guessed >= low) & (guessed < high)
        waiting += list(np.log(np.maximum(counts[chosen], 1) / np.maximum(guessed[chosen], 1)))
        if len(waiting) >= LEAST_IN_CLASS or high == np.inf:
            if len(waiting) < LEAST_IN_CLASS and intervals:
                # Too few large ones to say anything of their own.
                intervals[-1]["below"] = float("inf")
                break
            least, most = min(waiting), max(waiting)
            ends = min(WIDEN * least, least - MARGIN), max(WIDEN * most, most + MARGIN)
            intervals.append({
                "below": float(high), "low": round(float(np.exp(ends[0])), 4),
                "high": round(float(np.exp(ends[1])), 4), "designs": len(waiting),
            })  # fmt: skip
            waiting = []
    return intervals


def errors_by_size(rows: Sequence[tuple[int, float, float]]) -> dict[str, Any]:
    """Relative errors in percent, in all and by size; rows are (non-zero weights, measured, predicted)."""
    nonzeros = np.array([row[0] for row in rows])
    errors = np.array([100 * abs(row[2] - row[1]) / max(row[1], SMALL) for row in rows])
    classes = {
        "all": np.ones(len(rows), bool),
        "under 100 non-zeros": nonzeros < 100,
        "100 to 1000": (nonzeros >= 100) & (nonzeros < JET_SIZE),
        "1000 and more": nonzeros >= JET_SIZE,
    }
    return {
        name: {
            "designs": int(chosen.sum()),
            "mean_percent": round(float(errors[chosen].mean()), 1),
            "largest_percent": round(float(errors[chosen].max()), 1),
        }
        for name, chosen in classes.items()
        if chosen.any()
    }


def against(line: Line, content: dict[str, Any]) -> Held:
    """A measured design, with its expectations, beside what the calibration `content` predicts of it."""
    calibration, own = Calibration(content), sizes(line["network"])
    predictions = {name: calibration.predict(name, line["nodes"], own) for name in content["resources"]}
    measured = {name: float(line["measured"][name]) for name in predictions}
    return Held(
        line["seed"], line["recipe"]["kind"], int(own["nonzeros"]), measured,
        {name: one.value for name, one in predictions.items()},
        {name: one.holds(measured[name]) for name, one in predictions.items()},
    )  # fmt: skip


def differences(name: str, lines: Sequence[Line]) -> dict[str, float]:
    """In how many designs a number was measured, how often it was another one than predicted, and the ratio's ends."""
    pairs = [(_number(one, name), one["predicted"][name] or 0) for one in lines]
    measured = [(value, predicted) for value, predicted in pairs if value is not None]
    ratios = [WIDEN * np.log(max(value, 1) / max(predicted, 1)) for value, predicted in measured]
    low, high = (round(float(np.exp(end)), 4) for end in (min(ratios, default=0.0), max(ratios, default=0.0)))
    # Counts are whole; of frames that come at distances that alternate the average is measured.
    differing = sum(abs(value - predicted) >= 1 for value, predicted in measured)
    return {"designs": len(measured), "differing": differing, "low": low, "high": high}


def _number(line: Line, name: str) -> float | None:
    """Cycles are known of the designs that were simulated."""
    value = (line.get("simulated") or {}).get(name, line["measured"].get(name))
    return None if value is None else float(value)
