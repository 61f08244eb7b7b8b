# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoint files. `docs/formats.md` documents `model.pt`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from qap2fpga.frontend.checkpoint import stored, stored_graph
from qap2fpga.frontend.checkpoint.exported import Exported
from qap2fpga.frontend.checkpoint.load import load
from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec, check
from qap2fpga.frontend.checkpoint.stored import FORMAT, VERSION
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.system.errors import QapError


def read(path: Path, widths: Widths) -> Model:
    """Return the chain of dense layers in a file of `read_any`. Raises `QapError` where it is a graph."""
    model = read_any(path, widths)
    if isinstance(model, Exported):
        raise QapError(f"{path} holds a graph, not a chain of dense layers", "build it, or save a chain")
    return model


def read_any(path: Path, widths: Widths) -> Model | Exported:
    """Return the model in a `model.pt`, or in a state dict that somebody else's program wrote.

    Of a module that is no chain of dense layers it is the graph that `save` kept. Raises `QapError` for what is not a
    checkpoint, would run code, misses bit widths, or does not fit together.
    """
    content = load(path)
    if not isinstance(content, dict) or not content:
        raise QapError(f"{path}: holds a {type(content).__name__}, not a checkpoint", "save it with qap2fpga.save")
    stated = content.get("format")
    if isinstance(stated, str) and stated == FORMAT:
        if widths.weight or widths.activation:
            raise QapError("bit widths were given, but a model.pt has its own", "leave --bits and the like out")
        if stored.version_of(content, path, (VERSION, stored_graph.VERSION)) == stored_graph.VERSION:
            return stored_graph.parse(content, path)
        model = stored.parse(content, path)
        if widths.input and model.has_input_quantizer:
            raise QapError("--input-bits was given, but the model has its own input quantizer", "leave it out")
        return model
    if {"architecture", "quantizers"} <= content.keys():
        raise QapError(f"{path}: damaged: its format is not '{FORMAT}'", stored.AGAIN)
    # Others' files are torch's to read, which takes its time to import.
    from qap2fpga.frontend.checkpoint import state_dict as foreign

    state = foreign.unwrap(content, path)
    return check(foreign.parse(state, path, widths.weight, widths.activation, widths.input))


def with_input_quantizer(model: Model, bits: int, scale: float, signed: bool) -> Model:
    """Return the same model after an input quantizer of `bits` and one power-of-two `scale`."""
    quantizer = QuantSpec(bits, signed, False, np.asarray(scale, np.float32))
    note = f"the model has no input quantizer: one of {bits} bits with scale {scale:g} was put before it"
    taken, name = {op.name for op in model.ops}, "input"
    while name in taken:
        name += "_quantizer"
    ops = (Op(name, "quantize", quantizer=quantizer), *model.ops)
    return check(replace(model, ops=ops, notes=(*model.notes, note)))
