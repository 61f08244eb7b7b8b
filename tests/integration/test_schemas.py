# SPDX-License-Identifier: Apache-2.0
"""Schemas for editors: what ships is valid by them, and what the program refuses is not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
TRAIN = {"data": {"source": "x.npz", "split": [0.7, 0.15, 0.15]}, "model": {"weight_bits": [6, 4], "widths": [8]},
         "training": {"loss": "cross_entropy"}, "pruning": {"sparsities": "paper"}, "fold": [1, 4],
         "paper_code": "all"}  # fmt: skip


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    spec = importlib.util.spec_from_file_location("schemas", ROOT / "docs" / "schemas.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.schemas()


def is_valid(schema: dict[str, Any], value: object) -> bool:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema).is_valid(value)


def test_every_shipped_board_is_valid(schemas: dict[str, dict[str, Any]]) -> None:
    paths = sorted((ROOT / "boards").glob("*.yaml"))
    assert len(paths) > 8
    for path in paths:
        assert is_valid(schemas["board"], yaml.safe_load(path.read_text())), path


def test_the_starters_build_is_valid(schemas: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "qap2fpga" / "library" / "starter" / "build.yaml").read_text()
    assert is_valid(schemas["build"], yaml.safe_load(text))
    for more in ("clock: 5", "target-fps: 1000000", "output-kind: class", "weight-bits: [6, 6, 4]", "quiet: true"):
        assert f"# {more}" in text or "bits" in more or "quiet" in more
        assert is_valid(schemas["build"], yaml.safe_load(f"{text}\n{more}\n")), more


def test_settings_of_a_training_are_valid(schemas: dict[str, dict[str, Any]]) -> None:
    assert is_valid(schemas["train"], TRAIN)


@pytest.mark.parametrize(("kind", "value"), [
    ("build", {"untill": "model"}), ("build", {"until": "mode"}), ("build", {"quiet": 3}),
    ("build", {"board": {"a": 1}}),
    ("board", {"title": "x"}), ("train", {}), ("train", {**TRAIN, "seeds": 1}), ("train", {**TRAIN, "fold": [1]}),
    ("train", {**TRAIN, "training": {"loss": "other"}}), ("train", {**TRAIN, "model": {"widths": 8}}),
])  # fmt: skip
def test_what_the_program_refuses_is_not_valid(schemas: dict[str, Any], kind: str, value: dict[str, object]) -> None:
    assert not is_valid(schemas[kind], value)


def test_they_are_written_where_it_is_asked(tmp_path: Path, schemas: dict[str, dict[str, Any]]) -> None:
    command = [sys.executable, str(ROOT / "docs" / "schemas.py"), str(tmp_path / "here")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert {path.stem: json.loads(path.read_text()) for path in (tmp_path / "here").iterdir()} == schemas
