# SPDX-License-Identifier: Apache-2.0
"""A chain of layers as Brevitas computes it; as a program, for one chain after the other that `torch_run` asks for.

Chains and values are pickles that `torch_run` and this program write for each other.
"""

from __future__ import annotations

import os
import pickle
import sys
from types import ModuleType

import numpy as np

from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.torch_run import TorchValues

if __name__ == "__main__":
    # torch's compiler takes as long to load as the rest of torch. Brevitas loads it to ask whether it compiles, and to
    # keep it off two functions; in this process nothing is ever compiled.
    compiler = ModuleType("torch._dynamo")
    compiler.is_compiling = lambda: False  # type: ignore[attr-defined]
    compiler.disable = lambda function: function  # type: ignore[attr-defined]
    sys.modules[compiler.__name__] = compiler

import torch

from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.system.quiet import quiet


def values(model: Model, rows: np.ndarray) -> TorchValues:
    """Return what torch gives for real `rows` (n, inputs)."""
    entered, quantized = [], []
    with quiet():
        module = build(model)
    with torch.no_grad():
        value = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
        for layer in module:
            if hasattr(layer, "quant_weight"):
                entered.append(value.numpy())
            value = layer(value)
            value = value.value if hasattr(value, "value") else value
            if hasattr(layer, "act_quant"):
                quantized.append(value.numpy())
    return TorchValues(entered, quantized, value.numpy())


def _main() -> None:
    """Answer what comes on the standard input on the standard output, until there is no more."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # for whatever prints
        while True:
            try:
                model, rows = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(values(model, rows), answers)
            answers.flush()


if __name__ == "__main__":
    _main()
