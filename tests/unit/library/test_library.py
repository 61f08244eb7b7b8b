# SPDX-License-Identifier: Apache-2.0
"""The names of `import qap2fpga`: there, functions whatever else is imported, and quick."""

from __future__ import annotations

import subprocess
import sys
from inspect import isclass, isfunction

import pytest

import qap2fpga
from qap2fpga.build import run

HEAVY = ("numpy", "torch", "finn", "qonnx", "brevitas", "onnx", "pyosys", "matplotlib", "scipy", "rich")


def test_every_public_name_is_there_and_documented() -> None:
    for name in set(qap2fpga.__all__) - {"__version__"}:
        value = getattr(qap2fpga, name)
        assert isclass(value) or isfunction(value), name
        assert value.__doc__, name
    assert set(qap2fpga.__all__) <= set(dir(qap2fpga))


def test_a_function_is_not_hidden_by_the_package_of_its_name() -> None:
    assert run.build is not qap2fpga.build
    assert isfunction(qap2fpga.build) and isfunction(qap2fpga.estimate) and isfunction(qap2fpga.explore)
    program = (
        "import qap2fpga.build.run, qap2fpga.explore.limits, qap2fpga.estimate.fit\n"
        "from qap2fpga import build, explore, estimate\n"
        "from qap2fpga.build import stages\n"
        "print(build.__module__, explore.__module__, estimate.__module__, stages.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    modules = ("qap2fpga.library.builds", "qap2fpga.library.exploration", "qap2fpga.library.estimates")
    assert done.stdout.split() == [*modules, "qap2fpga.build.stages"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'qap2fpga' has no attribute 'biuld'"):
        getattr(qap2fpga, "biuld")  # noqa: B009 - mypy knows that there is none


def test_the_import_loads_nothing_heavy() -> None:
    program = f"import sys, qap2fpga; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
