# SPDX-License-Identifier: Apache-2.0
"""Work in processes: all of it is done, whatever dies, and nothing outlives the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qap2fpga.system.processes import each
from tests.conftest import ROOT
from tests.support.pool_work import sleep, square

RUN = "from pathlib import Path; from qap2fpga.system.processes import each\n" \
    "from tests.support.pool_work import sleep\n" \
    "if __name__ == '__main__': each(sleep, [Path({0!r})] * 2, 2, print)"  # fmt: skip


def test_everything_is_done_and_what_dies_takes_nothing_with_it() -> None:
    results: dict[int, int | None] = {}
    each(square, [1, 2, 13, 3, 4], 2, lambda item, result: results.update({item: result}))
    assert results == {1: 1, 2: 4, 13: None, 3: 9, 4: 16}


def test_nothing_to_do_is_done() -> None:
    each(square, [], 2, lambda item, result: pytest.fail("called"))


def test_an_exception_here_ends_what_runs_there(tmp_path: Path) -> None:
    def stop(item: Path, result: None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each(_quick_or_slow, [None, tmp_path], 2, stop)
    assert _gone(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_command(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(RUN.format(str(tmp_path)))
    command = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    _wait_for(lambda: len(list(tmp_path.glob("log-*"))) == 2)
    command.send_signal(how)
    command.wait(30)
    assert _gone(tmp_path)


def _quick_or_slow(folder: Path | None) -> None:
    if folder is not None:
        sleep(folder)


def _gone(folder: Path) -> bool:
    """Whether the processes that began in `folder`, and the programs that they run there, end soon."""
    return _wait_for(lambda: not any(_in(folder, Path(place)) for place in Path("/proc").glob("[0-9]*")))


def _in(folder: Path, process: Path) -> bool:
    try:
        known = (folder / f"begun-{process.name}").exists()
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and (known or Path(os.readlink(process / "cwd")) == folder)
    except OSError:
        return False


def _wait_for(wanted) -> bool:
    for _ in range(600):
        if wanted():
            return True
        time.sleep(0.05)
    return False
