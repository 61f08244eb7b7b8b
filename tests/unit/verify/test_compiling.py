# SPDX-License-Identifier: Apache-2.0
"""What is compiled together, what once on a machine, and that errors are the compiler's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qap2fpga.system import cache
from qap2fpga.system.errors import QapError
from qap2fpga.verify import compiling
from qap2fpga.verify.compiling import ONCE, Compiler

CLASSES = """VM_CLASSES_FAST += \\
  Vtop_vm_classes_0 \\

VM_GLOBAL_FAST += \\
  verilated \\
  more \\

VM_GLOBAL_SLOW += \\

"""
RUNTIME = {
    "verilated.cpp": "int one() { return ONE; }",
    "more.cpp": "int two() { return 2; }",
    "verilated.h": "#define ONE 1",
}
DESIGN = {
    "Vtop.cpp": "int one(); int two(); static int three() { return one() + two(); } int top() { return three(); }",
    "Vtop__Slow.cpp": "int slow() { return 4; }",
    "Vtop_vm_classes_0.cpp": '#include "Vtop.cpp"',
    "Vtop_classes.mk": CLASSES,
    "inputs/bench.cpp": "int top(); int slow(); int main() { return top() + slow(); }",
}


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    """A folder as Verilator leaves it, and a runtime."""
    runtime = {**RUNTIME, "verilated.cpp": '#include "verilated.h"\n' + RUNTIME["verilated.cpp"]}
    for folder, files in (("work", DESIGN), ("kit", runtime)):
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / name).parent.mkdir(exist_ok=True)
            (tmp_path / folder / name).write_text(text)
    return Compiler(tmp_path / "work", tmp_path / "kit", tmp_path / "logs", 60)


def result(compiler: Compiler, jobs: int = 1) -> int:
    binary = compiler.program("inputs/bench.cpp", "simulate", optimize="-O1", jobs=jobs)
    return subprocess.run([binary], check=False).returncode


def units(compiler: Compiler) -> dict[str, list[str]]:
    """The files of each unit that there is."""
    return {
        path.name: [line.split('"')[1] for line in path.read_text().splitlines()]
        for path in sorted(compiler.work.glob("unit*.cpp"))
    }


def test_a_small_design_is_one_unit(compiler: Compiler) -> None:
    assert result(compiler) == 7
    assert units(compiler) == {"unit0.cpp": ["Vtop.cpp", "Vtop__Slow.cpp", "inputs/bench.cpp"]}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_large_design_is_several_and_what_runs_once_is_not_optimized(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(compiling, "UNIT", 30)
    assert result(compiler, jobs) == 7
    assert units(compiler) == {
        "unit0.cpp": ["inputs/bench.cpp"],
        "unit1.cpp": ["Vtop.cpp"],
        "unit2.cpp": ["Vtop__Slow.cpp"],
    }
    levels = [level for _, level in compiling._units(compiler.work, "inputs/bench.cpp", "-O1")]
    assert levels == ["-O1", "-O1", ONCE]


def runs(compiler: Compiler) -> list[str]:
    """The logs of what was compiled now."""
    for path in compiler.logs.glob("*.log"):
        path.unlink()
    assert result(compiler) == 7
    return sorted(path.stem for path in compiler.logs.glob("*.log"))


def test_the_runtime_is_compiled_once_and_again_when_a_header_changes(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.LIMIT, "10")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    ours = ["compiler", "link", "unit0"]
    assert runs(compiler) == sorted([*ours, "verilated", "more"])
    assert runs(compiler) == ours
    (compiler.kit / "verilated.h").write_text("#define ONE (0 + 1)")
    assert runs(compiler) == sorted([*ours, "verilated", "more"])
    (compiler.kit / "more.cpp").write_text("int two() { return 1 + 1; }")
    assert runs(compiler) == sorted([*ours, "more"])
    monkeypatch.setattr(compiling, "OPTIONS", (*compiling.OPTIONS, "-DX"))
    assert runs(compiler) == sorted([*ours, "verilated", "more"])
    monkeypatch.setenv(cache.LIMIT, "0")
    assert runs(compiler) == sorted([*ours, "verilated", "more"])


def test_errors_are_the_compilers(compiler: Compiler) -> None:
    (compiler.work / "Vtop.cpp").write_text("nonsense;")
    with pytest.raises(QapError, match=r"'g\+\+' failed .*nonsense"):
        result(compiler)
    (compiler.work / "Vtop_classes.mk").unlink()
    with pytest.raises(QapError, match="no list of its classes"):
        result(compiler)
