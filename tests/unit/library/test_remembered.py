# SPDX-License-Identifier: Apache-2.0
"""Networks that were read before: the same, without reading them; and never those of anything else."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qap2fpga
from qap2fpga.frontend import prepare
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.source import Source
from qap2fpga.library import remembered
from qap2fpga.system import cache, versions
from tests.conftest import ROOT
from tests.support.command import save
from tests.support.networks import random_model

# A change of each thing that is said of a model file.
CHANGES = {
    "path": Path("other.pt"), "widths": Widths((4,), (4,), 5), "data": Path("rows.npz"), "range": (0.0, 1.0),
    "classes": ("a", "b"), "compare": False, "output_kind": "values", "output": "end",
}  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setenv(cache.LIMIT, "10")
    return tmp_path / "cache"


def taken(source: Source) -> remembered.Parts | None:
    memory = remembered.memory(source)
    assert memory is not None
    return memory.take()


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it is read again")

    monkeypatch.setattr(prepare, "prepare", refuse)


@pytest.mark.parametrize("name", ["jets-4b-small.pt", "digits-cnn.pt", "pulses-resnet.pt", "particles-deepset.pt"])
def test_it_is_the_same_network(kept: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    first = qap2fpga.load(ROOT / "examples" / name, quiet=True)
    no_reading(monkeypatch)
    again = qap2fpga.load(ROOT / "examples" / name, quiet=True)
    assert (again.source, again.facts, again.comparisons) == (first.source, first.facts, first.comparisons)
    rows = np.random.default_rng(1).integers(0, 8, (20, first.inputs))
    assert np.array_equal(again.run(rows, quantized=True), first.run(rows, quantized=True))
    assert np.array_equal(again.lowered.run(rows), first.lowered.run(rows))
    assert [row["name"] for row in again.nodes] == [row["name"] for row in first.nodes]


def test_whatever_is_said_of_a_file_changes_the_key(tmp_path: Path) -> None:
    source = Source(save(tmp_path / "net.pt"), Widths())
    save(tmp_path / "other.pt")
    (tmp_path / "rows.npz").write_bytes(b"rows")
    assert set(CHANGES) == {one.name for one in fields(Source)}
    changed = [
        replace(source, **{name: tmp_path / value if isinstance(value, Path) else value})
        for name, value in CHANGES.items()
    ]
    keys = {remembered.key(one) for one in (source, *changed)}
    assert len(keys) == len(CHANGES) + 1
    save(tmp_path / "net.pt", random_model(4))
    (tmp_path / "rows.npz").write_bytes(b"other rows")
    assert remembered.key(source) not in keys
    assert remembered.key(replace(source, data=tmp_path / "rows.npz")) not in keys


def test_another_program_and_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    here, there = (Source(save(tmp_path / place / "net.pt"), Widths()) for place in (".", "there"))
    assert remembered.key(here) == remembered.key(there)
    before = remembered.key(here)
    monkeypatch.setattr(versions, "program_digest", lambda: "another")
    assert remembered.key(here) != before


def test_what_is_damaged_is_read_again(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "net.pt")
    first = qap2fpga.load(path, quiet=True)
    assert taken(first.source) is not None
    # As of an entry whose digests are right, written by something else.
    monkeypatch.setattr(cache, "_read", lambda place, key: ({"facts": {}, "comparisons": []}, {}))
    assert taken(first.source) is None
    monkeypatch.undo()
    monkeypatch.setenv(cache.FOLDER, str(kept))
    monkeypatch.setenv(cache.LIMIT, "10")
    (entry,) = kept.glob("*/*/files/network.npz")
    entry.write_bytes(entry.read_bytes()[:-1])
    assert taken(first.source) is None


def test_a_file_that_changes_while_it_is_read_is_read_again(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a training overwrites its checkpoint: the network of the old file is not kept for the new one."""
    path, read = save(tmp_path / "net.pt"), prepare.prepare

    def overwritten(*given: Any) -> prepare.Prepared:
        prepared = read(*given)
        save(path, random_model(4))
        return prepared

    monkeypatch.setattr(prepare, "prepare", overwritten)
    first = qap2fpga.load(path, quiet=True)
    monkeypatch.setattr(prepare, "prepare", read)
    assert taken(first.source) is None
    rows = random_model(4).example
    assert not np.array_equal(qap2fpga.load(path, quiet=True).run(rows), first.run(rows))


def test_without_a_cache_nothing_is_kept(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.LIMIT, "0")
    qap2fpga.load(save(tmp_path / "net.pt"), quiet=True)
    assert not kept.exists()
    monkeypatch.setenv(cache.LIMIT, "10")
    no_reading(monkeypatch)
    with pytest.raises(AssertionError, match="it is read again"):
        qap2fpga.load(tmp_path / "net.pt", quiet=True)


def test_a_file_that_cannot_be_read_says_so_each_time(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    said = []
    for _ in range(2):
        with pytest.raises(qap2fpga.QapError) as error:
            qap2fpga.load(tmp_path / "bad.pt", quiet=True)
        said.append(str(error.value))
    assert said[0] == said[1]
