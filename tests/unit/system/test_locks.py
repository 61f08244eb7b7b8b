# SPDX-License-Identifier: Apache-2.0
"""A folder that another process is writing is refused, or waited for; a killed process holds none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qap2fpga.system import locks
from qap2fpga.system.errors import QapError
from qap2fpga.system.locks import locked


def test_a_locked_folder(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from qap2fpga.system.locks import locked\n"
    hold = code + "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, tmp_path / "f"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(QapError, match="another process is writing"), locked(tmp_path / "f"):
            pass
        holder.kill()
    with locked(tmp_path / "f", wait=True), pytest.raises(QapError, match="another"), locked(tmp_path / "f"):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QapError, match="cannot write"), locked(tmp_path / "file" / "f"):
        pass


def test_two_files_are_two_locks_and_the_message_says_who_writes(tmp_path: Path) -> None:
    with locked(tmp_path), locked(tmp_path, file=".lock"):
        with (
            pytest.raises(QapError, match="another run is writing"),
            locked(tmp_path, file=".lock", other="another run"),
        ):
            pass
        assert (tmp_path / ".lock").read_text() == (tmp_path / ".in-use").read_text()


def test_a_lock_names_its_process_and_that_of_a_dead_one_is_waited_for_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ENDING_S", 0.2)
    path = tmp_path / "made" / "lock"
    with locks.acquire(path) as held:
        assert path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(BlockingIOError):
            locks.acquire(path)
        # As of a process that was killed, whose programs still have its lock.
        held.truncate(0)
        with pytest.raises(BlockingIOError):
            locks.acquire(path)
    with locks.acquire(path):
        assert path.read_text() == f"{os.getpid()}\n"
