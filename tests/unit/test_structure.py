# SPDX-License-Identifier: Apache-2.0
"""The packages import in one direction, and what differs between device families is known in one package only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qap2fpga.hw.families import FAMILIES

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


# A constant that stands for a family, as `ECP5` or `TIMED_FAMILY`.
FAMILY_CONSTANT = re.compile(rf"(.*_)?({'|'.join(FAMILIES)}|family)(_.*)?", re.IGNORECASE)


def is_family(node: ast.expr) -> bool:
    """Return whether `node` looks like a device family: `family`, `board.family`, `x["family"]`, `x.get("family")`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("family", "device_family")
        case ast.Subscript(slice=ast.Constant(value=key)):
            return key == "family"
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=key), *_]):
            return key == "family"
        case ast.Call(args=[inner]):
            return is_family(inner)
    return False


def special_cases(source: str) -> list[int]:
    """Return the lines of `source` that treat one device family unlike another by its name."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, comparators=others):
                sides = [is_family(one) for one in (left, *others)]
                named = any(isinstance(one, ast.Constant) and one.value in FAMILIES for one in (left, *others))
                # Two families of two things may be compared: whether something was measured on such a part.
                wrong = named or (any(sides) and not all(sides))
            case ast.Match(subject=subject):
                wrong = is_family(subject)
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                wrong = name.isupper() and FAMILY_CONSTANT.fullmatch(name) is not None
            case _:
                continue
        if wrong:
            lines.append(node.lineno)
    return sorted(set(lines))


def test_no_family_is_asked_for_by_name() -> None:
    found = {
        name: lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if not (name := str(path.relative_to(PACKAGE))).startswith("hw/") and (lines := special_cases(path.read_text()))
    }
    assert not found, "give the family a property in hw/families.py"


@pytest.mark.parametrize("source", [
    "if board.family == 'ecp5': pass",
    "if family != other: pass",
    "x = report['board'].get('family') in ('xc7', 'xcu')",
    "x = str(board['family']) == name",
    "x = 'ecp5' == kind",
    "match board.family:\n    case 'xc7': pass",
    "from qap2fpga.hw.boards import ECP5",
    "x = families.ECP5",
    "TIMED_FAMILY = 1",
    "x = board.device_family is XC7",
])  # fmt: skip
def test_a_family_that_is_asked_for_by_name_is_seen(source: str) -> None:
    assert special_cases(source) == [1]


def test_a_property_of_a_family_is_no_special_case() -> None:
    source = "if board.device_family.open_route and backend in board.device_family.backends: pass\n"
    assert special_cases(source + "x = families.FAMILIES[board.family]\ny = family != fit['family']\n") == []
