# SPDX-License-Identifier: Apache-2.0
"""Adder graphs of outputs without common inputs."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.backends.rtl import apart, solver
from qap2fpga.backends.rtl.adders import AdderGraph
from qap2fpga.exact import integers
from qap2fpga.system.errors import CheckFailed


def depthwise(kernels: np.ndarray) -> np.ndarray:
    return np.concatenate([np.eye(kernels.shape[1], dtype=np.int64) * row for row in kernels])


def values(graph: AdderGraph, inputs: np.ndarray) -> np.ndarray:
    nodes = graph.coefficients().T
    sums = integers.matmul(inputs, nodes, "a test")
    return np.stack(
        [sums[:, one.node] * one.sign * one.factor * 2**one.shift if one.factor else 0 * sums[:, 0]
         for one in graph.outputs], axis=1,
    )  # fmt: skip


def test_each_output_is_what_its_weights_say() -> None:
    random = np.random.default_rng(1)
    kernels = random.integers(-7, 8, (9, 5)) * (random.random((9, 5)) < 0.6)
    kernels[:, 2] = 0
    kernels[:, 4] = kernels[:, 3]
    weights = depthwise(kernels)
    graph = apart.solve(weights, np.zeros(45, np.int64), np.full(45, 15), "d")
    inputs = random.integers(0, 16, (30, 45))
    assert (values(graph, inputs) == integers.matmul(inputs, weights, "a test")).all()
    assert graph.outputs[2].factor == 0


def test_equal_kernels_are_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    solve = solver.solve
    monkeypatch.setattr(solver, "solve", lambda *given: calls.append(1) or solve(*given))
    apart.solve(depthwise(np.ones((4, 8), np.int64)), np.zeros(32, np.int64), np.full(32, 3), "mean")
    assert len(calls) == 1


def test_outputs_that_share_an_input_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="layer d: outputs share inputs"):
        apart.solve(np.ones((2, 2), np.int64), np.zeros(2, np.int64), np.ones(2, np.int64), "d")


def test_the_whole_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = solver.solve(np.array([[1], [3]]), np.zeros(2, np.int64), np.ones(2, np.int64), "d")
    monkeypatch.setattr(solver, "solve", lambda *given: wrong)
    with pytest.raises(CheckFailed, match="layer d, channel 0: the adder graph computes other weights"):
        apart.solve(np.array([[1], [1]]), np.zeros(2, np.int64), np.ones(2, np.int64), "d")
