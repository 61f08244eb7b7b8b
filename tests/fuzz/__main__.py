# SPDX-License-Identifier: Apache-2.0
"""Damage inputs and read them. What ends in anything but a message for people, or takes too long, is a failure.

    python -m tests.fuzz --cases 2000 [--reader NAME] [--seed S] [--case N]

A failure is told with reader, seed and case, which repeat it.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from qap2fpga.system.errors import QapError
from tests.fuzz.readers import Reader, case, quietly, readers

LIMIT_S = 60
LIMIT_MIB = 2048


class Hung(BaseException):
    """A case took longer than `LIMIT_S`."""


def main() -> int:
    """Run the cases, print a JSON line for each failure and one for each reader, and return the exit code."""
    every = {one.name: one for one in readers()}
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--reader", choices=every, action="append", help="one of the readers [all]")
    parser.add_argument("--cases", type=int, default=2000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="only this case of the reader, to repeat it")
    asked = parser.parse_args()
    signal.signal(signal.SIGALRM, _hung)
    warnings.simplefilter("ignore")
    chosen = [every[name] for name in asked.reader or every]
    share = -(-asked.cases // len(chosen))
    numbers = range(share) if asked.case is None else (asked.case,)
    failures = sum(_run(one, asked.seed, numbers) for one in chosen)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    _say(reader="all", failures=failures, peak_mib=mib)
    return int(bool(failures) or mib > LIMIT_MIB)


def _run(reader: Reader, seed: int, numbers: Any) -> int:
    """Run cases of one reader, and return how many failed."""
    begin, failures, refused = time.process_time(), 0, 0
    for number in numbers:
        what, error = _one(reader, seed, number)
        refused += isinstance(error, QapError)
        if error is not None and not isinstance(error, QapError):
            failures += 1
            told = traceback.format_exception(error)[-4:]
            _say(reader=reader.name, seed=seed, case=number, damage=what, error="".join(told))
    _say(reader=reader.name, cases=len(numbers), refused=refused, failures=failures,
         seconds=round(time.process_time() - begin, 1))  # fmt: skip
    return failures


def _one(reader: Reader, seed: int, number: int) -> tuple[str, BaseException | None]:
    """Return what was damaged, and what reading it raised."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "case"
        folder.mkdir()
        what = case(reader, Random(f"{reader.name}:{seed}:{number}"), folder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(LIMIT_S)
        try:
            quietly(reader.read, folder)
        # Whatever comes out is what is looked for.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return what, error
        finally:
            signal.alarm(0)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if after > before and after // 1024 > LIMIT_MIB:
            return what, MemoryError(f"{after // 1024} MiB")
        return what, None


def _hung(number: int, frame: object) -> NoReturn:
    raise Hung(f"more than {LIMIT_S} s")


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    sys.exit(main())
