# SPDX-License-Identifier: Apache-2.0
"""Tests stand where what they test stands, and are called like it."""

from __future__ import annotations

from pathlib import Path

UNIT = Path(__file__).parent
PACKAGE = UNIT.parents[1] / "qap2fpga"
# What is of several modules, none of them alone, has a name of its own.
OF_SEVERAL = {
    "estimate/test_fit_vendor.py",  # a script of the benchmarks, and the file that it wrote
    "passes/test_branches.py",  # all of compaction, on graphs with branches
    "frontend/test_lower.py",  # from the graph that was read to integers
    "frontend/test_outputs.py",  # logits, from the model's file to the report
    "prove/test_finn_block_rams.py",  # block RAMs in a folded netlist, from the mapper to the claim
    "prove/test_finn_faults.py",  # random faults in units of ours, whatever finds them
    "reports/test_readers.py",  # every reader, through the one function that chooses among them
    "verify/test_simulate.py",  # vectors, beats and templates, without an external program
}


def names(package: Path) -> set[str]:
    """Return what tests of `package` may be called: a module, a package in it, or the whole of it.

    What is in a package of the package has both names: `rtl_netlist` is rtl/netlist.
    """
    modules = [path for path in package.rglob("*") if path.suffix == ".py" or (path / "__init__.py").is_file()]
    return {package.name} | {"_".join(path.relative_to(package).with_suffix("").parts) for path in modules}


def strays(unit: Path, package: Path) -> set[str]:
    """Return the files of tests below `unit` that are called like nothing in `package`."""
    return {
        str(path.relative_to(unit))
        for path in unit.glob("*/test_*.py")
        if path.stem.removeprefix("test_") not in names(package / path.parent.name)
    }


def test_every_file_of_tests_is_of_a_module_or_says_that_it_is_of_several() -> None:
    assert strays(UNIT, PACKAGE) == OF_SEVERAL


def test_a_stray_is_seen(tmp_path: Path) -> None:
    for name in ("unit/heart/test_beat.py", "unit/heart/test_heart.py", "unit/heart/test_left_valve.py",
                 "unit/heart/test_lung.py", "program/heart/beat.py", "program/heart/left/__init__.py",
                 "program/heart/left/valve.py"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert strays(tmp_path / "unit", tmp_path / "program") == {"heart/test_lung.py"}
