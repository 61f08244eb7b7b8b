# SPDX-License-Identifier: Apache-2.0
"""`profile` as it is called, on inputs that nobody scaled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.support.command import run, save
from tests.support.networks import random_model


def test_inputs_that_saturate_are_warned_of(tmp_path: Path) -> None:
    model = random_model(3)
    path = save(tmp_path / "net.pt", model)
    np.save(tmp_path / "raw.npy", np.abs(model.example) * 1000 + 1000)
    done = run("profile", path, "--input-data", tmp_path / "raw.npy", "--quiet", "--json")
    assert done.code == 0
    result = json.loads(done.out)
    assert result["of"] == "recorded" and result["vectors"] == len(model.example)
    assert any(note.startswith("input: ") and "divided by 255" in note for note in result["notes"])
    assert {one["kind"] for one in result["spreads"]} == {"inputs", "weights", "sums", "levels"}


def test_what_is_not_there(tmp_path: Path) -> None:
    done = run("profile", tmp_path / "none.pt")
    assert done.code == 2 and "none.pt does not exist" in done.err
