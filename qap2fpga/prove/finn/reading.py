# SPDX-License-Identifier: Apache-2.0
"""A folded design as Yosys reads it: its Verilog with memories, and its netlist, each in JSON."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

from qap2fpga.hw.design import Design
from qap2fpga.prove.attempts import side_by_side
from qap2fpga.prove.finn.sources import memory_files
from qap2fpga.prove.reading import LIMIT_S, NETLIST, Read, require_alone
from qap2fpga.synth.jobs import Job, ask
from qap2fpga.system.files import shipped

WORKER = Path(__file__).with_name("worker.py")
Content = dict[str, Any]
# What is read of the Verilog.
VERILOG = ("calls", "contents", "verilog")


@dataclass(frozen=True, kw_only=True)
class ReadFolded(Job):
    """Read `sources`, of which `plain` are Verilog that says how modules are called.

    JSON goes to `folder`: `calls`, of the plain Verilog; `contents`, of all sources, module by module; `verilog`, with
    one module per instance of the top. Answered by `Read`.
    """

    sources: tuple[str, ...]
    plain: tuple[str, ...]
    folder: str


@dataclass(frozen=True, kw_only=True)
class ReadNetlist(Job):
    """Read a `netlist`; its JSON goes to `folder` by that name. Answered by `Read`."""

    netlist: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class Folded:
    """What was read, by name, and the `data` files that the Verilog's memories are read from."""

    contents: dict[str, Content]
    data: tuple[Path, ...]


def elaborated(design: Design, netlist: Sequence[Path], place: Path, limit_s: float = LIMIT_S) -> Folded:
    """Return Yosys' JSON of a design and its netlist; Yosys works in `place`, where the memories' files are copied to.

    Raises `QapError` for a file that may make Yosys read others, and for one that is not listed.
    """
    sources = [design.folder / name for name in design.sources]
    data = memory_files(sources, design.data)
    for path in netlist:
        require_alone(path)
    for name in data:
        copyfile(design.folder / name, place / name)
    boxes = shipped("flows") / "open" / "blackboxes.v"
    every = tuple(str(path.resolve()) for path in (*sources, boxes))
    job = ReadFolded(
        top=design.top, sources=every, plain=tuple(path for path in every[:-1] if path.endswith(".v")),
        folder=str(place.resolve()),
    )  # fmt: skip
    gates = ReadNetlist(
        top=design.top, netlist=tuple(str(path.resolve()) for path in netlist), folder=str(place.resolve())
    )
    jobs: list[tuple[str, Job, tuple[str, ...]]] = [("read", job, VERILOG)]
    jobs += [("read-netlist", gates, (NETLIST,))] if netlist else []

    def read(name: str, job: Job, results: Sequence[str]) -> dict[str, Content]:
        ask(WORKER, job, Read, name=name, what="reading for a proof", logs=place, place=place, limit_s=limit_s)
        return left(place, results)

    contents = side_by_side([partial(read, *one) for one in jobs])
    return Folded(dict(ChainMap(*contents)), tuple(design.folder / name for name in data))


def left(place: Path, names: Sequence[str] = VERILOG) -> dict[str, Content]:
    """Return what Yosys has left in `place` of these names: all of the Verilog."""
    return {name: json.loads((place / f"{name}.json").read_text())["modules"] for name in names}
