# SPDX-License-Identifier: Apache-2.0
"""Yosys' Verilog reader in a process of its own: no pass but the elaboration of processes, nothing is optimised."""

from __future__ import annotations

from pyosys import libyosys

from qap2fpga.prove.reading import Read, ReadVerilog
from qap2fpga.synth.jobs import serve

# Modules with this input.
RESET = "i:ap_rst_n"
# Cells that drive nothing: what a simulator prints or asserts.
PRINTED = ("print", "check", "assert", "assume", "live", "fair", "cover")


def read(job: ReadVerilog) -> Read:
    """Do `job`."""
    modules = 0
    for one in job.readings:
        design = libyosys.Design()
        commands = [["read_verilog", "-sv", *one.sources], ["hierarchy", "-top", job.top], ["proc", "-noopt"]]
        commands += [["memory_collect"], ["memory_map"]]
        commands += [] if one.flat else [["setattr", "-mod", "-set", "keep_hierarchy", "1", "*", RESET, "%m", "%d"]]
        commands += [["flatten"], ["delete", "t:$scopeinfo", *(f"t:${kind}" for kind in PRINTED)]]
        for command in (*commands, ["write_json", one.result]):
            libyosys.Pass.call(design, command)
        modules += len(design.modules_)
    return Read(modules=modules)


if __name__ == "__main__":
    serve({ReadVerilog: read})
