# SPDX-License-Identifier: Apache-2.0
"""Files are written in one step; what is no file is written to where a user named it, and never replaced."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from qap2fpga.system import files
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import append_json, read_json_lines


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_is_not_replaced_by_a_file(pipe: Path) -> None:
    with pytest.raises(QapError, match="is a device or a pipe"):
        files.write_atomically(pipe, "new")
    assert pipe.is_fifo()


def test_a_file_is_made_with_its_folders_or_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for write in (files.write_atomically, files.write_where_asked):
        for content in ("a long first text", "short"):
            write(path, content)
            assert path.read_text() == content
    assert [one.name for one in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_new_name_is_written_in_one_step_and_a_link_is_followed(tmp_path: Path) -> None:
    before = tmp_path / "file"
    files.write_where_asked(before, "old")
    first = before.stat().st_ino
    files.write_where_asked(before, "new")
    assert before.stat().st_ino != first
    link = tmp_path / "link"
    link.symlink_to(before)
    files.write_where_asked(link, "through")
    assert link.is_symlink()
    assert before.read_text() == "through"
    new = tmp_path / "made" / "new"
    files.write_where_asked(new, "with its folder")
    assert new.read_text() == "with its folder"


def test_a_pipe_that_a_user_names_is_written_to(pipe: Path) -> None:
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    files.write_where_asked(pipe, "content")
    reader.join(10)
    assert read == ["content"]
    assert pipe.is_fifo()


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for write in (files.write_atomically, files.write_where_asked):
        with pytest.raises(QapError, match="folder"):
            write(tmp_path / "folder", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_cut_off_line_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lines.jsonl"
    assert read_json_lines(path) == []
    append_json(path, {"a": 1})
    append_json(path, {"a": 2})
    path.write_bytes(path.read_bytes()[:-4])
    append_json(path, {"a": 3})
    assert read_json_lines(path) == [{"a": 1}, {"a": 3}]
