# SPDX-License-Identifier: Apache-2.0
"""Yosys in a process of its own, for ECP5. Run as a file; `jobs` says of what.

`map_cells` makes cells of a design, each instance of its top module apart. `join` puts the netlist and the module that
the board's pins are wired to into one. Passes: https://yosyshq.readthedocs.io/projects/yosys/en/latest/cmd/synth_ecp5.html.
"""

from __future__ import annotations

import json
from pathlib import Path

from qap2fpga.synth.jobs import Cells, JoinEcp5, MapEcp5, serve
from qap2fpga.synth.worker import Yosys, plain, select


def map_cells(job: MapEcp5) -> Cells:
    """Do `job`."""
    yosys, top = Yosys(), job.top
    yosys.run(f"read_slang --top {top} --keep-hierarchy --allow-use-before-declare --ignore-assertions", *job.sources)
    yosys.run("hierarchy -top", top)
    # As for the other families: an indexed constant is a multiplexer from the start.
    yosys.run("bmuxmap")
    modules = {module.name.str(): module for module in yosys.design.modules_.values()}
    cells = modules["\\" + top].cells_.values()
    parts = {plain(cell.name): plain(cell.type) for cell in cells if cell.type.str() in modules}
    for module in parts.values():
        yosys.run("setattr -mod -set keep_hierarchy 1", select(module))
    yosys.run(f"synth_ecp5 -top {top} {' '.join(job.options)}")
    yosys.run("delete t:$scopeinfo")
    report = statistics(yosys, Path(job.statistics))
    yosys.run("write_verilog -noattr", job.netlist)
    # A module that is a constant as a whole, as is the control of a branch that never waits, is not there any more.
    counts = {name: report.get(module, {}) for name, module in parts.items()}
    rest = {kind: number for kind, number in report[top].items() if kind not in parts.values()}
    return Cells(cells={**counts, "": rest})


def join(job: JoinEcp5) -> Cells:
    """Do `job`."""
    yosys = Yosys()
    for path in (*job.wrapper, job.netlist):
        yosys.run("read_verilog -sv", path)
    yosys.run(f"synth_ecp5 -top {job.top} {' '.join(job.options)}")
    yosys.run("delete t:$scopeinfo")
    report = statistics(yosys, Path(job.statistics))
    yosys.run("write_json", job.joined)
    return Cells(cells={"": report[job.top]})


def statistics(yosys: Yosys, path: Path) -> dict[str, dict[str, int]]:
    """Cells by type of each module."""
    yosys.run("tee -q -o", path, "stat", "-json")
    modules = json.loads(path.read_text())["modules"]
    return {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in modules.items()}


if __name__ == "__main__":
    serve({MapEcp5: map_cells, JoinEcp5: join})
