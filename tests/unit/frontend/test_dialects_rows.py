# SPDX-License-Identifier: Apache-2.0
"""Inputs without a dimension that counts rows, with a fixed one, and with one that is not known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from qap2fpga.frontend import onnxfile
from qap2fpga.frontend.dialects import rows
from qap2fpga.system.errors import QapError
from tests.support.onnx_graphs import prepared, qcdq, streamlined, values
from tests.unit.frontend.test_operators import network, node

ROWS = np.random.default_rng(2).uniform(-2, 2, (30, 5)).astype(np.float32)
MAKERS: dict[str, Callable[[], ModelProto]] = {
    "QONNX": lambda: network(node("Identity")), "QCDQ": qcdq, "FINN": streamlined,
}  # fmt: skip


def with_input(one: ModelProto, *dims: int | str) -> ModelProto:
    shape = one.graph.input[0].type.tensor_type.shape
    del shape.dim[:]
    for dim in dims:
        shape.dim.add(**({"dim_value": dim} if isinstance(dim, int) else {"dim_param": dim}))
    return one


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("first", [(), (7,), ("N",), ("",)], ids=str)
def test_rows_are_what_they_are_with_one_row(name: str, first: tuple[int | str, ...], tmp_path: Path) -> None:
    make = MAKERS[name]
    features = make().graph.input[0].type.tensor_type.shape.dim[1].dim_value
    mine = prepared(with_input(make(), *first, features), tmp_path)
    some = ROWS[:, :features]
    assert (values(mine, some) == values(prepared(make(), tmp_path), some)).all()


@pytest.mark.parametrize("operator", ["Flatten", "Softmax", "Transpose"])
def test_an_operator_that_minds(operator: str, tmp_path: Path) -> None:
    one = with_input(network(node(operator)), 4)
    assert rows.counted(one) is one
    (tmp_path / "net.onnx").write_bytes(one.SerializeToString())
    with pytest.raises(QapError, match="no batch dimension"):
        onnxfile.load(tmp_path / "net.onnx")


def test_a_constant_that_is_multiplied_with_the_signal() -> None:
    one = with_input(network(node("MatMul", "w2"), w2=np.ones((3, 3), np.float32)), 4)
    assert rows.counted(one) is not one
    one.graph.node[-1].input[:] = ["w2", "h"]
    assert rows.counted(one) is one
