# SPDX-License-Identifier: Apache-2.0
"""Calls in another process: what they return and raise, and that they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qap2fpga.exact import integers
from qap2fpga.system.beside import Beside, Here, beside_or_here, has_room
from qap2fpga.system.errors import QapError
from qap2fpga.system.processes import each
from qap2fpga.system.reading import json_object
from tests.conftest import ROOT
from tests.support.pool_work import room


def test_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pickle.py").write_text("raise SystemExit('a file of the working folder was imported')")
    with Beside(integers.width, -5, high=9) as one, Beside(os.getpid) as other:
        assert one.result() == integers.width(-5, 9) == 5
        assert other.result() not in (os.getpid(), None)


@pytest.mark.parametrize("kind", [Beside, Here])
def test_a_call_is_made_once_however_often_it_is_asked_for(
    tmp_path: Path, kind: type[Beside[None] | Here[None]]
) -> None:
    with kind((tmp_path / "file").touch, exist_ok=False) as one:
        one.result()
        one.result()
    assert (tmp_path / "file").exists()


def test_what_it_raises_is_raised_here(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[1]")
    with pytest.raises(QapError) as here:
        json_object(tmp_path / "none.json", "write it again")
    with pytest.raises(QapError) as raised, Beside(json_object, tmp_path / "none.json", "write it again") as one:
        one.result()
    assert (raised.value.message, raised.value.hint) == (here.value.message, here.value.hint)


def test_it_ends_with_the_context() -> None:
    with Beside(time.sleep, 1000) as one:
        assert one.process.poll() is None
    assert one.process.returncode == -signal.SIGKILL


def test_a_process_that_dies_is_named() -> None:
    with Beside(time.sleep, 1000) as one:
        one.process.kill()
        with pytest.raises(QapError, match="the process of 'sleep' ended with code -9"):
            one.result()


def test_there_is_room_for_as_many_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert has_room()
    with Beside(time.sleep, 1000):
        assert has_room()
        with Beside(time.sleep, 1000):
            assert not has_room()
        assert has_room()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert not has_room()


def test_where_there_is_no_room_the_call_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with beside_or_here(os.getpid) as here, beside_or_here(integers.width, -5, high=9) as other:
        assert isinstance(here, Here) and here.result() == os.getpid() and other.result() == 5
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with beside_or_here(os.getpid) as beside:
        assert isinstance(beside, Beside) and beside.result() != os.getpid()


def test_a_process_of_a_pool_leaves_no_room() -> None:
    rooms: list[bool | None] = []
    each(room, [1], 1, lambda _item, result: rooms.append(result))
    assert rooms == [False]


def test_what_it_prints_is_no_answer() -> None:
    with Beside(print, "text") as one:
        assert one.result() is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_when_this_process_does(tmp_path: Path, how: signal.Signals) -> None:
    """Even one that holds Python's lock, as foreign code may."""
    call = f"from pathlib import Path; Beside(hold, Path({str(tmp_path)!r})).result()"
    code = f"from qap2fpga.system.beside import Beside; from tests.support.pool_work import hold; {call}"
    command = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    wait_for(lambda: any(tmp_path.iterdir()))
    (begun,) = tmp_path.iterdir()
    command.send_signal(how)
    command.wait(30)
    wait_for(lambda: not is_running(begun.name.removeprefix("begun-")))


def is_running(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(wanted: Callable[[], bool]) -> None:
    for _ in range(600):
        if wanted():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about within half a minute")
