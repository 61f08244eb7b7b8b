# SPDX-License-Identifier: Apache-2.0
"""Fits flows/hls4ml/calibration.yaml to published results: `python benchmarks/fit_vendor.py [--output FILE]`.

Reads the tables and reports under QAP2FPGA_REAL_DATA: C synthesis of single hls4ml dense layers is fitted, conditioned
on strategy and reuse factor; where fewer than 30 independent designs are known only the observed ratios are written.
Takes some seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import nnls
from vendor_data import (
    CYCLES,
    FAMILY,
    INPUT_BITS,
    RESOURCES,
    TAGGERS,
    Project,
    Run,
    observed,
    observed_networks,
    observed_pairs,
    observed_projects,
    observed_runs,
    projects,
    read_tables,
    tagger_layers,
)

from qap2fpga.estimate.features import HLS4ML, KNOTS, hls4ml
from qap2fpga.estimate.vendor import SCHEMA, raw
from qap2fpga.system.files import write_atomically

LEAST_DESIGNS = 30
CLOCK_NS = 5.0
# A feature that lowers the error by less than this part of it is left out.
GAIN = 0.05
MOST_FEATURES = 9
# What is left of an error or a coefficient by rounding alone.
ROUNDING = 1e-9
FOLDS = 5
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TAIL = 0.98
# An interval is widened (in the logarithm) in these steps until it holds so many runs of shapes it knows nothing of,
# or to the last one.
WIDER = tuple(1 + step / 4 for step in range(17))
HELD_PERCENT = 97.0
SHARED = ("one", "inputs", "outputs", "multipliers", "weight_word_bits", "accumulator_growth_bits", "accumulator_ways",
          "input_ways")  # fmt: skip
NEAR = tuple(f"products_near_{bits}_bits" for bits in KNOTS)


@dataclass(frozen=True)
class Condition:
    """Runs that are fitted together, and the features that each number may depend on. `start` are always in."""

    name: str
    strategies: tuple[str, ...]
    shared: bool
    start: dict[str, tuple[str, ...]]
    more: dict[str, tuple[str, ...]]

    def chosen(self, runs: Sequence[Run], strategies: Sequence[str] | None = None) -> list[Run]:
        allowed = self.strategies if strategies is None else strategies
        return [one for one in runs if one.layer.strategy in allowed and (one.layer.reuse_factor > 1) == self.shared]


# Unrolled, both strategies are the same products: where both were run (27 designs) DSP blocks are equal, and LUTs
# within 4 % up to 8-bit weights; above, those of 'latency' are 9 to 23 % more, which a feature of its own is for.
CONDITIONS = (
    Condition(
        "unrolled", ("latency", "resource"), False,
        {"lut": NEAR, "dsp": NEAR[3:]},
        {"lut": ("one", "inputs", "outputs", "latency_products_over_8_bits")},
    ),
    # Registers of the two strategies have nothing in common.
    Condition("unrolled, resource", ("resource",), False, {"ff": NEAR}, {"ff": ("one", "inputs", "outputs")}),
    Condition(
        "shared multipliers", ("resource",), True,
        {"latency_cycles": ("reuse_factor", "one"), "interval_cycles": ("reuse_factor",)},
        {"lut": SHARED, "ff": SHARED, "dsp": ("multipliers_in_dsp",), "bram18": ("weight_memories", "one")},
    ),
)  # fmt: skip


def main() -> None:
    """Read, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("flows/hls4ml/calibration.yaml"))
    chosen = parser.parse_args()
    place = os.environ.get("QAP2FPGA_REAL_DATA")
    if not place:
        sys.exit("set QAP2FPGA_REAL_DATA to the folder that holds tables/ and reports/")
    write_atomically(chosen.output, text(calibration(Path(place))))


def text(content: dict[str, Any]) -> str:
    """The file, with what a reader must know first."""
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n"
        "# Fitted to published results by benchmarks/fit_vendor.py. A number is predicted as the sum of coefficient\n"
        "# times feature (qap2fpga/estimate/features.py); log((measured + 1) / (predicted + 1)) is expected within\n"
        "# plus and minus `interval`. Estimates of C synthesis are never Vivado's numbers: see `observed`.\n"
    )
    return head + yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)


def calibration(place: Path) -> dict[str, Any]:
    """The file's content from the tables and reports in `place`."""
    runs, failed = read_tables(place / "tables")
    fits, few = [], []
    for condition in CONDITIONS:
        kept = condition.chosen(runs)
        resources = sorted({*condition.start, *condition.more}, key=[*RESOURCES, *CYCLES].index)
        fits.append(head(condition, kept) | {"resources": {name: fitted(name, condition, kept) for name in resources}})
    for strategy, shared in (("latency", False), ("latency", True), ("resource", False)):
        few += observed_runs([one for one in runs if one.layer.strategy == strategy
                              and (one.layer.reuse_factor > 1) == shared], strategy, shared)  # fmt: skip
    networks = projects(place)
    return {
        "schema": SCHEMA,
        "flow": "hls4ml",
        "stage": "hls",
        "tools": {
            "synthesis": "Vivado HLS, version not stated in the tables; device of 1,728,000 LUTs, clock target 5 ns",
            **{name: metadata.version(name) for name in ("numpy", "scipy")},
        },
        "command": "QAP2FPGA_REAL_DATA=... python benchmarks/fit_vendor.py",
        "source": "wa-hls4ml, C synthesis of single dense layers of random weights, "
                  f"{len(runs)} runs and {failed} that failed",
        "not_known": "the weights, so no pruned layer is among them; whole networks; other input widths than "
                     f"{INPUT_BITS} bits; other clocks and devices",
        "fits": fits,
        "observed": [*few, *observed_networks(networks), *observed_sums(fits[0], networks),
                     *observed_projects(place / "tables"), *observed_pairs(place)],
    }  # fmt: skip


def head(condition: Condition, runs: Sequence[Run]) -> dict[str, Any]:
    """What a fit is valid for, and what it rests on."""
    ranges = {name: [min(values), max(values)] for name in ("inputs", "outputs", "weight_bits", "reuse_factor")
              for values in [[getattr(one.layer, name) for one in runs]]}  # fmt: skip
    products = [one.layer.inputs * one.layer.outputs for one in runs]
    constant = {name: values.pop() for name in (*RESOURCES, *CYCLES)
                for values in [{one.measured[name] for one in runs}] if len(values) == 1}  # fmt: skip
    return {
        "condition": condition.name,
        "strategies": list(condition.strategies),
        "kind": "one dense layer",
        "runs": len(runs),
        "designs": len({one.design for one in runs}),
        "shapes": len({design[:2] for design in (one.design for one in runs)}),
        "range": {
            **ranges,
            "products": [min(products), max(products)],
            "input_bits": [INPUT_BITS, INPUT_BITS],
            "clock_ns": [CLOCK_NS, CLOCK_NS],
        },
        "family": FAMILY,
        "always": constant,
    }


def fitted(name: str, condition: Condition, runs: Sequence[Run]) -> dict[str, Any]:
    """Coefficients of one number, and its error on shapes that were not fitted, features chosen without them too."""
    designs = len({one.design for one in runs})
    if designs < LEAST_DESIGNS:
        raise SystemExit(f"{condition.name}, {name}: {designs} independent designs are too few to fit")
    table = np.array([[hls4ml(one.layer)[feature] for feature in HLS4ML] for one in runs])
    values = np.array([one.measured[name] for one in runs])
    shapes = sorted({one.shape for one in runs})
    groups = np.array([shapes.index(one.shape) for one in runs])
    guessed = np.zeros(len(runs))
    for shape in np.unique(groups):
        out = groups == shape
        columns = select(name, condition, table[~out], values[~out], groups[~out])
        guessed[out] = table[out][:, columns] @ solve(table[~out][:, columns], values[~out])
    columns = select(name, condition, table, values, groups)
    wider, held = widened(values, guessed, groups)
    pairs = zip((list(HLS4ML)[column] for column in columns), solve(table[:, columns], values), strict=True)
    return {
        "coefficients": {feature: float(f"{value:.6g}") for feature, value in pairs if value > ROUNDING},
        "interval": round(wider * float(np.quantile(np.abs(residuals(values, guessed)), TAIL)), 5),
        "cross_validation": {
            "left_out_together": f"all runs of one shape, {len(np.unique(groups))} shapes",
            **errors(values, guessed),
            "interval_widened_by": wider,
            "in_interval_percent": held,
            "by_strategy": by_strategy(runs, values, guessed),
            "by_size": by_size(values, guessed),
            "log_residual_quantiles": quantiles(values, guessed),
        },
    }


def select(name: str, condition: Condition, table: np.ndarray, values: np.ndarray, groups: np.ndarray) -> list[int]:
    """Columns of the features to use: those to start with, then the best one more as long as it helps."""
    names = list(HLS4ML)
    columns = [names.index(one) for one in condition.start.get(name, ())]
    left = [names.index(one) for one in condition.more.get(name, ())]
    best = score(table[:, columns], values, groups) if columns else np.inf
    while left and len(columns) < MOST_FEATURES and best > ROUNDING:
        error, column = min((score(table[:, [*columns, one]], values, groups), one) for one in left)
        if error > best * (1 - GAIN):
            break
        best = error
        columns.append(column)
        left.remove(column)
    return columns


def score(table: np.ndarray, values: np.ndarray, groups: np.ndarray) -> float:
    """Mean relative error on the part of the shapes that was left out, over some parts."""
    guessed = np.zeros(len(values))
    fold = np.searchsorted(np.unique(groups), groups) % min(FOLDS, len(np.unique(groups)))
    for number in np.unique(fold):
        out = fold == number
        guessed[out] = table[out] @ solve(table[~out], values[~out])
    return float(np.mean(np.abs(guessed - values) / (values + 1)))


def solve(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Non-negative coefficients with the least squared relative error."""
    weight = 1 / (values + 1)
    solution, _ = nnls(table * weight[:, None], values * weight)
    return np.asarray(solution)


def errors(values: np.ndarray, guessed: np.ndarray) -> dict[str, float]:
    """Relative errors in percent; one is added to both, as DSP blocks may be none."""
    off = 100 * np.abs(guessed - values) / (values + 1)
    return {
        "mean_error_percent": round(float(off.mean()), 2),
        "median_error_percent": round(float(np.median(off)), 2),
        "largest_error_percent": round(float(off.max()), 2),
    }


def by_size(values: np.ndarray, guessed: np.ndarray) -> list[dict[str, Any]]:
    """The errors of the smallest, the middle and the largest third."""
    thirds = np.array_split(np.argsort(values, kind="stable"), 3)
    return [{"from": float(values[one].min()), "to": float(values[one].max()), "runs": len(one),
             **errors(values[one], guessed[one])} for one in thirds]  # fmt: skip


def by_strategy(runs: Sequence[Run], values: np.ndarray, guessed: np.ndarray) -> dict[str, dict[str, Any]]:
    """The errors of each strategy alone, with how many designs and shapes it has."""
    rows = {}
    for strategy in sorted({one.layer.strategy for one in runs}):
        mine = np.array([one.layer.strategy == strategy for one in runs])
        kept = [one for one in runs if one.layer.strategy == strategy]
        counted = {"designs": len({one.design for one in kept}), "shapes": len({one.shape for one in kept})}
        rows[strategy] = {"runs": len(kept), **counted, **errors(values[mine], guessed[mine])}
    return rows


def widened(values: np.ndarray, guessed: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """How much wider than their quantile an interval must be, and how many runs it then holds, in percent: each run in
    the interval that the other shapes alone would give."""
    distances, held = np.abs(residuals(values, guessed)), 0.0
    for wider in WIDER:
        inside = 0
        for shape in np.unique(groups):
            most = wider * np.quantile(distances[groups != shape], TAIL)
            inside += int(np.sum(distances[groups == shape] <= most + ROUNDING))
        held = round(100 * inside / len(values), 1)
        if held >= HELD_PERCENT:
            return wider, held
    return WIDER[-1], held


def observed_sums(fit: dict[str, Any], networks: Sequence[Project]) -> list[dict[str, Any]]:
    """Dense layers of the networks whose layers are known, by the sum of the fits for layers that are not pruned, and
    by this times the part of the weights that is left."""
    rows = []
    for folder, (bits, pruned) in TAGGERS.items():
        one = next(project for project in networks if project.folder.endswith(folder))
        left = f"{100 * pruned:.0f} % pruned" if pruned else "not pruned"
        what = f"jet tagger 16-64-32-32-5, {bits}-bit weights, {left}"
        predicted = sum(raw(fit["resources"]["lut"]["coefficients"], layer) for layer in tagger_layers(bits))
        rows.append(observed("C synthesis LUT of dense layers", "sum of the fits of unpruned ones", what,
                             [one.dense["lut"] / predicted], 1))  # fmt: skip
        if pruned:
            rows.append(observed("C synthesis LUT of dense layers", "sum of the fits times the weights left", what,
                                 [one.dense["lut"] / predicted / (1 - pruned)], 1))  # fmt: skip
    return [{**row, "sum": True} for row in rows]


def quantiles(values: np.ndarray, guessed: np.ndarray) -> dict[str, float]:
    differences = residuals(values, guessed)
    return {str(part): round(float(np.quantile(differences, part)), 5) + 0.0 for part in QUANTILES}


def residuals(values: np.ndarray, guessed: np.ndarray) -> np.ndarray:
    """log((measured + 1) / (predicted + 1))."""
    return np.asarray(np.log((values + 1) / (guessed + 1)))


if __name__ == "__main__":
    main()
