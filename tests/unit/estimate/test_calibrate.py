# SPDX-License-Identifier: Apache-2.0
"""A calibration is made and confirmed with the designs of one generator."""

from __future__ import annotations

import pytest
import yaml

from qap2fpga.estimate import calibrate, campaign, fit
from qap2fpga.system.errors import QapError
from qap2fpga.system.workers import Workers
from tests.support.measured import fitted, lines


def test_designs_of_other_hardware_are_not_mixed_in(tmp_path, monkeypatch):
    """Code that changed and makes the same hardware keeps the designs; code that makes other hardware does not."""
    monkeypatch.setattr(campaign, "run", lambda *_, **__: lines())
    monkeypatch.setattr(campaign, "with_expectations", lambda lines, workers: lines)
    monkeypatch.setattr(campaign, "expectations", lambda backend, over: "4567")

    def now(code: str, hardware: str) -> dict:
        monkeypatch.setattr(calibrate, "fingerprint", lambda backend: code)
        monkeypatch.setattr(fit, "fingerprint", lambda backend: code)
        monkeypatch.setattr(campaign, "specimens", lambda backend, processes, over: hardware)
        return calibrate.calibrate("rtl", 120, 0, 1, Workers(1), tmp_path, lambda text: None)

    content = now("one", "same")
    assert (tmp_path / "calibration.yaml").is_file() and (tmp_path / "rtl.svg").stat().st_size > 1000
    text = (tmp_path / "rtl.md").read_text()
    assert f"{content['designs']['fitted']} random designs were fitted" in text
    again = now("two", "same")
    assert (again["fingerprint"], again["specimens"]) == ("two", "same")
    with pytest.raises(QapError, match="older generator"):
        now("three", "other")
    with pytest.raises(QapError, match="over 'imges' can be drawn"):
        calibrate.calibrate("rtl", 120, 0, 1, Workers(1), tmp_path, print, "imges")
    with pytest.raises(QapError, match="designs of jet size are over vectors"):
        calibrate.calibrate("rtl", 120, 2, 1, Workers(1), tmp_path, print, "images")


def test_a_calibration_over_images_is_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "run", lambda *_, **__: lines())
    monkeypatch.setattr(campaign, "with_expectations", lambda lines, workers: lines)
    monkeypatch.setattr(campaign, "expectations", lambda backend, over: over)
    monkeypatch.setattr(campaign, "specimens", lambda backend, processes, over: over)
    content = calibrate.calibrate("rtl", 120, 0, 1, Workers(1), tmp_path, print, "images")
    assert content == yaml.safe_load((tmp_path / "calibration-images.yaml").read_text())
    assert (content["over"], content["specimens"], content["expected"]) == ("images",) * 3
    assert content["command"].endswith("--over images")
    # Bit operations count every position, hardware is there once.
    assert content["lut_per_bop"] is None
    assert "(rtl-images.svg)" in (tmp_path / "rtl-images.md").read_text()
    assert (tmp_path / "rtl-images.svg").is_file()


def test_a_calibration_is_confirmed_by_the_hardware_and_what_is_expected_of_it(tmp_path, monkeypatch):
    path = tmp_path / "calibration.yaml"
    content, _ = fitted()
    calibrate._write(content | {"fingerprint": "of older code"}, path)
    before = path.read_bytes()
    for measured, wanted in (("changed", "4567"), ("0123", "changed")):
        monkeypatch.setattr(campaign, "specimens", lambda backend, processes, over, found=measured: found)
        monkeypatch.setattr(campaign, "expectations", lambda backend, over, found=wanted: found)
        assert not calibrate.confirm("rtl", Workers(1), path) and path.read_bytes() == before
    monkeypatch.setattr(campaign, "expectations", lambda backend, over: "4567")
    assert calibrate.confirm("rtl", Workers(1), path)
    assert yaml.safe_load(path.read_text()) == content
    with pytest.raises(QapError, match="there is no"):
        calibrate.confirm("rtl", Workers(1), tmp_path / "none.yaml")
