# SPDX-License-Identifier: Apache-2.0
"""What a design must put out, from the integer network alone."""

from __future__ import annotations

import numpy as np

from qap2fpga.network import IntegerNetwork
from qap2fpga.request import IN_SCALE


def outputs(network: IntegerNetwork, kind: str, vectors: np.ndarray) -> np.ndarray:
    """Integers (n, outputs) that leave the chip for input integers `vectors` (n, inputs).

    `kind`: 'logits' or 'values' (or the levels of a network that ends in a quantizer), 'class' (n, 1) the number of
    the largest, the first of equals, or 'accumulators' of the last layer.
    """
    if kind in IN_SCALE:
        return network.run(vectors)
    if kind == "class":
        return network.run(vectors).argmax(axis=1)[:, None]
    hidden = network.trace(vectors)[-2] if len(network.layers) > 1 else vectors.astype(np.int64)
    return network.layers[-1].accumulate(hidden)


def classes(kind: str, found: np.ndarray) -> np.ndarray:
    """The class (n,) that the chip's outputs (n, outputs) say."""
    return found[:, 0] if kind == "class" else found.argmax(axis=1)
