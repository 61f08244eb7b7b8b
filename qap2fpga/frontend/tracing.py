# SPDX-License-Identifier: Apache-2.0
"""What Brevitas exports of any module."""

from __future__ import annotations

import os
import re
import tempfile
from copy import deepcopy

import onnx
import torch
from onnx import ModelProto

from qap2fpga.system.quiet import quiet

with quiet():
    from brevitas.export import export_qonnx

from qap2fpga.frontend.external import first_line
from qap2fpga.system.errors import QapError


def export_module(module: torch.nn.Module, example: torch.Tensor) -> ModelProto:
    """Return what Brevitas exports of any `module`, run on the first row of `example`. The module stays as it is.

    Raises `QapError` with Brevitas' or torch's reason where they cannot export it.
    """
    try:
        with quiet():
            return traced(deepcopy(module), example[:1])
    except Exception as error:  # the two raise whatever they meet
        operator = re.search(r"operator '(\S+?)'", str(error))
        why = f"{operator[1]} has no ONNX form" if operator else first_line(error)
        hint = "use layers of brevitas.nn, and quantizers with a fixed bit width; loops and branches on values are lost"
        raise QapError(f"Brevitas cannot export the module: {why}", hint) from error


def traced(module: torch.nn.Module, example: torch.Tensor) -> ModelProto:
    """Return what Brevitas exports of `module` as torch traces it, which takes a tenth of the time of its other way."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        export_qonnx(module, example, path, dynamo=False)
        return onnx.load(path)
