# SPDX-License-Identifier: Apache-2.0
"""The packages import in one direction, and nothing outside the standard library is imported where it is not owned."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "qap2fpga"
# A package knows only those before it; docs/architecture.md says what each is for.
ORDER = (
    "system", "exact", "ir", "passes", "frontend", "requant", "hw", "backends", "driver", "reports", "synth", "verify",
    "estimate", "report", "build", "train", "explore", "cli",
)  # fmt: skip


def imports(source: str) -> Iterator[str]:
    """Yield the modules of this program that `source` imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where a module is"
            names = [node.module or ""] if node.module != "qap2fpga" else [f"qap2fpga.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith("qap2fpga."))


def upward(module: str, source: str) -> list[str]:
    """Return what `source`, of `module` (a path below the package), imports of packages that come after its own."""
    place = ORDER.index(module.split("/")[0])
    return [name for name in imports(source) if ORDER.index(name.split(".")[1]) > place]


def test_no_import_runs_upwards() -> None:
    found = {
        name: wrong
        for path in sorted(PACKAGE.rglob("*.py"))
        if "/" in (name := str(path.relative_to(PACKAGE))) and (wrong := upward(name, path.read_text()))
    }
    assert not found


def test_an_import_that_runs_upwards_is_seen() -> None:
    source = "def late():\n    from qap2fpga.report import page\n    from qap2fpga import build\n"
    assert upward("verify/rtl.py", source) == ["qap2fpga.report", "qap2fpga.build"]
    assert upward("cli/build.py", source) == []


def test_every_package_has_its_place() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ORDER)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}
