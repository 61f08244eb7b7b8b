# SPDX-License-Identifier: Apache-2.0
"""Matrix times vector without multipliers: a graph of shared two-operand adders, and its proof.

The graph is found by alkaid's solver (https://pypi.org/project/alkaid, LGPL-3.0, used as a library): common
subexpressions of the weights' signed digits. What it returns is taken apart here and proven: every node's
coefficients over the inputs are added up as integers, and each output's must be the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from qap2fpga.errors import CheckFailed

# alkaid carries weights in float32.
LARGEST = 1 << 24


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

    def coefficients(self) -> list[np.ndarray]:
        """Coefficients (inputs,) of every node over the inputs."""
        nodes = list(np.eye(self.inputs, dtype=np.int64))
        for one in self.adders:
            nodes.append(one.left_sign * nodes[one.left] + one.right_sign * (nodes[one.right] << one.shift))
        return nodes

    def prove(self, weights: np.ndarray, name: str) -> None:
        """Raise `CheckFailed` naming layer `name` and the output if a column of `weights` is not what is computed."""
        nodes = self.coefficients()
        for column, output in enumerate(self.outputs):
            down = max(-output.shift, 0)
            found = output.sign * output.factor * (nodes[output.node] << max(output.shift, 0))
            if (found != weights[:, column] << down).any():
                raise CheckFailed(f"layer {name}, channel {column}: the adder graph computes other weights")


def solve(weights: np.ndarray, low: np.ndarray, high: np.ndarray, name: str) -> AdderGraph:
    """A graph for `weights` (inputs, outputs) when input i lies in `low[i]..high[i]`.

    A factor common to all weights of an output is taken out first: it moves into the thresholds.
    """
    factors = np.array([_common(column) for column in weights.T], np.int64)
    reduced = weights // factors
    if np.abs(reduced).max() >= LARGEST:
        raise CheckFailed(f"layer {name}: weights of more than 24 bits")
    from alkaid.cmvm import cmvm_solve

    ranges = [(float(min(a, 0)), float(max(b, 1)), 1.0) for a, b in zip(low, high, strict=True)]
    stages = cmvm_solve(np.ascontiguousarray(reduced, np.float32), qintervals=ranges)
    builder = Builder(len(weights))
    values: list[Value | None] = [Value(index, 0, 1) for index in range(len(weights))]
    for stage in stages:
        values = builder.stage(stage, values)
    outputs = []
    for value, factor in zip(values, factors, strict=True):
        if value is None:  # all weights are zero; `prove` sees to it that they are
            outputs.append(Output(0, 0, 1, 0))
            continue
        outputs.append(Output(value.node, value.exponent, value.sign, int(factor)))
    graph = pruned(AdderGraph(len(weights), tuple(builder.adders), tuple(outputs)))
    graph.prove(weights, name)
    return graph


def _common(column: np.ndarray) -> int:
    factor = gcd(*(int(value) for value in column))
    # Powers of two cost nothing and stay as shifts.
    return max(1, factor // (factor & -factor)) if factor else 1


@dataclass(frozen=True)
class Value:
    """`sign * node * 2**exponent`."""

    node: int
    exponent: int
    sign: int


def moved(value: Value | None, shift: int, sign: int) -> Value | None:
    return value and Value(value.node, value.exponent + shift, value.sign * sign)


class Builder:
    """Collects adders; the same sum is made once."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.adders: list[Adder] = []
        self.known: dict[Adder, int] = {}

    def stage(self, logic: Any, inputs: list[Value | None]) -> list[Value | None]:
        """Take one of alkaid's stages apart; None is a value that is 0."""
        values: list[Value | None] = []
        for op in logic.ops:
            if op.opcode == -1:
                values.append(moved(inputs[op.data[0]], int(logic.inp_shifts[op.data[0]]), 1))
            elif op.opcode in (0, 1):
                left, right = (values[number] for number in op.addr)
                values.append(self.add(left, moved(right, op.data[0], 1 if op.opcode == 0 else -1)))
            else:
                raise CheckFailed(f"alkaid's graph has an operation {op.opcode} that is neither sum nor difference")
        return [
            moved(values[index] if index >= 0 else None, int(shift), -1 if negative else 1)
            for index, shift, negative in zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True)
        ]

    def add(self, left: Value | None, right: Value | None) -> Value | None:
        """Their sum; the operand with the lower exponent comes first."""
        if left is None or right is None:
            return right if left is None else left
        if (right.exponent, right.node) < (left.exponent, left.node):
            left, right = right, left
        sign = 1
        if left.sign < 0 and right.sign < 0:
            sign, left, right = -1, Value(left.node, left.exponent, 1), Value(right.node, right.exponent, 1)
        one = Adder(left.node, right.node, right.exponent - left.exponent, left.sign, right.sign)
        if one not in self.known:
            self.known[one] = self.inputs + len(self.adders)
            self.adders.append(one)
        return Value(self.known[one], left.exponent, sign)


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
