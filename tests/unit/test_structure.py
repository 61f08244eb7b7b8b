# SPDX-License-Identifier: Apache-2.0
"""Imports run in one direction, a build imports nothing that trains or fits, families are known in one package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qap2fpga.hw.families import FAMILIES

PACKAGE = Path(__file__).parents[2] / "qap2fpga"
# A package knows only those before it; docs/architecture.md says what each is for.
ORDER = (
    "system", "exact", "ir", "passes", "frontend", "requant", "hw", "backends", "driver", "reports", "synth", "verify",
    "prove", "audit", "estimate", "report", "build", "qap", "train", "explore", "library", "cli",
)  # fmt: skip
# What training knows of the rest, beside `system`: how a model file is made, counted and estimated.
TRAINING_KNOWS = {
    "backends.rtl.options", "estimate.estimate", "frontend.checkpoint.modules", "frontend.checkpoint.spec",
    "frontend.checkpoint.widths", "frontend.checkpoint.writing", "frontend.prepare", "hw.boards", "ir.bops",
    "frontend.saving", "ir.quantizer", "qap.bits", "qap.bits.budget", "qap.bits.price", "qap.ranking",
    "qap.scopes", "report.pareto", "report.study_folder", "report.study_settings",
}  # fmt: skip
# Tools of users and maintainers, which no build needs.
NOT_OF_A_BUILD = (
    "qap",
    "train",
    "explore",
    "library",
    "cli",
    "estimate.calibrate",
    "estimate.campaign",
    "estimate.draw",
    "estimate.fit",
)


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


def path_of(module: str) -> Path | None:
    """The file of a module, named as below the package; None if there is none."""
    place = PACKAGE.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def known(source: str) -> set[str]:
    """The modules, named as below the package, that `source` imports or imports something from."""
    modules = {name.removeprefix("qap2fpga.") for name in imports(source)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qap2fpga."):
            package = str(node.module).removeprefix("qap2fpga.")
            inner = {name for one in node.names if path_of(name := f"{package}.{one.name}")}
            modules |= inner
            if len(inner) == len(node.names):
                modules.discard(package)
    return modules


def names_of(source: str) -> Iterator[str]:
    """Yield what `source` imports from modules of this program, by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "qap2fpga":
            yield from (one.name for one in node.names)


def reached(starts: set[str]) -> set[str]:
    """All modules that are imported from `starts` on, however late."""
    modules, waiting = set(), list(starts)
    while waiting:
        module = waiting.pop()
        path = path_of(module)
        if module not in modules and path is not None:
            modules.add(module)
            waiting += [*known(path.read_text()), *([module.rpartition(".")[0]] if "." in module else [])]
    return modules


def not_of_a_build(modules: set[str]) -> set[str]:
    return {name for name in modules if any(name == one or name.startswith(f"{one}.") for one in NOT_OF_A_BUILD)}


def upward(module: str, source: str) -> list[str]:
    """Return what `source`, of `module` (a path below the package), imports of packages that come after its own."""
    place = ORDER.index(module.split("/")[0])
    return [name for name in imports(source) if ORDER.index(name.split(".")[1]) > place]


def test_no_import_runs_upwards() -> None:
    wrong = {
        name: later
        for path in sorted(PACKAGE.rglob("*.py"))
        if "/" in (name := str(path.relative_to(PACKAGE))) and (later := upward(name, path.read_text()))
    }
    assert not wrong


def test_an_import_that_runs_upwards_is_seen() -> None:
    source = "def late():\n    from qap2fpga.report import page\n    from qap2fpga import build\n"
    assert upward("verify/rtl.py", source) == ["qap2fpga.report", "qap2fpga.build"]
    assert upward("cli/build.py", source) == []


def test_every_package_has_its_place() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ORDER)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_training_knows_only_public_parts_of_the_rest() -> None:
    sources = [path.read_text() for path in sorted((PACKAGE / "train").rglob("*.py"))]
    others = {name for source in sources for name in known(source) if name.split(".")[0] not in ("train", "system")}
    assert others == TRAINING_KNOWS
    assert not [name for source in sources for name in names_of(source) if name.startswith("_")]


def test_no_part_of_a_build_imports_training_or_fitting() -> None:
    backends = {f"backends.{path.parent.name}.{path.stem}" for path in PACKAGE.glob("backends/*/*.py")}
    modules = reached({"build.run", *backends})
    assert {"frontend.prepare", "estimate.calibration", "synth.ecp5.place", "report.check"} <= modules
    assert not not_of_a_build(modules)


def test_a_late_import_of_training_is_seen() -> None:
    assert known("def late():\n    from qap2fpga.train import run\n") == {"train.run"}
    assert known("from qap2fpga.train.run import run, Say") == {"train.run"}
    assert not_of_a_build({"train.run", "estimate.fit", "estimate.fitting", "frontend.prepare"}) == {
        "train.run", "estimate.fit",
    }  # fmt: skip
    assert {"train.run", "train.loop", "estimate.calibrate"} <= not_of_a_build(reached({"cli"}))


# What the command line knows beside the library: how results are printed, and tools of this program's maintainers.
COMMAND_LINE_KNOWS = {
    "backends", "build.csim", "build.request", "estimate.calibrate", "estimate.calibration", "explore.show",
    "hw.boards", "report.check", "report.ending", "report.estimates", "report.mlflow_runs", "report.profiles",
    "report.summary", "report.study_table", "report.table", "synth.amd", "synth.amd.tool", "synth.ecp5.tool",
    "train.figures", "train.jets",
}  # fmt: skip


def test_the_command_line_calls_the_library() -> None:
    sources = [path.read_text() for path in sorted((PACKAGE / "cli").glob("*.py"))]
    modules = {name for source in sources for name in known(source)}
    others = {name for name in modules if name.split(".")[0] not in ("library", "system", "cli")}
    assert others == COMMAND_LINE_KNOWS
    assert {
        f"library.{name}" for name in ("builds", "comparison", "estimates", "exploration", "studies", "training")
    } <= modules


def test_what_runs_when_a_build_is_imported() -> None:
    program = "import sys, qap2fpga.build.run; print(*(name for name in sys.modules if name.startswith('qap2fpga.')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    modules = {name.removeprefix("qap2fpga.") for name in done.stdout.split()}
    assert "build.run" in modules
    assert not not_of_a_build(modules)


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
    results = {
        name: lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if not (name := str(path.relative_to(PACKAGE))).startswith("hw/") and (lines := special_cases(path.read_text()))
    }
    assert not results, "give the family a property in hw/families.py"


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
