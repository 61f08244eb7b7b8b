# SPDX-License-Identifier: Apache-2.0
"""Another tool's Verilog as Yosys reads it, written anew: cells and wires alone, nothing that a simulator would run."""

from __future__ import annotations

from pyosys import libyosys

from qap2fpga.audit.jobs import Rewrite, Rewritten
from qap2fpga.synth.jobs import serve

PRINTED = ("print", "check", "assert", "assume", "live", "fair", "cover")


def rewrite(job: Rewrite) -> Rewritten:
    """Do `job`."""
    design = libyosys.Design()
    for command in (
        ["read_verilog", "-sv", *job.sources], ["hierarchy", "-check", "-top", job.top], ["proc"],
        ["setattr", "-mod", "-unset", "keep_hierarchy", "*"], ["setattr", "-unset", "keep_hierarchy", "*/*"],
        # What a simulator prints or asserts.
        ["delete", *(f"t:${kind}" for kind in PRINTED)], ["flatten"], ["hierarchy", "-top", job.top], ["opt_clean"],
        ["check", "-assert"], ["rename", job.top, job.name],
    ):  # fmt: skip
        libyosys.Pass.call(design, command)
    # A module that stayed could be called like one of ours.
    if len(design.modules_) != 1:
        raise ValueError("a module is no part of the top one: is it a black box?")
    libyosys.Pass.call(design, ["write_verilog", "-noattr", job.result])
    module = design.module(libyosys.IdString(f"\\{job.name}"))
    wires = [module.wire(name) for name in module.ports]
    return Rewritten(
        inputs={one.name.str().removeprefix("\\"): one.width for one in wires if one.port_input},
        outputs={one.name.str().removeprefix("\\"): one.width for one in wires if one.port_output},
    )


if __name__ == "__main__":
    serve({Rewrite: rewrite})
