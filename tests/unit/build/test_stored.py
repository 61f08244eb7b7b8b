# SPDX-License-Identifier: Apache-2.0
"""What `generate` stored is read back as the type that its backend leaves, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.backends.rtl.estimate import LayerEstimate
from qap2fpga.build import stored
from qap2fpga.hw.design import Artifact, Design, NodeEstimate, Probe, Trace
from qap2fpga.ir import shown
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError
from tests.support.vendor import hls_project, rtl_design

NODES = (
    LayerEstimate(
        name="u_l0", layer="fc1", weights=6, multiplications=4, adders=3, stages=2, requantizers={"table": 1},
        estimate={"lut": 7, "dsp": None}, features={"lut": {"carry": 2}, "ff": {"flip_flops": 4.5}},
    ),
    NodeEstimate(name="rtl_design", layer="", estimate={"lut": 2}, features={"lut": {"handshake": 1}, "ff": {}}),
)  # fmt: skip


def record(artifact: Artifact, **changes: Any) -> dict[str, Any]:
    """What the stage leaves of it, with other fields."""
    fields = json.loads(json.dumps(stored.fields(artifact, artifact.folder.parent)))
    return {"backend": artifact.backend, "design": fields | {"folder": "made"} | changes}


def test_each_backend_gets_back_what_it_left(tmp_path: Path) -> None:
    design = replace(
        rtl_design(tmp_path / "rtl"), nodes=NODES, estimate={"lut": 7, "dsp": None}, folding={"MVAU_rtl_0": {"PE": 1}},
        details={"padded": ["fc1"]}, probes=(Probe("fc1", "u_l0.y", ((4, True), (3, False)), cycles=2),),
    )  # fmt: skip
    project = hls_project(tmp_path / "hls", configs={"fc1": "config2"}, traces=(Trace("dense0", "fc1", 3),))
    here = tmp_path / "made"
    assert stored.artifact(record(design), tmp_path) == stored.design(record(design), tmp_path)
    # Of the parts it knows what all parts have, and keeps the rest.
    read = stored.design(record(design), tmp_path)
    assert replace(read, nodes=()) == replace(design, folder=here, nodes=())
    assert stored.artifact(record(project), tmp_path) == stored.project(record(project), tmp_path)
    assert stored.project(record(project), tmp_path) == replace(project, folder=here)


def test_what_a_node_is_beyond_any_node_is_kept(tmp_path: Path) -> None:
    kept = record(replace(rtl_design(tmp_path), nodes=NODES))
    nodes = kept["design"]["nodes"]
    assert [tuple(node) for node in nodes] == [
        ("name", "layer", "weights", "multiplications", "adders", "stages", "requantizers", "estimate", "features"),
        ("name", "layer", "estimate", "features"),
    ]  # fmt: skip
    assert [encode(node) for node in stored.artifact(kept, tmp_path).nodes] == nodes


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
    ({"nodes": [{"name": "u_l0"}]}, "layer' is missing"),
    ({"nodes": [{"name": "u_l0", "layer": "fc1", "estimate": {"lut": "7"}}]}, "estimate.lut = '7'"),
    ({"folding": {"MVAU_rtl_0": {"PE": "all"}}}, "folding.MVAU_rtl_0.PE = 'all'"),
    ({"of_another_version": 1}, "unknown key 'design.of_another_version'"),
])  # fmt: skip
def test_what_is_damaged_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(QapError, match=message):
        stored.artifact(record(rtl_design(tmp_path), **changes), tmp_path)


@pytest.mark.parametrize("backend", [None, "hdl"])
def test_a_backend_that_is_none_is_refused(tmp_path: Path, backend: str | None) -> None:
    result = record(rtl_design(tmp_path))
    assert isinstance(stored.artifact(result, tmp_path), Design)
    with pytest.raises(QapError, match="unknown backend"):
        stored.artifact({**result, "backend": backend}, tmp_path)


def test_a_frame_is_handed_on_from_the_model(tmp_path: Path) -> None:
    frame = {"height": 2, "width": 2, "channels": 3, "model": [3, 2, 2], "parts": [3, 4], "moves": [1, 0]}
    expected = shown.frame((2, 2, 3), (3, 2, 2), ((3, 1), (4, 3)))
    assert stored.frame({"facts": {"frame": frame}}, tmp_path) == expected
    assert stored.frame({"facts": {}}, tmp_path) is None
    with pytest.raises(QapError, match=r"facts\.frame"):
        stored.frame({"facts": {"frame": frame | {"moves": "right"}}}, tmp_path)
