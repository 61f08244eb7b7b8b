# SPDX-License-Identifier: Apache-2.0
"""What Yosys is asked for in a process of its own, and what it answers: types here, JSON files between the processes.

A worker is a file that Python runs: it calls `serve`, the program calls `ask`. Yosys prints, and a fault of it cannot
take the program along.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qap2fpga.system import programs as tools
from qap2fpga.system.codec import Record, decode, encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PACKAGE, write_atomically


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """What a worker is asked for about the module `top`; all paths are absolute."""

    top: str


@dataclass(frozen=True, kw_only=True)
class Elaborate(Job):
    """Read `sources` and write the elaborated design to `rtlil`; answered by `Parts`."""

    sources: tuple[str, ...]
    rtlil: str


@dataclass(frozen=True, kw_only=True)
class Part(Record):
    """An instance of the top module: its module, and a measure of the work that it makes."""

    module: str
    cost: int


@dataclass(frozen=True, kw_only=True)
class Parts(Record):
    """The instances of the top module, by name."""

    parts: Mapping[str, Part]


@dataclass(frozen=True, kw_only=True)
class Synthesize(Job):
    """Map the modules `keep` of the design in `rtlil`, and the top itself if `glue`; `boxes` are black boxes.

    The netlists go into `folder`, named as `files` says by module, `statistics` beside them. If `timed`, they are left
    as RTLIL, too, which is read faster. Answered by `Cells`.
    """

    keep: tuple[str, ...]
    boxes: tuple[str, ...]
    rtlil: str
    family: str
    options: tuple[str, ...]
    glue: bool
    files: Mapping[str, str]
    statistics: str
    folder: str
    timed: bool = False


@dataclass(frozen=True, kw_only=True)
class Cells(Record):
    """Cells by type, of each module or part."""

    cells: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class FindPath(Job):
    """Find the longest path in `netlist`, files in Verilog or RTLIL; answered by `FoundPath`.

    There is room for files in `folder`.
    """

    netlist: tuple[str, ...]
    folder: str


@dataclass(frozen=True, kw_only=True)
class FoundPath(Record):
    """The longest path in picoseconds, None if there is none, from the net `begin` to `end`.

    `untimed` are types of cells whose delays are not known.
    """

    ps: int | None
    begin: str = ""
    end: str = ""
    untimed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MapEcp5(Job):
    """Map `sources` to cells of ECP5 and write their `netlist`; answered by `Cells` of each part, '' the top's own."""

    sources: tuple[str, ...]
    options: tuple[str, ...]
    statistics: str
    netlist: str


@dataclass(frozen=True, kw_only=True)
class JoinEcp5(Job):
    """Map the Verilog files `wrapper` around `netlist`, whose cells stay as they are. Writes `joined` for nextpnr.

    Answered by `Cells` of the whole.
    """

    wrapper: tuple[str, ...]
    netlist: str
    options: tuple[str, ...]
    statistics: str
    joined: str


@dataclass(frozen=True, kw_only=True)
class Envelope(Record):
    """The file that a worker reads: a job of the kind `kind`, and the path at which the answer is awaited."""

    kind: str
    job: Mapping[str, object]
    answer: str


# How the name of a file ends that is Yosys' own text.
RTLIL = ".il"
# Yosys makes and frees small things all the time. In large pages, and without lists of its own for the smallest, glibc
# takes a sixth less time for what Yosys does; other libraries do not read this.
TUNABLES, LARGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0"
Answer = TypeVar("Answer", bound=Record)
# A work takes one kind of job.
Work = Callable[[Any], Record]


def ask(
    worker: Path, job: Job, answer: type[Answer], *,
    name: str, what: str, logs: Path, place: Path, limit_s: float, folder: Path | None = None,
) -> Answer:  # fmt: skip
    """Run `job` in a process of `worker` that begins in `folder` or `place`, and return its answer.

    The log goes to `logs`, all else to `place`; both are called `name`. `what` names the job in errors.
    """
    result, job_file = ((place / f"{name}.{kind}.json").resolve() for kind in ("result", "job"))
    envelope = Envelope(kind=type(job).__name__, job=encode(job), answer=str(result))
    write_atomically(job_file, json.dumps(encode(envelope)))
    log, begin = (logs / f"{name}.log").resolve(), time.monotonic()
    # -P keeps the worker's own folder off its import path; this package is on it.
    paths = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        tools.run(
            [sys.executable, "-P", worker, job_file], log=log, folder=folder or place, time_limit_s=limit_s,
            environment={"PYTHONPATH": paths, TUNABLES: os.environ.get(TUNABLES, LARGE_PAGES)},
        )  # fmt: skip
    except QapError as error:
        if time.monotonic() - begin >= limit_s:
            hint = f"fewer bits, more zeros, or a backend that folds its layers; its log: {log}"
            raise QapError(f"Yosys took more than {limit_s:g} s for {what} of {job.top}", hint) from error
        raise QapError(f"Yosys ({what} of {job.top}): {error.message}", error.hint) from error
    return decode(answer, json.loads(result.read_text()), "", str(result))


def serve(works: Mapping[type[Job], Work]) -> None:
    """Do the job in the file that the command line names, and leave its answer."""
    path = Path(sys.argv[1])
    envelope = decode(Envelope, json.loads(path.read_text()), "", str(path))
    kind, work = {kind.__name__: (kind, work) for kind, work in works.items()}[envelope.kind]
    answer = work(decode(kind, envelope.job, "", str(path)))
    write_atomically(Path(envelope.answer), json.dumps(encode(answer)))
