# SPDX-License-Identifier: Apache-2.0
"""The cache of all builds gives back what was left, and nothing else, and takes no more room than it may."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.system import cache
from qap2fpga.system.cache import ENTRY, FILES, Cache
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256

KEYS = [f"{number:02x}" * 16 for number in range(5)]
RESULT = {"cells": {"": {"LUT6": 3}}, "netlist": ["synthesize/a.v"]}


def accepts(files: Path) -> None:
    assert files.is_dir()


def kept(place: Cache, folder: Path, key: str = KEYS[0], content: str = "module a; endmodule") -> None:
    file = folder / "left" / "synthesize" / "a.v"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    place.keep(key, RESULT, {"synthesize/a.v": sha256(file)}, folder / "left")


def test_what_was_left_is_taken_by_another_folder(tmp_path: Path) -> None:
    place = Cache(tmp_path / "cache")
    assert place.take(KEYS[0], tmp_path / "other", accepts) is None
    kept(place, tmp_path)
    shutil.rmtree(tmp_path / "left")
    assert place.take(KEYS[0], tmp_path / "other", accepts) == RESULT
    assert (tmp_path / "other" / "synthesize" / "a.v").read_text() == "module a; endmodule"
    assert place.take(KEYS[1], tmp_path / "other", accepts) is None
    assert [path.name for path in place.folder.iterdir()] == [KEYS[0][:2]], "nothing unfinished stays"


def test_who_refuses_it_gets_nothing(tmp_path: Path) -> None:
    place = Cache(tmp_path / "cache")
    kept(place, tmp_path)

    def refuses(files: Path) -> None:
        raise QapError("too large")

    with pytest.raises(QapError, match="too large"):
        place.take(KEYS[0], tmp_path / "other", refuses)
    assert not (tmp_path / "other").exists()
    assert place.take(KEYS[0], tmp_path / "other", accepts) == RESULT


def changed(**fields: Any) -> Callable[[Path], None]:
    def change(entry: Path) -> None:
        content = json.loads((entry / ENTRY).read_text())
        (entry / ENTRY).write_text(json.dumps(content | fields))

    return change


@pytest.mark.parametrize("damage", [
    lambda entry: (entry / FILES / "synthesize" / "a.v").write_text("module b; endmodule"),
    lambda entry: (entry / FILES / "synthesize" / "a.v").unlink(),
    lambda entry: (entry / ENTRY).write_text("{"),
    lambda entry: (entry / ENTRY).write_text("[]"),
    changed(result={"cells": {}}), changed(key=KEYS[1]), changed(files={}), changed(files=3),
    changed(files={"../../left/synthesize/a.v": "0"}), changed(digest=""),
])  # fmt: skip
def test_what_is_not_as_it_was_left_is_thrown_away(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    place = Cache(tmp_path / "cache")
    kept(place, tmp_path)
    entry = place.folder / KEYS[0][:2] / KEYS[0]
    damage(entry)
    assert place.take(KEYS[0], tmp_path / "other", accepts) is None
    assert not entry.exists() and not (tmp_path / "other").exists()


def test_what_was_taken_longest_ago_goes_first(tmp_path: Path) -> None:
    place = Cache(tmp_path / "cache", limit=4500)
    for at, key in enumerate(KEYS[:3]):
        kept(place, tmp_path, key, "x" * 1000)
        os.utime(place.folder / key[:2] / key, (at, at))
    assert place.take(KEYS[0], tmp_path / "other", accepts) == RESULT
    kept(place, tmp_path, KEYS[3], "x" * 1000)
    known = [key for key in KEYS if place.take(key, tmp_path / "other", accepts) is not None]
    assert known == [KEYS[0], KEYS[2], KEYS[3]]


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    place = Cache(tmp_path / "cache")
    kept(place, tmp_path)
    kept(place, tmp_path, content="another")
    assert place.take(KEYS[0], tmp_path / "other", accepts) == RESULT
    assert (tmp_path / "other" / "synthesize" / "a.v").read_text() == "module a; endmodule"


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = Cache(tmp_path / "file" / "cache")
    kept(place, tmp_path)
    assert place.take(KEYS[0], tmp_path / "other", accepts) is None


@pytest.mark.parametrize("limit", ["many", "-1", "", "1e3", "٣", "1" * 5000])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv(cache.LIMIT, limit)
    with pytest.raises(QapError, match="QAP2FPGA_CACHE_MIB is"):
        cache.users()


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.users() is None, "tests have none"
    monkeypatch.setenv(cache.LIMIT, "3")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "mine"))
    assert cache.users() == Cache(tmp_path / "mine", 3 << 20)
    monkeypatch.delenv(cache.FOLDER)
    monkeypatch.delenv(cache.LIMIT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache.users() == Cache(tmp_path / "caches" / "qap2fpga", 2 << 30)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.users() == Cache(tmp_path / ".cache" / "qap2fpga", 2 << 30)
