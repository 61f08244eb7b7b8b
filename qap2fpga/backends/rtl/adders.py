# SPDX-License-Identifier: Apache-2.0
"""Matrix times vector without multipliers: a graph of shared two-operand adders, and its proof.

Every node's coefficients over the inputs are added up as integers, and each output's must be the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.tensors import Range
from qap2fpga.system.errors import CheckFailed

# What is named where integers are too wide.
GRAPH = "an adder graph"


@dataclass(frozen=True)
class Adder:
    """`left_sign * node[left] + right_sign * (node[right] << shift)`; nodes count the inputs first."""

    left: int
    right: int
    shift: int
    left_sign: int
    right_sign: int


@dataclass(frozen=True)
class Output:
    """`accumulator = sign * (node << shift) * factor`: how an output follows from a node.

    A negative `shift` takes low bits away that are always zero. Factor 0: the accumulator is always 0.
    """

    node: int
    shift: int
    sign: int
    factor: int = 1


@dataclass(frozen=True)
class AdderGraph:
    """`adders` in order; one `Output` a column of the weights."""

    inputs: int
    adders: tuple[Adder, ...]
    outputs: tuple[Output, ...]

    def coefficients(self) -> np.ndarray:
        """Coefficients (nodes, inputs) of every node over the inputs."""
        sums = [((one.left, one.left_sign), (one.right, one.right_sign << one.shift)) for one in self.adders]
        return exact.coefficients(self.inputs, sums, GRAPH)

    def ranges(self, low: np.ndarray, high: np.ndarray) -> list[tuple[int, int]]:
        """Reachable (low, high) of every node when input i lies in `low[i]..high[i]`."""
        return Range(*exact.matmul_range(low, high, self.coefficients().T, GRAPH)).ends

    def prove(self, weights: np.ndarray, name: str) -> None:
        """Raise `CheckFailed` naming layer `name` and the output if a column of `weights` is not what is computed."""
        nodes = self.coefficients()
        for column, output in enumerate(self.outputs):
            down = max(-output.shift, 0)
            factor = output.sign * output.factor << max(output.shift, 0)
            sums = exact.multiply_add(nodes[output.node], factor, 0, f"layer {name}")
            if (sums != exact.shifted(weights[:, column], down, f"layer {name}")).any():
                raise CheckFailed(f"layer {name}, channel {column}: the adder graph computes other weights")


def pruned(graph: AdderGraph) -> AdderGraph:
    """Without the adders that no output needs."""
    needed: set[int] = set()
    todo = [output.node for output in graph.outputs]
    while todo:
        node = todo.pop()
        if node < graph.inputs or node in needed:
            continue
        needed.add(node)
        adder = graph.adders[node - graph.inputs]
        todo += [adder.left, adder.right]
    order = {node: graph.inputs + place for place, node in enumerate(sorted(needed))}
    order |= {node: node for node in range(graph.inputs)}
    adders = tuple(
        Adder(order[one.left], order[one.right], one.shift, one.left_sign, one.right_sign)
        for one in (graph.adders[node - graph.inputs] for node in sorted(needed))
    )
    outputs = tuple(Output(order[one.node], one.shift, one.sign, one.factor) for one in graph.outputs)
    return AdderGraph(graph.inputs, adders, outputs)


def signed_digits(weights: np.ndarray) -> np.ndarray:
    """Return the non-zero digits of every weight in non-adjacent form: the one bits of w xor 3w."""
    magnitude = np.abs(weights).astype(np.int64)
    return np.bitwise_count(magnitude ^ (3 * magnitude)).astype(np.int64)
