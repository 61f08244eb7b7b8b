# SPDX-License-Identifier: Apache-2.0
"""What `generate` stored is read back as the type that its backend leaves, or refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.build import stored
from qap2fpga.hw.design import Artifact, Design
from qap2fpga.system.errors import QapError
from tests.support.vendor import hls_project, rtl_design


def record(artifact: Artifact, **changes: Any) -> dict[str, Any]:
    """What the stage leaves of it, with other fields."""
    fields = json.loads(json.dumps(asdict(artifact), default=str)) | {"folder": "made"}
    return {"backend": artifact.backend, "design": fields | changes}


def test_each_backend_gets_back_what_it_left(tmp_path: Path) -> None:
    design, project = rtl_design(tmp_path / "rtl"), hls_project(tmp_path / "hls")
    here = tmp_path / "made"
    assert stored.artifact(record(design), tmp_path) == stored.design(record(design), tmp_path)
    assert stored.design(record(design), tmp_path) == replace(design, folder=here)
    assert stored.artifact(record(project), tmp_path) == stored.project(record(project), tmp_path)
    assert stored.project(record(project), tmp_path) == replace(project, folder=here)


def test_c_is_no_hardware(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="what stage 'generate' stored is no hardware"):
        stored.design(record(hls_project(tmp_path)), tmp_path)


@pytest.mark.parametrize(("changes", "message"), [
    ({"folder": "../elsewhere"}, "names files outside of the build"),
    ({"sources": ["/etc/passwd"]}, "names files outside of the build"),
    ({"data": "weights.dat"}, "lists no files"),
    ({"top": "a b"}, "names no top module"),
    ({"interval_cycles": "4"}, "interval_cycles"),
    ({"probes": [{"layer": 0}]}, "layer"),
    ({"of_another_version": 1}, "unknown key 'design.of_another_version'"),
])  # fmt: skip
def test_what_is_damaged_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(QapError, match=message):
        stored.artifact(record(rtl_design(tmp_path), **changes), tmp_path)


@pytest.mark.parametrize("backend", [None, "hdl"])
def test_a_backend_that_is_none_is_refused(tmp_path: Path, backend: str | None) -> None:
    made = record(rtl_design(tmp_path))
    assert isinstance(stored.artifact(made, tmp_path), Design)
    with pytest.raises(QapError, match="unknown backend"):
        stored.artifact({**made, "backend": backend}, tmp_path)
