# SPDX-License-Identifier: Apache-2.0
"""A function of this program called in a process of its own, beside whatever goes on here.

It imports this program alone, not the user's script, so that it works wherever this program does. Function, arguments
and result are pickles between the two processes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import IO, Generic, ParamSpec, Self, TypeVar, cast

import qap2fpga
from qap2fpga.system.errors import QapError

Given = ParamSpec("Given")
Result = TypeVar("Result")
# Processes that are beside this one now.
_running: set[int] = set()


def python(module: str, *words: str) -> subprocess.Popen[bytes]:
    """Start `module` of this program as a program, with pipes to its standard input and output."""
    places = [str(Path(qap2fpga.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        # -P: a file in the working folder is no module of ours.
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
    )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that `python` has started."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def has_room() -> bool:
    """Return whether another process has a core to run on: not where this one is of a pool, which takes all."""
    return (os.cpu_count() or 1) > 1 + len(_running) and multiprocessing.parent_process() is None


class Beside(Generic[Result]):
    """A call of `function`, which is of a module of this program; a context, at whose end its process ends."""

    def __init__(self, function: Callable[Given, Result], *arguments: Given.args, **options: Given.kwargs) -> None:
        self.name = function.__qualname__.strip("_").replace("_", " ")
        call = pickle.dumps((function, arguments, options))
        self.process = python(__name__, str(os.getpid()))
        _running.add(self.process.pid)
        # `result` says where it has died.
        with contextlib.suppress(BrokenPipeError), cast(IO[bytes], self.process.stdin) as pipe:
            pipe.write(call)
        self.process.stdin = None
        self._answer: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self.process)
        _running.discard(self.process.pid)

    def result(self) -> Result:
        """Return what the function returned. Raises what it raised, and `QapError` where its process died."""
        if self._answer is None:
            self._answer, _ = self.process.communicate()
        if not self._answer:
            what = f"the process of '{self.name}' ended with code {self.process.returncode}"
            raise QapError(what, "perhaps for want of memory: close other programs, and try again")
        error, result = pickle.loads(self._answer)
        if error is not None:
            raise cast(BaseException, error)
        return cast(Result, result)


class Here(Generic[Result]):
    """The same call in this process, made when its result is first asked for: where there is no room for another."""

    def __init__(self, function: Callable[Given, Result], *arguments: Given.args, **options: Given.kwargs) -> None:
        self.result: Callable[[], Result] = cache(partial(function, *arguments, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_error: object) -> None:
        return


def beside_or_here(
    function: Callable[Given, Result], *arguments: Given.args, **options: Given.kwargs
) -> Beside[Result] | Here[Result]:
    """Return the call in a process beside this one if that has room, else one that is made here."""
    return (Beside if has_room() else Here)(function, *arguments, **options)


def _main(parent: int) -> None:
    """Do the call on the standard input, and write its error or result to the standard output."""
    from qap2fpga.system.supervisor import die_with

    die_with(parent)
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # for whatever prints
        error, result = None, None
        try:
            function, arguments, options = pickle.load(sys.stdin.buffer)
            result = function(*arguments, **options)
        except Exception as raised:  # noqa: BLE001 - whatever it is, `result` raises it
            error = raised
        pickle.dump((error, result), answer)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
