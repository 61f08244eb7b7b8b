# SPDX-License-Identifier: Apache-2.0
"""`constraints.txt` names versions that pyproject.toml allows, of all that is needed without an extra."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def test_the_tested_versions_are_allowed_ones_and_made_by_the_command() -> None:
    spec = importlib.util.spec_from_file_location("constraints", ROOT / "docs" / "constraints.py")
    assert spec is not None and spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    text = (ROOT / "constraints.txt").read_text()
    assert text.startswith(command.HEAD)
    tested = dict(line.split("==") for line in text.removeprefix(command.HEAD).splitlines())
    assert list(tested) == sorted(tested)
    for one in command.declared():
        version = tested.get(canonicalize_name(one.name))
        assert version is None or one.specifier.contains(version), one
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {canonicalize_name(Requirement(one).name) for one in needed} <= set(tested)
