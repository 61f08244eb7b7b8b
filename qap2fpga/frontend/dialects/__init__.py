# SPDX-License-Identifier: Apache-2.0
"""Graphs of other dialects in the one that is read later: with Quant nodes that give exactly the same integers."""

from __future__ import annotations

from onnx import ModelProto

from qap2fpga.frontend.dialects import finn, qcdq, rows, spelling, windows

STEPS = (
    spelling.unified,
    qcdq.as_quantizers,
    finn.as_quantizers,
    windows.as_convolutions,
    finn.without_types,
    rows.counted,
)


def normalised(model: ModelProto) -> ModelProto:
    """Return `model`, whose tensors are in it, in QONNX's dialect. Raises `QapError` where that is not exactly it."""
    for step in STEPS:
        model = step(model)
    return model
