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

from qap2fpga.predict.features import HLS4ML, Hls4mlLayer, hls4ml

ROOT = Path(__file__).parent.parent
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
    found = script.fitted("lut", shared(script), planted)
    assert found["coefficients"] == {"one": 500, "accumulator_ways": 7, "outputs": 30}
    assert found["cross_validation"]["largest_error_percent"] == 0
    assert set(found["cross_validation"]["log_residual_quantiles"].values()) == {0.0}


def test_what_no_feature_explains_is_an_error_that_is_told(script: ModuleType) -> None:
    """One shape is twice as large as the others: only leaving it out whole shows that."""

    def odd(of: dict[str, float]) -> float:
        return 7 * of["accumulator_ways"] * (2 if of["inputs"] == 64 and of["outputs"] == 70 else 1)

    found = script.fitted("lut", shared(script), runs(script, odd))["cross_validation"]
    assert 40 < found["largest_error_percent"] < 60
    assert found["log_residual_quantiles"]["0.99"] == pytest.approx(math.log(2), abs=0.2)


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
            assert sum(part["runs"] for part in checked["by_size"]) == fit["runs"]
            assert checked["largest_error_percent"] == max(part["largest_error_percent"] for part in checked["by_size"])
    fitted = {(strategy, fit["range"]["reuse_factor"][0] > 1, name) for fit in content["fits"]
              for strategy in fit["strategies"] for name in fit["resources"]}  # fmt: skip
    assert ("latency", False, "ff") not in fitted and ("latency", True, "lut") not in fitted, "27 designs only"
    assert not any("coefficients" in one for one in content["observed"])


def test_the_shipped_file_follows_from_the_results(script: ModuleType, real_data: Path) -> None:
    """Rounded as it is written, whatever the versions of numpy and scipy."""
    found, shipped = yaml.safe_load(script.text(script.calibration(real_data))), yaml.safe_load(SHIPPED.read_text())
    found["tools"] = shipped["tools"]
    assert found == shipped


def test_shipped_predictions_of_real_layers(script: ModuleType, real_data: Path) -> None:
    """A loader's arithmetic: the sum, and the interval from the quantiles, which holds nearly all runs."""
    content = yaml.safe_load(SHIPPED.read_text())
    every, _ = script.read_tables(real_data / "tables")
    for fit, condition in zip(content["fits"], script.CONDITIONS, strict=True):
        chosen = condition.chosen(every)
        for name, resource in fit["resources"].items():
            values = np.array([one.measured[name] for one in chosen])
            told = np.array([sum(value * hls4ml(one.layer)[feature] for feature, value in
                                 resource["coefficients"].items()) for one in chosen])  # fmt: skip
            parts = resource["cross_validation"]["log_residual_quantiles"]
            low, high = ((told + 1) * math.exp(parts[part]) - 1 for part in ("0.01", "0.99"))
            inside = np.mean((values >= low - 1e-2) & (values <= high + 1e-2))
            assert inside > 0.9, (condition.name, name)
