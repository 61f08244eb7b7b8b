# SPDX-License-Identifier: Apache-2.0
"""Yosys in a process of its own: it prints, and a fault of it cannot take the program along.

Run as a file with a JSON job as its argument, and without importing qap2fpga: the job says everything.
`elaborate` reads the sources once and lists the parts (the instances of the top module); `synthesize` maps
some of them; `time` finds the longest path of what came out. Passes: https://yosyshq.readthedocs.io/projects/yosys/en/latest/cmd/synth_xilinx.html.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from pyosys import libyosys

BOXES = ("DSP48E1", "DSP48E2", "LUT6_2")
# What synth_xilinx does between its labels map_luts and finalize, with abc in place of abc9: the same number of LUTs in
# a fifteenth of the time. Costs by inputs as there: 7 and 8 inputs are MUXF7 and MUXF8. abc makes an inverter wherever
# it needs one, so equal ones are merged.
MAP_LUTS = (
    "opt_expr -mux_undef -noclkinv",
    "opt_clean",
    "abc -luts 2:2,3,6:5,10,20",
    "opt_merge",
    "clean",
    "xilinx_srl -fixed -minlen 3",
    "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6",
    "xilinx_dffopt",
    "opt_lut_ins -tech xilinx",
)


class Yosys:
    """One design, and the passes run on it."""

    def __init__(self) -> None:
        self.design = libyosys.Design()

    def run(self, command: str, *more: str | Path) -> None:
        """Run a pass; the words of `command` and `more` are its arguments, so a path may hold anything."""
        libyosys.Pass.call(self.design, [*command.split(), *map(str, more)])


def plain(identifier: Any) -> str:
    """The name without Yosys' leading backslash."""
    return str(identifier.str()).removeprefix("\\")


def elaborate(job: dict[str, Any]) -> dict[str, Any]:
    """Read `sources` and write the elaborated design to `rtlil`.

    Returns `parts`: instance to (module, cost); the cost is the number of bits of all cells of its subtree.
    """
    yosys = Yosys()
    boxes = " ".join(f"--blackboxed-module {name}" for name in BOXES)
    options = "--keep-hierarchy --allow-use-before-declare --ignore-assertions --ignore-timing"
    yosys.run(f"read_slang --top {job['top']} {boxes} {options}", *job["sources"])
    yosys.run("hierarchy -top", job["top"])
    yosys.run("write_rtlil", job["rtlil"])
    modules = {module.name.str(): module for module in yosys.design.modules_.values()}
    top = modules["\\" + job["top"]]
    parts = {}
    for cell in top.cells_.values():
        name = cell.type.str()
        if name in modules and name.removeprefix("\\") not in BOXES:
            parts[plain(cell.name)] = (name.removeprefix("\\"), cost(modules[name], modules))
    return {"parts": parts}


def cost(module: Any, modules: dict[str, Any]) -> int:
    """A measure of the work that a module and everything below it makes."""
    total = 0
    for cell in module.cells_.values():
        inner = modules.get(cell.type.str())
        if inner is None:
            total += sum(signal.size() for signal in cell.connections_.values())
        elif plain(cell.type) not in BOXES:
            total += cost(inner, modules)
    return total


def synthesize(job: dict[str, Any]) -> dict[str, Any]:
    """Map the modules `keep` of the design in `rtlil`, and the top itself if `glue`; the others are black boxes.

    Writes one Verilog netlist a module into `folder`, named as `files` says. Returns `cells`: for each
    module the number of cells by type.
    """
    yosys, folder = Yosys(), Path(job["folder"])
    yosys.run("read_rtlil", job["rtlil"])
    # An indexed constant is a multiplexer from the start; left as a cell of its own it hides equal registers.
    yosys.run("bmuxmap")
    top, keep, boxes = job["top"], job["keep"], job["boxes"]
    for module in boxes:
        # Cells of a black box are kept as they are; its content goes, so that nothing is mapped twice.
        yosys.run("blackbox", select(module))
    for module in keep:
        yosys.run("setattr -mod -set keep_hierarchy 1", select(module))
    map_cells(yosys, f"-family {job['family']} -top {top} {' '.join(job['options'])}")
    yosys.run("delete t:$scopeinfo")
    statistics = folder / f"{job['name']}.stat.json"
    yosys.run("tee -q -o", statistics, "stat", "-json")
    report = json.loads(statistics.read_text())
    wanted = [*keep, top] if job["glue"] else keep
    cells = {}
    for module in wanted:
        found = report["modules"].get("\\" + module) or report["modules"][module]
        cells[module] = found["num_cells_by_type"]
        yosys.run("select", select(module))
        yosys.run("write_verilog -noattr -selected", folder / job["files"][module])
        yosys.run("select -clear")
    return {"cells": cells}


def map_cells(yosys: Yosys, options: str) -> None:
    """`synth_xilinx` with our own mapping of logic to LUTs."""
    synth = f"synth_xilinx -flatten -noiopad -noclkbuf {options}"
    yosys.run(f"{synth} -run begin:map_luts")
    for command in MAP_LUTS:
        yosys.run(command)
    yosys.run(f"{synth} -run finalize:")


def time(job: dict[str, Any]) -> dict[str, Any]:
    """The longest path of cells in `netlist` (Verilog files) by Yosys' `sta`, whose delays are those of 7 series.

    Returns `ps`, and `begin` and `end`: nets of the cells there; `untimed`: types of cells whose delays are not known.
    """
    yosys, flat = Yosys(), Path(job["folder"]) / "flat.json"
    yosys.run("read_verilog -lib -specify +/xilinx/cells_sim.v")
    for path in job["netlist"]:
        yosys.run("read_verilog", path)
    for command in (f"hierarchy -top {job['top']}", "flatten", "delete t:$scopeinfo", "opt_clean"):
        yosys.run(command)
    yosys.run("select", select(job["top"]))
    yosys.run("write_json -selected", flat)
    yosys.run("select -clear")
    yosys.run("delete", select(job["top"]))
    content = json.loads(flat.read_text())
    module = content["modules"][job["top"]]
    split_pairs(module["cells"])
    unread(module)
    flat.write_text(json.dumps(content))
    yosys.run("read_json", flat)
    report = Path(job["folder"]) / "sta.log"
    yosys.run("tee -q -o", report, "sta")
    return path_of(report.read_text(), module)


def split_pairs(cells: dict[str, Any]) -> None:
    """Make a LUT6_2, whose delays Yosys does not know, the LUT6 and the LUT5 that it is."""
    for name in [name for name, cell in cells.items() if cell["type"] == "LUT6_2"]:
        pair = cells.pop(name)
        for kind, output, inputs in (("LUT6", "O6", 6), ("LUT5", "O5", 5)):
            ports = {f"I{number}": pair["connections"][f"I{number}"] for number in range(inputs)}
            cells[f"{name}.{output}"] = {
                "type": kind, "parameters": {}, "attributes": {},
                "port_directions": {**dict.fromkeys(ports, "input"), "O": "output"},
                "connections": {**ports, "O": pair["connections"].get(output, ["x"])},
            }  # fmt: skip


def outputs(cell: dict[str, Any]) -> list[str]:
    """The output ports of a cell that are connected; none are known of a cell without a model."""
    return [port for port, kind in cell.get("port_directions", {}).items() if kind == "output"]


def unread(module: dict[str, Any]) -> None:
    """Cut dead outputs off their cells: `sta` takes every net for the end of a path."""
    readers = Counter(
        bit
        for cell in module["cells"].values()
        for port in cell["connections"].keys() - outputs(cell)
        for bit in cell["connections"][port]
    )
    readers.update(bit for port in module["ports"].values() for bit in port["bits"])
    for cell in module["cells"].values():
        for port in outputs(cell):
            cell["connections"][port] = [bit if readers[bit] else "x" for bit in cell["connections"][port]]


def path_of(report: str, module: dict[str, Any]) -> dict[str, Any]:
    """What the `report` of `sta` says; cells are named by a net that they drive."""
    nets = {bit: f"{name}[{at}]" if len(net["bits"]) > 1 else name
            for name, net in module["netnames"].items() for at, bit in enumerate(net["bits"])}  # fmt: skip

    def driven(cell: str) -> str:
        found = module["cells"].get(cell, {"connections": {}})
        bits = [bit for port in outputs(found) for bit in found["connections"][port] if bit in nets]
        return nets[bits[0]] if bits else cell

    latest = re.search(r"^Latest arrival time in '.*' is (\d+):$", report, re.MULTILINE)
    end = re.search(r"^ +\d+ (?:(\S+) \(\w+\.\w+\)|\(<(.*)>\))$", report, re.MULTILINE)
    arcs = re.findall(r"^ +\d+ (\S+) \(\w+\.\w+->\w+\)$", report, re.MULTILINE)
    untimed = re.findall(r"(?:Cell type|Module) '(\S+)' (?:not recognised|is not a black|has no timing)", report)
    if latest is None or end is None or not arcs:
        return {"ps": None, "untimed": sorted(set(untimed))}
    return {
        "ps": int(latest.group(1)),
        "begin": driven(arcs[-1]),
        "end": driven(end.group(1)) if end.group(1) else end.group(2),
        "untimed": sorted(set(untimed)),
    }


def select(module: str) -> str:
    """A selection of exactly this module; its name may hold characters that are patterns."""
    return "\\" + "".join(f"[{letter}]" if letter in "*?" else letter.replace("[", "\\[") for letter in module)


def main() -> None:
    job_file = Path(sys.argv[1])
    job = json.loads(job_file.read_text())
    result = {"elaborate": elaborate, "synthesize": synthesize, "time": time}[job["verb"]](job)
    target = Path(job["result"])
    partial = target.with_suffix(".part")
    partial.write_text(json.dumps(result))
    partial.replace(target)


if __name__ == "__main__":
    main()
