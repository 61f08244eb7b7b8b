# SPDX-License-Identifier: Apache-2.0
"""A folder that another process is writing is refused, or waited for; a killed process holds none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qap2fpga.system.errors import QapError
from qap2fpga.system.locks import locked


def test_a_locked_folder(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from qap2fpga.system.locks import locked\n"
    hold = code + "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path / "f"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(QapError, match="another process is writing"), locked(tmp_path / "f"):
        pass
    holder.kill()
    holder.wait()
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
