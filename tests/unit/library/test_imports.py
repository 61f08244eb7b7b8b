# SPDX-License-Identifier: Apache-2.0
"""Results of other tools in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import qap2fpga
from qap2fpga.system.errors import QapError
from tests.support.result_folders import csynth


def test_reports_of_other_tools_are_builds(tmp_path: Path) -> None:
    csynth(tmp_path / "results" / "csynth.xml", lut=1234)
    (one,) = qap2fpga.import_reports(tmp_path / "results", board="pynq-z2", output=tmp_path / "out", quiet=True)
    assert (one.path, one.resources[0]["used"], one.resources[0]["stage"]) == (tmp_path / "out", 1234, "hls")
    assert one.passed
    assert qap2fpga.open_build(tmp_path / "out").report == one.report
    with pytest.raises(QapError, match="there is no build of a model in"):
        one.run([[0.0]])


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QapError):
        qap2fpga.import_reports(tmp_path, quiet=True)
