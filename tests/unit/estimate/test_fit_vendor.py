# SPDX-License-Identifier: Apache-2.0
"""The fit to published results, and the file that it wrote."""

from __future__ import annotations

import importlib
import itertools
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from qap2fpga.estimate import vendor
from qap2fpga.estimate.features import HLS4ML, Hls4mlLayer, hls4ml

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "flows" / "hls4ml" / "calibration.yaml"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/fit_vendor.py."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("fit_vendor")


def runs(script: ModuleType, lut: Any, inputs: tuple[int, ...] = (16, 32, 48, 64)) -> list[Any]:
    """Layers at reuse factor 64 whose LUTs are what `lut` says of their features."""
    layers = [Hls4mlLayer(n, m, b, 64, "resource") for n, m, b in itertools.product(inputs, (20, 40, 70), (2, 6, 12))]
    return [script.Run(layer, {name: lut(hls4ml(layer)) for name in (*script.RESOURCES, *script.CYCLES)})
            for layer in layers]  # fmt: skip


def shared(script: ModuleType) -> Any:
    return next(one for one in script.CONDITIONS if one.name == "shared multipliers")


def test_planted_coefficients_are_found(script: ModuleType) -> None:
    planted = runs(script, lambda of: 500 + 7 * of["accumulator_ways"] + 30 * of["outputs"])
    result = script.fitted("lut", shared(script), planted)
    assert result["coefficients"] == {"one": 500, "accumulator_ways": 7, "outputs": 30}
    assert result["cross_validation"]["largest_error_percent"] == 0
    assert set(result["cross_validation"]["log_residual_quantiles"].values()) == {0.0}
    assert result["interval"] == 0 and result["cross_validation"]["in_interval_percent"] == 100


def test_what_no_feature_explains_is_an_error_that_is_told(script: ModuleType) -> None:
    """One shape is twice as large as the others: only leaving it out whole shows that."""

    def odd(of: dict[str, float]) -> float:
        return 7 * of["accumulator_ways"] * (2 if of["inputs"] == 64 and of["outputs"] == 70 else 1)

    whole = script.fitted("lut", shared(script), runs(script, odd))
    result = whole["cross_validation"]
    assert 40 < result["largest_error_percent"] < 60
    assert result["log_residual_quantiles"]["0.99"] == pytest.approx(math.log(2), abs=0.2)
    assert result["in_interval_percent"] == 91.7 and result["interval_widened_by"] == script.WIDER[-1], "3 of 36 runs"


def test_an_interval_holds_the_runs_of_shapes_that_it_knows_nothing_of(script: ModuleType) -> None:
    """The residuals of one shape are 0.1, of the other 0.14: 1.5 times the first holds the second, 1.25 times not."""
    guessed = np.full(40, 99.0)
    values = 100 * np.exp(np.repeat([0.1, 0.14], 20)) - 1
    assert script.widened(values, guessed, np.repeat([0, 1], 20)) == (1.5, 100.0)
    assert script.widened(values, guessed, np.tile([0, 1], 20)) == (1.0, 100.0), "known shapes need no more"


def test_fewer_than_thirty_designs_are_not_fitted(script: ModuleType) -> None:
    few = runs(script, lambda of: of["outputs"], inputs=(16, 32, 48))
    assert len(few) == 27
    with pytest.raises(SystemExit, match="27 independent designs are too few"):
        script.fitted("lut", shared(script), few * 2)


def test_the_shipped_file_is_honest(script: ModuleType) -> None:
    content = yaml.safe_load(SHIPPED.read_text())
    assert content["schema"] == script.SCHEMA
    for fit in content["fits"]:
        assert fit["designs"] >= script.LEAST_DESIGNS
        assert fit["runs"] >= fit["designs"] >= fit["shapes"]
        for resource in fit["resources"].values():
            assert set(resource["coefficients"]) <= set(HLS4ML)
            checked = resource["cross_validation"]
            parts = checked["log_residual_quantiles"]
            assert list(parts.values()) == sorted(parts.values())
            assert checked["in_interval_percent"] >= script.HELD_PERCENT
            assert resource["interval"] >= checked["interval_widened_by"] * parts["0.95"] - 1e-4
            assert sum(part["runs"] for part in checked["by_strategy"].values()) == fit["runs"]
            assert sum(part["runs"] for part in checked["by_size"]) == fit["runs"]
            assert checked["largest_error_percent"] == max(part["largest_error_percent"] for part in checked["by_size"])
    fitted = {(strategy, fit["range"]["reuse_factor"][0] > 1, name) for fit in content["fits"]
              for strategy in fit["strategies"] for name in fit["resources"]}  # fmt: skip
    assert ("latency", False, "ff") not in fitted and ("latency", True, "lut") not in fitted, "27 designs only"
    assert not any("coefficients" in one for one in content["observed"])


def test_the_shipped_file_follows_from_the_results(script: ModuleType, real_data: Path) -> None:
    """Rounded as it is written, whatever the versions of numpy and scipy."""
    result, shipped = yaml.safe_load(script.text(script.calibration(real_data))), yaml.safe_load(SHIPPED.read_text())
    result["tools"] = shipped["tools"]
    assert result == shipped


def test_shipped_predictions_of_real_layers(script: ModuleType, real_data: Path) -> None:
    """The interval holds nearly all runs, those of each strategy too."""
    content = yaml.safe_load(SHIPPED.read_text())
    every, _ = script.read_tables(real_data / "tables")
    for fit, condition in zip(content["fits"], script.CONDITIONS, strict=True):
        for strategy in condition.strategies:
            chosen = condition.chosen(every, [strategy])
            for name, resource in fit["resources"].items():
                values = np.array([one.measured[name] for one in chosen])
                predicted = np.array([vendor.raw(resource["coefficients"], one.layer) for one in chosen])
                inside = np.abs(np.log((values + 1) / (predicted + 1))) <= resource["interval"] + 1e-4
                assert inside.mean() > 0.95, (condition.name, strategy, name)


def test_whole_networks_are_too_few_to_predict_from(script: ModuleType, real_data: Path) -> None:
    data = importlib.import_module("vendor_data")
    result = data.projects(real_data)
    assert len(result) == 15 and len({one.network for one in result}) == 9 < script.LEAST_DESIGNS
    one = next(one for one in result if one.folder.endswith("model_1/hls4ml_prj"))
    # Read by eye: 18526 + 36592 + 22106 + 3428 LUTs of dense layers; 84942 in all, of which the softmax has 664.
    assert one.dense["lut"] == 80652 and one.total["lut"] == 84278
    assert all(one.total["lut"] > one.dense["lut"] for one in result)
