# SPDX-License-Identifier: Apache-2.0
"""Damaged `model.pt` files that hold a graph: each part that is not what it must be is named."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import qap2fpga
from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.system.errors import QapError
from tests.support.brevitas_modules import module
from tests.unit.frontend.test_checkpoint import dropped, put


@cache
def saved_bytes() -> bytes:
    network, rows = module("wave classifier")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        qap2fpga.save(network, rows, path, labels=[0] * len(rows))
        return path.read_bytes()


def saved(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "model.pt"
    path.write_bytes(saved_bytes())
    return path, torch.load(path, weights_only=True)


def test_the_file_is_plain_tensors(tmp_path: Path) -> None:
    _, content = saved(tmp_path)
    assert content["version"] == 2
    assert list(content) == ["format", "version", "graph", "masks", "example", "recording", "provenance"]
    model = onnx.load_model_from_string(content["graph"].numpy().tobytes())
    assert [node.name for node in model.graph.node][:3] == ["0", "1.weight_quant", "1"]
    assert list(content["recording"]["levels"]) == ["0", "3"]
    for node in model.graph.node:  # torch keeps where on the user's disk the source of a node stands
        assert node.doc_string == node.name
        assert not node.metadata_props


def test_a_chain_is_asked_for_by_name(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    with pytest.raises(QapError, match="holds a graph, not a chain of dense layers"):
        file.read(path, Widths())


WAVES = torch.ones(40, 2, 8)
DAMAGED: list[tuple[Callable[[Any], Any], str]] = [
    (put("version", 3), "format version 3, this program reads 1 and 2"),
    (put("graphs", WAVES), "damaged: unknown key 'graphs' in the file\n.*did you mean 'graph'"),
    (dropped("graph"), "damaged: 'graph' is missing"),
    (put("graph", b"graph"), "graph is a bytes, not a tensor"),
    (put("graph", WAVES), "damaged: graph is no list of bytes"),
    (put("graph", torch.zeros(0, dtype=torch.uint8)), "damaged: graph is no list of bytes"),
    (put("graph", torch.zeros(2, 2, dtype=torch.uint8)), "damaged: graph is no list of bytes"),
    (dropped("example", "inputs"), "damaged: 'inputs' is missing in example"),
    (put("example", "inputs", torch.ones(40)), r"the example input has shape \(40,\)"),
    (put("example", "inputs", WAVES[:0]), r"the example input has shape \(0, 2, 8\)"),
    (put("example", "inputs", WAVES * torch.nan), "the example input has NaN"),
    (put("example", "labels", torch.zeros(39, dtype=torch.int64)), r"labels of shape \(39,\) for 40"),
    (put("example", "labels", torch.full((40,), -1)), "or below 0"),
    (put("example", "labels", torch.zeros(40)), "not whole numbers"),
    (dropped("recording"), "damaged: 'recording' is missing"),
    (dropped("recording", "outputs"), "damaged: 'outputs' is missing in recording"),
    (put("recording", "levels", []), "damaged: recording.levels is a list, not a dictionary"),
    (put("recording", "levels", "0", 3), r"recording.levels\['0'\] is a int, not a tensor"),
    (put("recording", "levels", "0", torch.ones(41, 2, 8)), "torch was run on 40 rows, and gave 41 at 0"),
    (put("recording", "outputs", torch.ones(40, 3) * torch.inf), "what torch gave at the end has NaN or infinite"),
    (put("masks", "1", torch.ones(3, 2, 3)), r"masks\['1'\] is of type float32, not bool"),
    (put("provenance", {"x": WAVES}), "damaged: provenance holds a Tensor"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_what_is_damaged_is_named(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    path, content = saved(tmp_path)
    change(content)
    torch.save(content, path)
    with pytest.raises(QapError, match=message):
        file.read_any(path, Widths())


def bytes_of(model: Any) -> torch.Tensor:
    return torch.frombuffer(bytearray(model.SerializeToString()), dtype=torch.uint8)


def outside(content: Any) -> None:
    """A stored tensor that says that its values are in another file."""
    model = onnx.load_model_from_string(content["graph"].numpy().tobytes())
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="passwd")
    content["graph"] = bytes_of(model)


def unsupported(content: Any) -> None:
    model = onnx.load_model_from_string(content["graph"].numpy().tobytes())
    model.graph.node[-1].op_type = "Softsign"
    content["graph"] = bytes_of(model)


# What only its build can see.
WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (put("graph", torch.tensor([1, 2, 3], dtype=torch.uint8)), "damaged: its graph is not an ONNX file"),
    (put("graph", bytes_of(onnx.ModelProto(ir_version=9))), "its graph is not an ONNX file: it has no nodes"),
    (outside, "damaged: its graph has tensors in other files"),
    (unsupported, r"\(Softsign\) cannot be lowered"),
    (put("example", "inputs", torch.ones(40, 2, 9)), r"example inputs of shape \(2, 9\), the graph takes \(2, 8\)"),
    (put("masks", "there", torch.ones(2, 2) > 0), "damaged: a mask of there, which is no layer"),
    (put("recording", "levels", "there", WAVES), "torch gave values at there, which the graph has not"),
    (put("recording", "levels", "0", torch.ones(40, 2, 9)), r"rows of shape \(2, 9\) where the graph has \(2, 8\)"),
    (lambda content: content["recording"]["levels"]["3"].neg_(), "torch and the integer network differ"),
    (lambda content: content["recording"]["outputs"].add_(0.01), "torch and the integer network differ"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_fit_the_graph_ends_the_build(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    path, content = saved(tmp_path)
    change(content)
    torch.save(content, path)
    with pytest.raises(QapError, match=message):
        prepare(Source(path, Widths()), lambda line: None)
