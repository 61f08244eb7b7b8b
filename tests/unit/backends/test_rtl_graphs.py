# SPDX-License-Identifier: Apache-2.0
"""Adder graphs of a network's layers: each solved once, in two processes the same as in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.backends.rtl import graphs, solver
from qap2fpga.backends.rtl.datapaths import Datapath, datapaths
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_known", {})


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the layers that were solved in this process, as often as they were."""
    names: list[str] = []
    solve = solver.solve
    monkeypatch.setattr(solver, "solve", lambda *given: names.append(given[3]) or solve(*given))
    yield names


def path_of(weights: np.ndarray, name: str = "fc") -> Datapath:
    step = Step(np.array([[-3, 8]] * weights.shape[1]))
    graph = chain((dense(name, weights, step, 5, 3),), InputQuantizer(0, 7, (1.0,)), Fraction(1))
    (path,) = datapaths(graph, "logits").values()
    return path


def test_a_layer_is_solved_once_for_all_boards(solved: list[str]) -> None:
    """Other ranges, or other weights, are another layer."""
    weights = np.array([[3, -5], [7, 1], [2, 9]])
    path = path_of(weights)
    first = graphs.of_path(path)
    assert graphs.of_path(replace(path, counts=not path.counts)) is first and len(solved) == 1
    low, high = path.ranges.inputs
    wider = graphs.of_path(replace(path, ranges=replace(path.ranges, inputs=(low, high + 1))))
    wider.prove(weights, "fc")
    assert len(solved) == 2
    assert graphs.of_paths([path, path]) == [first, first] and len(solved) == 2


def test_no_more_are_remembered_than_is_stated(solved: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "KEPT", 2)
    paths = [path_of(np.array([[one, 1]]), f"fc{one}") for one in (3, 5, 7)]
    every = graphs.of_paths(paths)
    for path, graph in zip(paths, every, strict=True):
        graph.prove(path.unit.weights, path.unit.name)
    assert len(graphs._known) == 2
    assert graphs.of_paths(paths) == every
    assert solved == ["fc3", "fc5", "fc7", "fc3"]


def test_large_layers_are_solved_in_two_processes(solved: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    paths = [path_of(random.integers(-15, 16, (12, 6)), f"fc{number}") for number in range(3)]
    expected = [graphs.of_path(path) for path in paths]
    assert solved == ["fc0", "fc1", "fc2"]
    monkeypatch.setattr(graphs, "_known", {})
    monkeypatch.setattr(graphs, "has_room", lambda: True)
    monkeypatch.setattr(graphs, "LARGE", 1000)
    monkeypatch.setattr(graphs, "START", 0)
    assert graphs.of_paths(paths) == expected
    here = len(solved) - 3
    assert 1 <= here <= 2, "some of three were solved elsewhere"
    assert graphs.of_paths(paths) == expected and len(solved) == 3 + here


def test_where_no_core_is_left_all_is_solved_here(solved: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "LARGE", 0)
    monkeypatch.setattr(graphs, "START", 0)
    monkeypatch.setattr(graphs, "has_room", lambda: False)
    graphs.of_paths([path_of(np.array([[one, 1]]), f"fc{one}") for one in (3, 5)])
    assert solved == ["fc3", "fc5"]
