# SPDX-License-Identifier: Apache-2.0
"""What a network or its data does and nobody can have meant: notes for people, not errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qap2fpga.frontend.values import RawNode
from qap2fpga.ir.quantizer import InputQuantizer

MANY = 0.1  # of all values: a quantizer that was fitted to them clips far fewer
MOST = 0.5  # of a layer's weights that are not 0


def of_weights(layers: list[RawNode]) -> Iterator[str]:
    """Layers whose own quantizer makes 0 of most of the weights that are not."""
    for layer in layers:
        stored = 0 if layer.stored is None else layer.stored.nonzero_floats
        lost = stored - int(np.count_nonzero(layer.weights))
        if lost > MOST * stored:
            yield (
                f"layer {layer.name}: its quantizer makes 0 of {lost} of {stored} weights that are not 0;"
                " is its scale right?"
            )


def of_inputs(quantizer: InputQuantizer, rows: np.ndarray, integers: np.ndarray) -> Iterator[str]:
    """Recorded inputs, real `rows` and the `integers` of them, that the input's quantizer hardly tells apart."""
    levels = quantizer.high - quantizer.low + 1
    if not integers.size or levels <= 2 or quantizer.rounding == "SIGN":
        return
    seen = len(np.unique(integers))
    if seen <= 2 < len(np.unique(rows)):
        yield f"the recorded inputs fall on {seen} of the input quantizer's {levels} levels; are they scaled right?"
    steps = (rows.astype(np.float64) - np.asarray(quantizer.offset)) / np.asarray(quantizer.scale)
    beyond = float(((steps < quantizer.lows - 1) | (steps > quantizer.highs + 1)).mean())
    if beyond > MANY:
        yield f"{beyond:.0%} of the recorded inputs lie outside of the input quantizer's range and are clipped"
