# SPDX-License-Identifier: Apache-2.0
"""A build folder: one writer, whole results or none, reuse only under the same key."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.build.folder import BuildFolder, Shared, stored
from qap2fpga.system import files
from qap2fpga.system import versions as stamps
from qap2fpga.system.cache import Cache
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from qap2fpga.system.versions import digest

Say = Callable[[str], None]


def folder(path: Path) -> BuildFolder:
    return BuildFolder(path, Progress(quiet=True))


def never(_say: Say) -> Any:
    raise AssertionError("this stage was to be reused")


def test_a_result_is_reused_under_its_key_only(tmp_path: Path) -> None:
    place = tmp_path / "build"
    with folder(place) as build:
        assert build.stage("one", "One", "key", lambda say: {"a": 1}) == {"a": 1}
        assert build.stage("one", "One", "key", never) == {"a": 1}
    with folder(place) as build:
        assert build.stage("one", "One", "key", never) == {"a": 1}
        assert build.stage("one", "One", "other key", lambda say: {"a": 2}) == {"a": 2}
        assert build.result("one", "key") is None


def test_a_stage_that_fails_is_not_there_any_more(tmp_path: Path) -> None:
    """Its older result described files that the failed run may have changed."""
    with folder(tmp_path / "build") as build:
        build.stage("one", "One", "key", lambda say: 1)
        with pytest.raises(ZeroDivisionError):
            build.stage("one", "One", "other", lambda say: 1 // 0)
        assert build.result("one", "key") is None
        assert build.stage("one", "One", "key", lambda say: 3) == 3


def test_results_are_plain_values(tmp_path: Path) -> None:
    given = {"path": Path("a/b"), "number": np.float64(0.5), "count": np.int64(3), "pair": (1, None), "yes": np.True_}
    with folder(tmp_path / "build") as build:
        stage = build.stage("one", "One", "key", lambda say: given)
        assert stage == {"path": "a/b", "number": 0.5, "count": 3, "pair": [1, None], "yes": True}
        assert build.stage("one", "One", "key", never) == stage


@pytest.mark.parametrize("content", ["", "{", '{"key": "key"', "[]", "\x00"])
def test_a_damaged_result_is_made_again(tmp_path: Path, content: str) -> None:
    with folder(tmp_path / "build") as build:
        build.stage("one", "One", "key", lambda say: 1)
        (tmp_path / "build" / ".qap2fpga" / "one.json").write_text(content)
        assert build.stage("one", "One", "key", lambda say: 2) == 2


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "build"
    with folder(place) as first:
        first.stage("one", "One", "key", lambda say: 1)
        with pytest.raises(QapError, match=f"another build is writing {place}"), folder(place):
            pass
        assert first.stage("one", "One", "key", never) == 1
    with folder(place):
        pass


def test_a_writer_that_was_killed_does_not_keep_the_lock(tmp_path: Path) -> None:
    place = tmp_path / "build"
    code = (
        "import os, sys; from pathlib import Path; from qap2fpga.build.folder import BuildFolder\n"
        "from qap2fpga.system.progress import Progress\n"
        "with BuildFolder(Path(sys.argv[1]), Progress(quiet=True)) as folder:\n"
        "    folder.stage('a', 'A', 'k', lambda say: 1); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, place], check=False).returncode == 9
    with folder(place) as build:
        assert build.stage("a", "A", "k", never) == 1


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(QapError, match="holds something else than a build"), folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_an_empty_folder_is_used_and_kept(tmp_path: Path) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    with pytest.raises(ZeroDivisionError), folder(place) as build:
        build.stage("one", "One", "key", lambda say: 1 // 0)
    assert place.is_dir()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QapError, match="is a file"), folder(tmp_path / "file"):
        pass
    with pytest.raises(QapError, match=r"cannot write .*Not a directory"), folder(tmp_path / "file" / "below"):
        pass


def test_what_the_run_made_and_left_without_a_result_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder(tmp_path / "a" / "b") as build:
        (build.path / "half").write_text("x")
        build.stage("one", "One", "key", lambda say: 1 // 0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("")
    with pytest.raises(ZeroDivisionError), folder(tmp_path / "a" / "b") as build:
        build.stage("one", "One", "key", lambda say: 1 // 0)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]


def test_a_finished_stage_is_kept_when_a_later_one_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder(tmp_path / "build") as build:
        build.stage("one", "One", "key", lambda say: 1)
        build.stage("two", "Two", "key", lambda say: 1 // 0)
    with folder(tmp_path / "build") as build:
        assert build.stage("one", "One", "key", never) == 1


def test_a_disk_that_is_full_at_the_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    def full(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "lock":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(QapError, match="No space left"), folder(tmp_path / "a" / "b"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "er" / "file"
    files.write_atomically(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644

    class Full:
        """A stream on a full disk."""

        def __init__(self, handle: int, _mode: str) -> None:
            self.handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self.handle)

        def write(self, data: bytes) -> None:
            os.write(self.handle, data[:1])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", Full)
    with pytest.raises(QapError, match=r"cannot write .*No space left on device"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_digests_tell_values_apart() -> None:
    assert digest(1, {"a": 2, "b": 3}) == digest(1, {"b": 3, "a": 2})
    parts = [(), (1,), ("1",), (None,), ([1, 2],), ([1], 2), ({"a": 1},), (1.0, 2), (Path("a"),)]
    assert len({digest(*part) for part in parts}) == len(parts)


def test_a_changed_program_does_not_reuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, flows = tmp_path / "package", tmp_path / "flows"
    shutil.copytree(files.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(files.shipped("flows"), flows)
    monkeypatch.setattr(stamps, "PACKAGE", copy)
    monkeypatch.setattr(stamps, "shipped", lambda _name: flows)
    before = stamps.program_digest()
    assert before == stamps.program_digest()
    (copy / "ir" / "graph.py").write_text((copy / "ir" / "graph.py").read_text() + "\n")
    changed = stamps.program_digest()
    assert changed != before
    source = next(flows.rglob("*.v"))
    source.write_text(source.read_text() + "\n")
    assert stamps.program_digest() not in (before, changed)


def test_versions_are_those_installed() -> None:
    stamps_found = stamps.versions()
    assert stamps_found["numpy"] == np.__version__
    assert set(stamps_found) == {"qap2fpga", *stamps.TOOLS}
    json.dumps(stamps_found)


def leaves(place: Path, content: str) -> Callable[[Say], Any]:
    """Work that writes a file and a folder of one, and returns what it wrote."""

    def work(_say: Say) -> Any:
        (place / "deep" / "er").mkdir(parents=True, exist_ok=True)
        for name in ("flat", "deep/er/file"):
            (place / name).write_text(content)
        return {"content": content, "names": ["flat", "deep"]}

    return work


def same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_text("B" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("named", [("flat", "deep"), lambda result: result["names"]])
@pytest.mark.parametrize("name", ["flat", "deep/er/file"])
@pytest.mark.parametrize(
    "change",
    [Path.unlink, lambda path: path.write_text("other"), same_size_and_time],
    ids=["gone", "other", "same size"],
)
def test_a_file_that_is_not_as_it_was_left_is_made_again(tmp_path: Path, named: Any, name: str, change: Any) -> None:
    place = tmp_path / "build"
    with folder(place) as build:
        stage = build.stage("one", "One", "key", leaves(place, "A"), named)
        assert build.stage("one", "One", "key", never, named) == stage
        (place / "deep" / "beside").write_text("of a later stage")
        assert build.stage("one", "One", "key", never, named) == stage
        change(place / name)
        assert build.result("one", "key") is None
        assert build.stage("one", "One", "key", leaves(place, "A"), named) == stage
        assert (place / name).read_text() == "A"
        assert build.stage("one", "One", "key", never, named) == stage


@pytest.mark.parametrize("part", ["result", "files", "key", "digest"])
def test_a_record_that_is_not_as_it_was_left_is_made_again(tmp_path: Path, part: str) -> None:
    place, record = tmp_path / "build", tmp_path / "build" / ".qap2fpga" / "one.json"
    with folder(place) as build:
        build.stage("one", "One", "key", leaves(place, "A"), ("flat", "deep"))
        whole = json.loads(record.read_text())
        changed = {"result": {"mismatches": 0}, "files": {}, "key": "other", "digest": "0" * 32}[part]
        record.write_text(json.dumps(whole | {part: changed}))
        assert build.result("one", "key") is None
        record.write_text(json.dumps({name: value for name, value in whole.items() if name != part}))
        assert build.result("one", "key") is None
        record.write_text(json.dumps(whole))
        assert build.result("one", "key") == whole["result"]


def test_a_scratch_folder_is_of_one_build_and_leaves_only_what_is_moved_out(tmp_path: Path) -> None:
    (tmp_path / f"{files.SCRATCH}of-a-killed-run").mkdir()
    (tmp_path / f"{files.SCRATCH}of-a-killed-run" / "netlist.v").write_text("another model's")
    with files.scratch(tmp_path) as place:
        assert [path.name for path in tmp_path.iterdir()] == [place.name] and not list(place.iterdir())
        (place / "netlist.v").write_text("mine")
        (place / "job").write_text("")
        (place / "netlist.v").replace(tmp_path / "netlist.v")
    assert [path.name for path in tmp_path.iterdir()] == ["netlist.v"]
    with pytest.raises(ZeroDivisionError), files.scratch(tmp_path):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["netlist.v"]


def test_lines_are_added_to_a_file_that_a_kill_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "new" / "er" / "lines"
    assert files.read_json_lines(path) == []
    for value in ({"a": 1}, [2]):
        files.append_json(path, value)
    path.write_bytes(path.read_bytes() + b'{"cut": ')
    files.append_json(path, 3)
    assert files.read_json_lines(path) == [{"a": 1}, [2], 3]
    with pytest.raises(QapError, match="cannot write"):
        files.append_json(path / "below", 4)


def test_a_build_that_did_not_get_so_far(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="there is no build of a model in ") as caught:
        stored(tmp_path, "generate", "build it")
    assert caught.value.hint == "build it"
    (tmp_path / ".qap2fpga").mkdir()
    with pytest.raises(QapError, match="the build ended before its stage 'generate'") as caught:
        stored(tmp_path, "generate", "build it")
    assert "without --until" in caught.value.hint


def test_a_record_without_a_result_is_refused(tmp_path: Path) -> None:
    record = tmp_path / ".qap2fpga" / "one.json"
    record.parent.mkdir()
    for content, message in (("{}", "is no record of a stage"), ("[]", "one.json"), ("", "one.json")):
        record.write_text(content)
        with pytest.raises(QapError, match=message):
            stored(tmp_path, "one", "hint")
    record.write_text('{"result": 5}')
    assert stored(tmp_path, "one", "hint") == 5


def shared(path: Path, place: Path, work: Callable[[Say], Any], **changes: Any) -> Any:
    """What a stage in the folder `path` gives, which leaves `a.v`; its cache is in `place`."""
    with BuildFolder(path, Progress(quiet=True), Cache(place)) as build:
        one = Shared("ab" * 16, **changes)
        return build.stage("one", "One", "key", work, lambda result: ["a.v"], shared=lambda: one)


def making(path: Path) -> Callable[[Say], Any]:
    def work(_say: Say) -> Any:
        (path / "a.v").write_text("module a; endmodule")
        return {"cells": 3}

    return work


def test_another_folder_takes_what_is_in_the_cache_and_then_has_it_itself(tmp_path: Path) -> None:
    first, second, place = (tmp_path / name for name in ("first", "second", "cache"))
    assert shared(first, place, making(first)) == {"cells": 3}
    shutil.rmtree(first)
    assert shared(second, place, never) == {"cells": 3}
    assert (second / "a.v").read_text() == "module a; endmodule"
    shutil.rmtree(place)
    assert shared(second, place, never) == {"cells": 3}
    (second / "a.v").write_text("another")
    assert shared(second, place, making(second)) == {"cells": 3}


def test_what_is_not_to_be_kept_is_made_again(tmp_path: Path) -> None:
    first, second, place = (tmp_path / name for name in ("first", "second", "cache"))
    shared(first, place, making(first), keeps=lambda result: result["cells"] > 3)
    with pytest.raises(AssertionError, match="was to be reused"):
        shared(second, place, never)


def test_a_build_that_refuses_what_is_in_the_cache_keeps_what_it_has(tmp_path: Path) -> None:
    first, second, place = (tmp_path / name for name in ("first", "second", "cache"))
    shared(first, place, making(first))
    with folder(second) as build:
        build.stage("one", "One", "older", lambda say: 1)
    (second / "report.json").write_text("of the older one")

    def refuses(files: Path) -> None:
        raise QapError("too large")

    with pytest.raises(QapError, match="too large"):
        shared(second, place, never, accept=refuses)
    assert stored(second, "one") == 1 and (second / "report.json").is_file()
