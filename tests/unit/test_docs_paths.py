# SPDX-License-Identifier: Apache-2.0
"""What documentation, settings and scripts say of this program's files and modules is where they say."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qap2fpga.report import content
from qap2fpga.report.schema import Design, Model, Report, Simulation

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "qap2fpga"
FOLDERS = ("qap2fpga", "tests", "flows", "boards", "benchmarks", "docker", "docs", "examples")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
# No files of a checkout: where the wheel has what stands outside of the package, and the image's environment.
ELSEWHERE = re.compile(r"qap2fpga/(?:boards|docs|flows|bin)\b")
# Dotted names of this package, and what is imported from them, also where source text stands in a string.
NAME = re.compile(r"(?<![\w./-])qap2fpga((?:\.[a-z]\w*)+)")
IMPORT = re.compile(r"\bfrom (qap2fpga[\w.]*) import ([a-z]\w*(?:, [a-z]\w*)*)")
# Endings of files that may follow the program's name, and the name of an error handler for encodings.
NO_MODULES = {"h", "cpp", "tcl", "v", "signs"}


def texts() -> Iterator[Path]:
    """Yield the files that people and tools read beside the program's own source."""
    for name in ("README.md", "mkdocs.yml", "Makefile", "pyproject.toml", "compose.yaml", ".dockerignore", ".ci/run"):
        yield ROOT / name
    for folder in ("docs", "benchmarks", "docker", "flows", "boards", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".npz", ".pt", ".png", ".svg", ".pyc"):
                yield path


def missing_paths(text: str) -> set[str]:
    """Return the paths of this program in `text` that are not there."""
    named = {match.group() for match in PATH.finditer(text)}
    return {path for path in named if not ELSEWHERE.match(path) and not (ROOT / path).exists()}


def is_module(name: str) -> bool:
    """Return whether the dotted `name` is a module or package of this program."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def is_value(name: str) -> bool:
    """Return whether the last part of the dotted `name` may be a value of the module that the others name."""
    module, _, value = name.rpartition(".")
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.is_file() and re.search(rf"\b{value}\b", path.read_text()) is not None


def missing_modules(text: str) -> set[str]:
    """Return the dotted names of this program in `text` that are neither modules nor in the module that they name."""
    named = {"qap2fpga" + match.group(1) for match in NAME.finditer(text)}
    named = {name for name in named if name.split(".")[1] not in NO_MODULES}
    for package, values in IMPORT.findall(text):
        named |= {f"{package}.{value}" for value in values.split(", ")}
    return {name for name in named if not is_module(name) and not is_value(name)}


@pytest.mark.parametrize("path", list(texts()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_and_modules_are_there(path: Path) -> None:
    text = path.read_text()
    assert not missing_paths(text)
    assert not missing_modules(text)


def test_source_says_nothing_of_files_that_moved() -> None:
    """Comments and docstrings of the program and of its tests, in paths seen from the root or from the package."""
    wrong = {
        path.relative_to(ROOT).as_posix(): missing
        for folder in (PACKAGE, ROOT / "tests")
        for path in sorted(folder.rglob("*.py"))
        if path != Path(__file__) and (missing := missing_paths(path.read_text()) | missing_modules(path.read_text()))
    }
    assert not wrong


def test_every_module_in_how_it_works_is_there() -> None:
    """A backticked path is seen from the root, from the package, or, in the table of packages, from its package."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    wrong = []
    for line in page.splitlines():
        row = re.match(r"\| `(\w+/)` \|", line)
        places = [ROOT, PACKAGE, *([PACKAGE / row.group(1)] if row else [])]
        for name in re.findall(r"`([\w/.-]+\.(?:py|yaml|sv|v|h|cpp|tcl|md|yml)|[\w/-]+/)`", line):
            if "/" in name or row:
                wrong += [name] if not any((place / name).exists() for place in places) else []
    assert not wrong


def test_how_it_works_lists_every_package_in_the_order_of_imports() -> None:
    spec = importlib.util.spec_from_file_location("structure", Path(__file__).parent / "test_structure.py")
    assert spec is not None and spec.loader is not None
    structure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(structure)
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert tuple(re.findall(r"^\| `(\w+)/` \|", page, flags=re.MULTILINE)) == structure.ORDER


def test_what_moved_is_seen() -> None:
    assert missing_paths("see qap2fpga/lower/bops.py, `flows/rtl/estimate.yaml` and tests/test_bops.py.") == {
        "qap2fpga/lower/bops.py", "tests/test_bops.py",
    }  # fmt: skip
    assert missing_modules("from qap2fpga import backends, board") == {"qap2fpga.board"}
    assert missing_modules("'from qap2fpga.lower import prepare'") == {"qap2fpga.lower", "qap2fpga.lower.prepare"}
    assert missing_modules("`qap2fpga.train.metrics`, `qap2fpga.lower.exact.levels`, mine.qap2fpga.io") == {
        "qap2fpga.lower.exact.levels"
    }


def test_file_formats_has_the_schema_and_every_key_of_a_report() -> None:
    page = (ROOT / "docs" / "formats.md").read_text()
    section = page.partition("## report.json")[2].partition("\n## ")[0]
    assert re.findall(r"^Schema (\d+)\.|^\| `schema` \| (\d+) \|", section, flags=re.MULTILINE) == [
        (str(content.SCHEMA), ""), ("", str(content.SCHEMA)),
    ]  # fmt: skip
    keys = [*Report.__annotations__, *Model.__annotations__, *Design.__annotations__, *Simulation.__annotations__]
    assert not [key for key in keys if f"`{key}`" not in section and f"`{key}[]`" not in section]
