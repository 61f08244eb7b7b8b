# SPDX-License-Identifier: Apache-2.0
"""The adder graph of a layer, found by alkaid's solver (LGPL-3.0, used as a library).

It shares common subexpressions of the weights' signed digits. What it finds depends on the order of inputs and outputs
by a few percent, and takes little time on a pruned layer; so it is asked several times, and the graph that takes the
fewest LUTs in our hardware is taken. All is taken apart into our own types and proven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from qap2fpga.backends.rtl import signs
from qap2fpga.backends.rtl.adders import Adder, AdderGraph, Output, pruned
from qap2fpga.system.errors import CheckFailed

# alkaid carries weights in float32.
LARGEST = 1 << 24
# alkaid's heuristics, in the order in which they are tried.
METHODS = ("wmc", "mc")
# Tries are limited by their number and by the weights that are not zero in all of them.
TRIES, EFFORT = 16, 6000


def solve(weights: np.ndarray, low: np.ndarray, high: np.ndarray, name: str, most: int = TRIES) -> AdderGraph:
    """A graph for `weights` (inputs, outputs) when input i lies in `low[i]..high[i]`, the best of `most` at most.

    A factor common to all weights of an output is taken out first: it moves into the thresholds. The same weights
    always give the same graph. Raises `CheckFailed` naming layer `name` for a graph of other weights.
    """
    factors = np.array([_common(column) for column in weights.T], np.int64)
    reduced = weights // factors
    if np.abs(reduced).max() >= LARGEST:
        raise CheckFailed(f"layer {name}: weights of more than 24 bits")
    graphs = (pruned(_graph(reduced, factors, low, high, method, *order)) for method, order in _tries(weights, most))
    graph = min(graphs, key=lambda graph: signs.luts(graph, low, high))
    graph = signs.settled(graph, low, high)
    graph.prove(weights, name)
    return graph


def tries(weights: np.ndarray, most: int = TRIES) -> int:
    """Return how often alkaid is asked for a graph of `weights`, at most `most` times."""
    return max(1, min(most, EFFORT // max(1, int(np.count_nonzero(weights)))))


def _tries(weights: np.ndarray, most: int = TRIES) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """(method, (order of the inputs, order of the outputs)); the first are as they stand."""
    random = np.random.default_rng(0)
    for number in range(tries(weights, most)):
        shuffled = number >= len(METHODS)
        order = (random.permutation(size) if shuffled else np.arange(size) for size in weights.shape)
        yield METHODS[number % len(METHODS)], (next(order), next(order))


def _graph(
    weights: np.ndarray, factors: np.ndarray, low: np.ndarray, high: np.ndarray, method: str,
    rows: np.ndarray, columns: np.ndarray,
) -> AdderGraph:  # fmt: skip
    """alkaid's graph for `weights` with rows and columns in the order given, and back in their own."""
    from alkaid.cmvm import cmvm_solve

    ranges = [(float(min(low[row], 0)), float(max(high[row], 1)), 1.0) for row in rows]
    kernel = np.ascontiguousarray(weights[np.ix_(rows, columns)], np.float32)
    builder = Builder(len(weights))
    values: list[Value | None] = [Value(int(row), 0, 1) for row in rows]
    for stage in cmvm_solve(kernel, method0=method, qintervals=ranges):
        values = builder.stage(stage, values)
    outputs = [Output(0, 0, 1, 0)] * len(columns)
    for column, value in zip(columns, values, strict=True):
        if value is not None:  # all weights are zero where it is; `prove` sees to it that they are
            outputs[column] = Output(value.node, value.exponent, value.sign, int(factors[column]))
    return AdderGraph(len(weights), tuple(builder.adders), tuple(outputs))


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
