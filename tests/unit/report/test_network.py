# SPDX-License-Identifier: Apache-2.0
"""A network that is a graph, on the terminal and on the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.ir import described, shown
from qap2fpga.report import csynth, gather, network, page
from qap2fpga.report.schema import Report
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError
from tests.support import reports
from tests.support.graphs import residual, small_cnn

PORTS = ("input", "output")


def image() -> Report:
    """A build of a small CNN, as far as its network goes."""
    tree: dict[str, Any] = reports.finished()
    graph = small_cnn()
    frame = shown.frame((6, 5, 2), (2, 6, 5), ((2, 1), (30, 2)))
    tree["model"] |= {"nodes": [encode(node) for node in described.nodes(graph)], "frame": encode(frame)}
    tree["model"]["layers"][0] |= {"kind": "conv", "positions": 30}
    ports = {name: {"name": name, "elements": 60, "bits": 3, "signed": True, "beats": 30, "lanes": 2} for name in PORTS}
    tree["interface"] = ports
    tree["timing"]["interval_cycles"] |= {"predicted": 30, "measured": 30}
    return reports.read(tree)


def test_a_quantizer_stands_with_the_node_that_it_alone_reads() -> None:
    model = image().model
    assert model is not None
    assert [(line.name, line.what, line.takes, line.gives, line.bits) for line in network.lines(model)] == [
        ("in", "6x5 image of 2 channels", "", "6x5x2", "3 signed"),
        ("conv1", "conv 3x3, pads 1, 18x3 weights, quantized", "in", "6x5x3", "2 unsigned"),
        ("pool", "largest of 2x2, stride 2", "conv1", "3x2x3", "2 unsigned"),
        ("conv2", "conv 2x2, 12x2 weights, quantized", "pool", "2x1x2", "2 unsigned"),
        ("dense", "dense, 4x4 weights, logits", "conv2", "1x1x4", f"{model.nodes[-1].bits} signed"),
    ]


def test_a_quantizer_beside_other_readers_stands_alone() -> None:
    model = image().model
    assert model is not None
    branched = replace(model, nodes=described.nodes(residual()))
    lines = {line.name: line for line in network.lines(branched)}
    assert lines["add"].takes == "conv, in" and lines["add"].what.endswith(", quantized")
    assert lines["both"].takes == "pool, mean" and lines["pool"].takes == "add" and lines["mean"].takes == "conv"
    fork = [replace(node, sources=("conv",)) if node.name == "b" else node for node in branched.nodes]
    alone = {line.name for line in network.lines(replace(branched, nodes=tuple(fork)))}
    assert {"conv", "a", "b"} <= alone, "two read the sums"


def test_text() -> None:
    text = reports.shown(encode(image()))
    assert "input   6x5 image of 2 channels, of the model's rows (n, 2, 6, 5)" in text
    assert "hardware takes it row by row" in text and "times used" in text
    assert "conv 2x2, 12x2 weights, quantized" in text and "equation 1 times positions" in text
    assert "Parts" in text and "30 beats of 2 values take one each at least" in text
    dense = reports.shown(reports.finished())
    assert not any(word in dense for word in ("Network", "Parts", "times used", "beats of"))


def test_page(tmp_path: Path) -> None:
    folder = tmp_path / "cnn"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(encode(image())))
    text = page.render(gather.gather([folder]), tmp_path)
    assert "6x5 image of 2 channels, of the model&#39;s rows (n, 2, 6, 5)" in text
    assert "<td>conv 2x2, 12x2 weights, quantized</td><td>pool</td><td>2x1x2</td>" in text
    assert "16×64 at 30" in text and "The interval is in cycles per frame" in text


def test_multiplications_are_known_by_name() -> None:
    """A pool that sums has products in C++ too, and of a layer nothing may be left."""
    tree: Any = encode(image())
    pool = {"layer": "mean", "how": "a loop", "after_compaction": 4, "in_source": 4, "multipliers": None}
    tree["design"]["layers"] = [pool]
    assert reports.row(reports.shown(tree).split("Multiplications")[1], "fc1") == ["1,024", "205", "–", "–", "–"]
    tree["design"]["layers"].append(pool | {"layer": "fc1", "in_source": 205})
    assert reports.row(reports.shown(tree).split("Multiplications")[1], "fc1") == ["1,024", "205", "4", "205", "–"]


def test_bit_operations_without_a_row_are_named() -> None:
    model = image().model
    assert model is not None and network.additions(model) == ""
    more = replace(model, bops=replace(model.bops, paper=model.bops.paper + 288))
    assert network.additions(more) == "288 of the total are additions of pools and signs"
    assert network.additions(replace(more, nodes=())) == ""


def test_c_synthesis_of_a_pool_that_sums() -> None:
    """It has products in C++, and no row among the layers."""
    tree: Any = encode(image())
    layer: Any = {"name": "pool", "layer": "pool", "config": "config5", "predictions": {}}
    layer |= {"outside": [], "missing": {}, "calibrated": False}
    tree["predictions"].append({"circuit": "hls4ml", "what": "csynth", "stage": "estimate", "layers": [layer],
                                "total": {}, "errors": [], "observed": []})  # fmt: skip
    assert csynth.rows(reports.read(tree))[0].layer == "pool"
    layer["layer"] = "strange"
    with pytest.raises(QapError, match="a prediction is of layer 'strange', which the model has not"):
        reports.read(tree)


def test_why_an_interval_is_longer_than_its_beats() -> None:
    report = image()
    assert report.timing is not None
    assert "the rest" not in network.interval(report)
    cycles = replace(report.timing.interval_cycles, measured=31.0)
    slow = replace(report, timing=replace(report.timing, interval_cycles=cycles))
    assert network.interval(slow).endswith("the slowest part takes the rest")
    assert network.interval(replace(report, timing=None)) == network.interval(replace(report, interface=None)) == ""


def test_a_frame_that_contradicts_itself_is_refused() -> None:
    tree: dict[str, Any] = encode(image())
    tree["model"]["frame"]["model"] = [2, 6, 6]
    with pytest.raises(QapError, match="is no frame of 60 values"):
        reports.read(tree)
