# SPDX-License-Identifier: Apache-2.0
"""Yosys' readers in a process of their own: SystemVerilog as synthesis reads it; nothing is optimised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyosys import libyosys

from qap2fpga.prove.finn.reading import ReadFolded, ReadNetlist
from qap2fpga.prove.reading import Read
from qap2fpga.synth.jobs import serve
from qap2fpga.synth.worker import BOXES

SLANG = ("--keep-hierarchy", "--allow-use-before-declare", "--ignore-assertions", "--ignore-timing",
         *(word for name in BOXES for word in ("--blackboxed-module", name)))  # fmt: skip


def read(job: ReadFolded) -> Read:
    """Do `job`."""
    place = Path(job.folder)
    calls, verilog = libyosys.Design(), libyosys.Design()
    _run(calls, [["read_verilog", "-sv", *job.plain], ["hierarchy", "-top", job.top]], place / "calls.json")
    _run(verilog, [["read_slang", "--top", job.top, *SLANG, *job.sources], ["hierarchy", "-top", job.top]],
         place / "contents.json")  # fmt: skip
    parts = [cell.type.str() for cell in verilog.top_module().cells_.values()]
    keep = [["setattr", "-mod", "-set", "keep_hierarchy", "1", name.removeprefix("\\")] for name in parts]
    flat = [["proc", "-noopt"], ["memory_collect"], ["memory_map"], *keep, ["flatten"], ["delete", "t:$scopeinfo"]]
    _run(verilog, flat, place / "verilog.json")
    return Read(modules=len(verilog.modules_))


def read_netlist(job: ReadNetlist) -> Read:
    """Do `job`."""
    design = libyosys.Design()
    commands = [["read_verilog", "-sv", *job.netlist], ["hierarchy", "-top", job.top]]
    _run(design, commands, Path(job.folder) / "netlist.json")
    return Read(modules=len(design.modules_))


def _run(design: libyosys.Design, commands: Sequence[Sequence[str]], result: Path) -> None:
    for command in (*commands, ["write_json", str(result)]):
        libyosys.Pass.call(design, list(command))


if __name__ == "__main__":
    serve({ReadFolded: read, ReadNetlist: read_netlist})
