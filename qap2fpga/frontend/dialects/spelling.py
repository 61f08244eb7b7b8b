# SPDX-License-Identifier: Apache-2.0
"""One name for each operator: what exporters of all years called the same, under other domains, is the same here."""

from __future__ import annotations

from onnx import ModelProto

from qap2fpga.frontend.operators import OF_QONNX, QONNX_DOMAIN, QUANT_DOMAINS, REWRITTEN

SYNONYMS = {"IntQuant": "Quant"}


def unified(model: ModelProto) -> ModelProto:
    """Return `model` with qonnx's operators under qonnx's domain and by their usual names.

    What a file defines itself under one of these names is left alone: the survey refuses it.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    own = {function.name for function in model.functions}
    for node in copy.graph.node:
        name = SYNONYMS.get(node.op_type, node.op_type)
        if name in (*OF_QONNX, *REWRITTEN) and node.domain in QUANT_DOMAINS and node.op_type not in own:
            node.op_type, node.domain = name, QONNX_DOMAIN
    return copy
