# SPDX-License-Identifier: Apache-2.0
"""Operators that were renamed, and domains that were moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto, helper

from qap2fpga.frontend.dialects import spelling
from tests.support.onnx_graphs import prepared
from tests.unit.frontend.test_operators import network, node


def renamed(domain: str) -> ModelProto:
    model: ModelProto = network(node("Identity"))
    for one in model.graph.node[:2]:
        one.op_type, one.domain = "IntQuant", domain
    return model


@pytest.mark.parametrize("domain", ["qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"])
def test_int_quant_is_quant(domain: str, tmp_path: Path) -> None:
    mine, plain = prepared(renamed(domain), tmp_path), prepared(network(node("Identity")), tmp_path)
    assert (mine.lowered.layers[0].weights == plain.lowered.layers[0].weights).all()


def test_operators_of_others_are_left_alone() -> None:
    model = renamed("my.own")
    assert spelling.unified(model) == model
    model = renamed("")
    model.functions.append(helper.make_function("", "IntQuant", ["X"], ["Y"], [], []))
    assert spelling.unified(model) == model
