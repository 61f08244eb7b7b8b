# SPDX-License-Identifier: Apache-2.0
"""What SIGKILL leaves: no process, no result under another's key, and a build that goes on to the same bytes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qap2fpga.build import folder as stages
from qap2fpga.build.folder import BuildFolder
from qap2fpga.frontend.checkpoint import writing
from qap2fpga.system import locks, supervisor
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from tests.support.leftovers import alive, marked, wait_for
from tests.support.networks import random_model
from tests.unit.system.test_programs import program

# What a tool may start: a child, one in a session of its own, and a daemon whose parent has ended.
FAMILY = "sleep 600 & setsid sleep 600 & (setsid sleep 600 &) \ntouch begun\nexec sleep 600"
RUNS = (
    "import sys; from pathlib import Path; from qap2fpga.system import programs as tools; place = Path(sys.argv[1])\n"
    "tools.run([place / 'tool'], log=place / 'log', folder=place, time_limit_s=600)"
)
BUILDS = (
    "import sys; from pathlib import Path; from qap2fpga.system import programs as tools\n"
    "from qap2fpga.system.progress import Progress; from qap2fpga.build.folder import BuildFolder\n"
    "place = Path(sys.argv[1])\n"
    "def work(say): tools.run([place / 'tool'], log=place / 'log', folder=place, time_limit_s=600)\n"
    "with BuildFolder(place / 'build', Progress(quiet=True)) as folder:\n"
    "    folder.stage('first', 'First', 'key', lambda say: 1); folder.stage('second', 'Second', 'key', work)"
)
HOLDS = (
    "import sys; from pathlib import Path; from qap2fpga.system.processes import each\n"
    "from tests.support.pool_work import hold\n"
    "if __name__ == '__main__': each(hold, [Path(sys.argv[1])] * 2, 2, print)"
)


def start(script: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """`script` in a process of its own, which gets `folder`."""
    (folder / "script.py").write_text(script)
    return subprocess.Popen([sys.executable, folder / "script.py", folder], env=environment)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(30)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_nothing_of_a_tool_outlives_the_process_that_ran_it(tmp_path: Path, how: signal.Signals) -> None:
    program(tmp_path / "tool", FAMILY)
    environment = marked()
    process = start(RUNS, tmp_path, environment)
    assert wait_for((tmp_path / "begun").exists)
    # The process, its tool's supervisor, the tool, and its three.
    assert wait_for(lambda: len(alive(environment)) == 6)
    process.send_signal(how)
    process.wait(30)
    assert wait_for(lambda: not alive(environment)), alive(environment)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.003, 0.006, 0.01, 0.02, 0.05])
def test_nor_when_it_is_killed_while_it_starts_one(tmp_path: Path, seconds: float) -> None:
    program(tmp_path / "tool", FAMILY)
    environment = marked()
    process = start(RUNS, tmp_path, environment)
    assert wait_for((tmp_path / "log").exists)
    time.sleep(seconds)
    kill(process)
    assert wait_for(lambda: not alive(environment)), alive(environment)


def test_a_tool_that_ends_leaves_nothing_of_it(tmp_path: Path) -> None:
    """A daemon that it made would write on where the next stage reads."""
    environment = marked()
    tool = program(tmp_path / "tool", "(setsid sleep 600 &)\nsetsid sleep 600 &\necho done")
    ended = tools.execute([tool], log=tmp_path / "log", folder=tmp_path, time_limit_s=60, environment=environment)
    assert ended == tools.Ended("done\n", 0)
    assert not alive(environment)


def test_a_supervisor_that_is_killed_takes_its_tool_with_it(tmp_path: Path) -> None:
    environment = marked()
    process = start(RUNS, tmp_path, environment)
    program(tmp_path / "tool", "touch begun\nexec sleep 600")
    assert wait_for((tmp_path / "begun").exists)
    over = next(number for number, line in alive(environment).items() if "supervisor.py" in line)
    os.kill(over, signal.SIGKILL)
    assert process.wait(30) != 0
    assert wait_for(lambda: not alive(environment)), alive(environment)


def test_a_signal_to_a_supervisor_alone_does_not_end_it(tmp_path: Path) -> None:
    """Alone it would leave what it watches; whoever means all of it ends the command too."""
    environment = marked()
    process = start(RUNS, tmp_path, environment)
    program(tmp_path / "tool", "touch begun\nwhile [ ! -f go ]; do sleep 0.05; done")
    assert wait_for((tmp_path / "begun").exists)
    over = next(number for number, line in alive(environment).items() if "supervisor.py" in line)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(over, number)
    (tmp_path / "go").touch()
    assert process.wait(30) == 0


def test_a_tool_gets_the_signals_as_any_program_does(tmp_path: Path) -> None:
    """Nothing of the supervisor's own is handed on: no ignored signal, no open file, and a group of its own."""
    script = (
        "import os, signal\n"
        "print([int(n) for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN])\n"
        "print(sorted(set(map(int, os.listdir('/proc/self/fd'))) - {0, 1, 2})[1:], os.getpgrp() == os.getpid())"
    )
    plain = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, process_group=0)
    command = [sys.executable, "-c", script]
    assert tools.run(command, log=tmp_path / "log", folder=tmp_path, time_limit_s=60) == plain.stdout
    assert "True" in plain.stdout


def test_a_process_whose_parent_has_ended_already_ends_too() -> None:
    child = os.fork()
    if not child:
        supervisor.die_with(1 if os.getppid() != 1 else 2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_what_prctl_refuses_is_an_error() -> None:
    with pytest.raises(OSError, match="prctl"):
        supervisor.prctl(supervisor.PR_SET_PDEATHSIG, 4711)


def test_a_worker_ends_even_where_foreign_code_keeps_its_threads_from_running(tmp_path: Path) -> None:
    environment = marked()
    process = start(HOLDS, tmp_path, environment)
    assert wait_for(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    kill(process)
    assert wait_for(lambda: not alive(environment), 10), alive(environment)


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """The folder of a killed build, and the supervisor of its tool, which is stopped: they still write there."""
    environment = marked()
    program(tmp_path / "tool", "touch begun\nexec sleep 600")
    # Its parent from then on, in its session: the system wakes what is stopped and has no such parent left.
    supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1)
    process = start(BUILDS, tmp_path, environment)
    assert wait_for((tmp_path / "begun").exists)
    over = next(number for number, line in alive(environment).items() if "supervisor.py" in line)
    os.kill(over, signal.SIGSTOP)
    kill(process)
    yield tmp_path / "build", over
    os.kill(over, signal.SIGCONT)
    os.waitpid(over, 0)
    supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 0)
    assert wait_for(lambda: not alive(environment)), alive(environment)


def test_a_folder_is_not_written_while_tools_of_a_killed_build_are_there(
    stopped: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, over = stopped
    monkeypatch.setattr(locks, "ENDING_S", 0.3)
    with pytest.raises(QapError, match="another build is writing"), BuildFolder(place, Progress(quiet=True)):
        pass
    os.kill(over, signal.SIGCONT)
    monkeypatch.undo()
    with BuildFolder(place, Progress(quiet=True)) as folder:
        assert (folder.result("first", "key"), folder.result("second", "key")) == (1, None)


def test_who_comes_right_after_a_kill_waits_for_the_tools(stopped: tuple[Path, int]) -> None:
    place, over = stopped
    later = subprocess.Popen(
        [sys.executable, "-c", f"import os, time; time.sleep(1); os.kill({over}, {signal.SIGCONT})"]
    )
    with BuildFolder(place, Progress(quiet=True)):
        assert later.wait(30) == 0


def test_a_build_that_lives_is_not_waited_for(tmp_path: Path) -> None:
    with BuildFolder(tmp_path / "build", Progress(quiet=True)):
        begin = time.monotonic()
        with pytest.raises(QapError, match="another build"), BuildFolder(tmp_path / "build", Progress(quiet=True)):
            pass
        assert time.monotonic() - begin < 5
    assert not tools.locks
    with (tmp_path / "build" / stages.MARK / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def builds(model: Path, output: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A build of `model` up to its netlist's simulation, in a process of its own."""
    command = [sys.executable, "-m", "qap2fpga", "build", model, "--backend", "rtl", "--board", "pynq-z2"]
    return subprocess.Popen([*command, "--output", output, "--quiet"], env=environment)


def recorded(place: Path) -> dict[str, tuple[str, str]]:
    """Key, and digests of the files, of each stage; what it took is in some of the results."""
    records = {path.stem: json.loads(path.read_text()) for path in (place / stages.MARK).glob("*.json")}
    return {name: (one["key"], json.dumps(one["files"])) for name, one in records.items()}


def written(place: Path) -> dict[Path, int]:
    """When each record of a stage was written, which a stage that runs again writes anew."""
    return {path: path.stat().st_mtime_ns for path in (place / stages.MARK).glob("*.json")}


@pytest.mark.slow
def test_builds_killed_anywhere_leave_no_process_and_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    """Before it another model's build was killed in the same folder, while Yosys ran."""
    environment, moments, (first, model) = marked(), random.Random(11), (tmp_path / "first.pt", tmp_path / "second.pt")
    for seed, path in ((5, first), (6, model)):
        writing.write(random_model(seed, widths=(4, 6, 3), bits=3, rows=64), path, None, {})
    begin = time.monotonic()
    assert builds(model, tmp_path / "undisturbed", environment).wait(600) == 0
    took, place = time.monotonic() - begin, tmp_path / "made"

    killed = builds(first, place, environment)
    assert wait_for(lambda: any("worker.py" in line for line in alive(environment).values()), 300)
    time.sleep(moments.random())
    kill(killed)
    for _ in range(4):
        one = builds(model, place, environment)
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert one.wait(moments.uniform(0.1, 0.7) * took) == 0, "it refused to go on"
        kill(one)
        assert wait_for(lambda: not alive(environment)), alive(environment)
    assert builds(model, place, environment).wait(600) == 0
    assert recorded(place) == recorded(tmp_path / "undisturbed")
    assert (place / "report.json").read_bytes() == (tmp_path / "undisturbed" / "report.json").read_bytes()
    before = written(place)
    assert builds(model, place, environment).wait(600) == 0
    assert written(place) == before, "it did not find what is there"
    netlist = place / json.loads((place / stages.MARK / "synthesize.json").read_text())["result"]["netlist"][0]
    whole = netlist.read_bytes()
    netlist.write_bytes(whole.replace(b"LUT", b"lut", 1))
    assert builds(model, place, environment).wait(600) == 0
    assert netlist.read_bytes() == whole


STUDIES = (
    "import sys; from pathlib import Path; from qap2fpga.train.runner import Job, open_runner\n"
    "from tests.support.study_work import train_on\n"
    "if __name__ == '__main__':\n"
    "    place = Path(sys.argv[1]); marker = place / 'marker'; marker.touch()\n"
    "    with open_runner(marker, print, workers=2) as runner:\n"
    "        for name in ('one', 'two'): runner.submit(Job(name, {}, place / 'runs' / name), train_on)\n"
    "        list(runner.outcomes())"
)


@pytest.mark.slow
def test_trainings_of_a_study_end_with_it(tmp_path: Path) -> None:
    environment = marked()
    process = start(STUDIES, tmp_path, environment)
    assert wait_for(lambda: len(list(tmp_path.glob("runs/*/begun"))) == 2, 120), alive(environment)
    kill(process)
    assert wait_for(lambda: not alive(environment)), alive(environment)
