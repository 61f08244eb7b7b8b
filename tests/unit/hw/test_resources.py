# SPDX-License-Identifier: Apache-2.0
"""Kinds of cells: whatever counts, limits or states them has each of the list, and nothing else lists them."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

from qap2fpga.explore.limits import Limits
from qap2fpga.hw import resources
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import DETAILS, EVERY, EXACT, FITTED, NAMES, Resources
from qap2fpga.reports.result import Cells

PACKAGE = Path(resources.__file__).parents[1]


def names(kind: type) -> set[str]:
    return {one.name for one in fields(kind)}


def test_whatever_has_resources_has_those_of_the_list() -> None:
    assert names(Cells) == {one.name for one in EVERY}
    assert names(Resources) == {*NAMES, *DETAILS}
    assert set(NAMES) < names(Board)
    assert {f"max_{name}" for name in NAMES} < names(Limits)
    assert (*FITTED, *EXACT) == ("lut", "ff", "dsp")


def lists(source: str) -> list[int]:
    """Return the lines on which `source` lists three resources and more, as a tuple, a list or a set."""
    results = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Tuple | ast.List | ast.Set)]
    return [
        node.lineno for node in results if len({ast.literal_eval(one) for one in node.elts if is_resource(one)}) > 2
    ]  # fmt: skip


def is_resource(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in NAMES


def test_resources_are_listed_once() -> None:
    assert lists("x = ('lut', 'ff', 'dsp')\ny = ['lut', 'ff']\nz = {1, 'bram18', 'dsp', 'ff'}") == [1, 3]
    results = {
        str(path.relative_to(PACKAGE)): where for path in PACKAGE.rglob("*.py") if (where := lists(path.read_text()))
    }
    assert not results, "hw/resources.py lists them"
