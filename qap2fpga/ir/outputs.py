# SPDX-License-Identifier: Apache-2.0
"""What leaves the chip: the kinds of outputs, and their integers from the integer network alone."""

from __future__ import annotations

import numpy as np

from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError, nearest

OUTPUT_KINDS = ("logits", "values", "class", "accumulators")
# Those whose integers are worth the network's output scale.
IN_SCALE = ("logits", "values")


def check_output_kind(kind: str) -> None:
    """Raise `QapError` with the known ones for a `kind` that there is not."""
    if kind not in OUTPUT_KINDS:
        raise QapError(f"unknown output kind '{kind}'", nearest(kind, OUTPUT_KINDS))


def require_classes(kind: str, outputs: int, heads: int = 0) -> None:
    """Raise `QapError` if the number of a class is to leave the chip of a network that has none, or several."""
    if kind == "class" and heads:
        raise QapError(
            f"--output-kind class: the network has {heads} outputs, each of which could have its own class",
            "leave --output-kind out, or choose one with --model-output NAME",
        )
    if kind == "class" and outputs == 1:
        raise QapError(
            "--output-kind class: the network has one output, so its class would always be 0",
            "leave --output-kind out: the output's sign is exact, and it decides between two classes",
        )


def outputs(network: Graph, kind: str, vectors: np.ndarray) -> np.ndarray:
    """Integers (n, outputs) that leave the chip for input integers `vectors` (n, inputs).

    `kind`: 'logits' or 'values' (or the levels of a network that ends in a quantizer), 'class' (n, 1) the number of
    the largest, the first of equals, or 'accumulators': what the last requantizer takes.
    """
    if kind in IN_SCALE:
        return network.run(vectors)
    if kind == "class":
        return network.run(vectors).argmax(axis=1)[:, None]
    return network.result(network.end.sources[0], vectors)


def classes(kind: str, results: np.ndarray) -> np.ndarray:
    """Return the class (n,) that the chip's outputs (n, outputs) say."""
    return results[:, 0] if kind == "class" else results.argmax(axis=1)
