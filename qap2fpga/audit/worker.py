# SPDX-License-Identifier: Apache-2.0
"""Another tool's Verilog as Yosys reads it, written anew: cells and wires alone, nothing that a simulator would run."""

from __future__ import annotations

from pyosys import libyosys

from qap2fpga.audit.jobs import Rewrite, Rewritten
from qap2fpga.synth.jobs import serve


def rewrite(job: Rewrite) -> Rewritten:
    """Do `job`."""
    design = libyosys.Design()
    for command in (
        ["read_verilog", "-sv", *job.sources], ["hierarchy", "-check", "-top", job.top], ["proc"], ["flatten"],
        ["opt_clean"], ["check", "-assert"], ["rename", job.top, job.name], ["write_verilog", "-noattr", job.result],
    ):  # fmt: skip
        libyosys.Pass.call(design, command)
    module = design.module(libyosys.IdString(f"\\{job.name}"))
    wires = [module.wire(name) for name in module.ports]
    return Rewritten(
        inputs={one.name.str().removeprefix("\\"): one.width for one in wires if one.port_input},
        outputs={one.name.str().removeprefix("\\"): one.width for one in wires if one.port_output},
    )


if __name__ == "__main__":
    serve({Rewrite: rewrite})
