# SPDX-License-Identifier: Apache-2.0
"""The scripts in `benchmarks/`, `docker/` and `docs/` import what there is; most of them run for minutes and more."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for folder in ("benchmarks", "docker", "docs") for path in sorted((ROOT / folder).glob("*.py"))]


def _is_module(package: ModuleType, name: str) -> bool:
    return hasattr(package, "__path__") and find_spec(f"{package.__name__}.{name}") is not None


def missing(source: str) -> list[str]:
    """Return the names that `source` imports from qap2fpga, anywhere, and that are not there."""
    absent = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "qap2fpga":
            module = import_module(node.module)
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name) and not _is_module(module, name):
                    absent.append(f"{node.module}.{name}")
    return absent


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_there(script: Path) -> None:
    assert not missing(script.read_text())


def test_a_name_that_went_is_seen() -> None:
    package = "qap2fpga"
    assert missing(f"def late():\n    from {package}.ir.graph import Graph, Gone\n") == [f"{package}.ir.graph.Gone"]
    assert missing(f"from {package}.ir import graph, gone\n") == [f"{package}.ir.gone"]
