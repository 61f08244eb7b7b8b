# SPDX-License-Identifier: Apache-2.0
"""Yosys in a process of its own, for the families of AMD. Run as a file; `jobs` says of what.

`elaborate` reads the sources once and lists the parts (the instances of the top module); `synthesize` maps
some of them; `find_path` finds the longest path of what came out. Passes: https://yosyshq.readthedocs.io/projects/yosys/en/latest/cmd/synth_xilinx.html.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from pyosys import libyosys

from qap2fpga.synth.jobs import RTLIL, Cells, Elaborate, FindPath, FoundPath, Part, Parts, Synthesize, serve

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
# The memories of each family, as synth_xilinx names them to `memory_libmap`.
MEMORIES = {
    "xc7": "-lib +/xilinx/lutrams_xc5v.txt -lib +/xilinx/brams_xc4v.txt -D HAS_SIZE_36 -D HAS_CASCADE"
    " -D HAS_MIXWIDTH_SDP",
    "xcu": "-lib +/xilinx/lutrams_xcu.txt -lib +/xilinx/brams_xc4v.txt -D HAS_SIZE_36 -D HAS_MIXWIDTH_SDP"
    " -D HAS_ADDRCE",
    "xcup": "-lib +/xilinx/lutrams_xcu.txt -lib +/xilinx/brams_xc4v.txt -D HAS_SIZE_36 -D HAS_MIXWIDTH_SDP"
    " -D HAS_ADDRCE -lib +/xilinx/urams.txt",
}
# What comes of a memory before its cells, and where these are LUTs.
MEMORY, LUT_MEMORY = "$__XILINX_", "$__XILINX_LUTRAM_"


class Cell(TypedDict):
    """A cell in Yosys' JSON: the bits at its ports, numbers or constants; a cell without a model has no directions."""

    type: str
    parameters: dict[str, str]
    attributes: dict[str, str]
    port_directions: NotRequired[dict[str, str]]
    connections: dict[str, list[int | str]]


class Bits(TypedDict):
    """A port or a net in Yosys' JSON."""

    bits: list[int | str]


class Flat(TypedDict):
    """A module in Yosys' JSON, as far as it is read here."""

    ports: dict[str, Bits]
    cells: dict[str, Cell]
    netnames: dict[str, Bits]


class Yosys:
    """One design, and the passes run on it."""

    def __init__(self) -> None:
        self.design = libyosys.Design()

    def run(self, command: str, *more: str | Path) -> None:
        """Run a pass; the words of `command` and `more` are its arguments, so a path may hold anything."""
        libyosys.Pass.call(self.design, [*command.split(), *map(str, more)])


def plain(identifier: libyosys.IdString) -> str:
    """Return the name without Yosys' leading backslash."""
    return str(identifier.str()).removeprefix("\\")


def elaborate(job: Elaborate) -> Parts:
    """Do `job`. The cost of a part is the number of bits of all cells of its subtree."""
    yosys = Yosys()
    boxes = " ".join(f"--blackboxed-module {name}" for name in BOXES)
    options = "--keep-hierarchy --allow-use-before-declare --ignore-assertions --ignore-timing"
    yosys.run(f"read_slang --top {job.top} {boxes} {options}", *job.sources)
    yosys.run("hierarchy -top", job.top)
    yosys.run("write_rtlil", job.rtlil)
    modules = {module.name.str(): module for module in yosys.design.modules_.values()}
    top = modules["\\" + job.top]
    parts = {}
    for cell in top.cells_.values():
        name = cell.type.str()
        if name in modules and name.removeprefix("\\") not in BOXES:
            parts[plain(cell.name)] = Part(module=name.removeprefix("\\"), cost=cost(modules[name], modules))
    return Parts(parts=parts)


def cost(module: libyosys.Module, modules: Mapping[str, libyosys.Module]) -> int:
    """A measure of the work that a module and everything below it makes."""
    total = 0
    for cell in module.cells_.values():
        inner = modules.get(cell.type.str())
        if inner is None:
            total += sum(signal.size() for signal in cell.connections_.values())
        elif plain(cell.type) not in BOXES:
            total += cost(inner, modules)
    return total


def synthesize(job: Synthesize) -> Cells:
    """Do `job`: one Verilog netlist per module, and its cells by type. A dead module has neither."""
    yosys, folder = Yosys(), Path(job.folder)
    yosys.run("read_rtlil", job.rtlil)
    # An indexed constant is a multiplexer from the start; left as a cell of its own it hides equal registers.
    yosys.run("bmuxmap")
    for module in job.boxes:
        # Cells of a black box are kept as they are; its content goes, so that nothing is mapped twice.
        yosys.run("blackbox", select(module))
    for module in job.keep:
        yosys.run("setattr -mod -set keep_hierarchy 1", select(module))
    map_cells(yosys, job.top, job.family, job.options)
    yosys.run("delete t:$scopeinfo")
    yosys.run("tee -q -o", job.statistics, "stat", "-json")
    report = json.loads(Path(job.statistics).read_text())
    left = {plain(module.name) for module in yosys.design.modules_.values()}
    modules = [*job.keep, job.top] if job.glue else job.keep
    cells: dict[str, Mapping[str, int]] = {module: {} for module in modules}
    for module in modules:
        if module not in left:
            continue  # it is dead: Yosys has taken it out
        counts = report["modules"].get("\\" + module) or report["modules"][module]
        cells[module] = counts["num_cells_by_type"]
        yosys.run("select", select(module))
        yosys.run("write_verilog -noattr -selected", folder / job.files[module])
        if job.timed:
            yosys.run("write_rtlil -selected", (folder / job.files[module]).with_suffix(RTLIL))
        yosys.run("select -clear")
    return Cells(cells=cells)


def map_cells(yosys: Yosys, top: str, family: str, options: Sequence[str]) -> None:
    """`synth_xilinx` with our own mapping of logic to LUTs.

    What it reads for rare cells and block RAM takes longer than a small design, so it is left out where there is none.
    """
    synth = f"synth_xilinx -flatten -noiopad -noclkbuf -top {top} -family {family} {' '.join(options)}"
    rare = has_unknown_cells(yosys)
    if rare:
        yosys.run(f"{synth} -run begin:prepare")
    else:
        yosys.run("read_verilog -lib -specify +/xilinx/cells_sim.v")
        yosys.run("hierarchy -check -top", top)
    yosys.run(f"{synth} -run prepare:map_memory")
    if has_memories(yosys):
        yosys.run("memory_libmap", *to_memories(family))
        kinds = {kind for kind in types(yosys) if kind.startswith(MEMORY)}
        if kinds:
            yosys.run("techmap -map +/xilinx/lutrams_xc5v_map.v")
        if not all(kind.startswith(LUT_MEMORY) for kind in kinds):
            if not rare:
                yosys.run("read_verilog -lib +/xilinx/cells_xtra.v")
            yosys.run(f"{synth} -run map_memory:map_ffram")
    yosys.run(f"{synth} -run map_ffram:map_luts")
    for command in MAP_LUTS:
        yosys.run(command)
    yosys.run(f"{synth} -run finalize:")


def to_memories(family: str) -> list[str]:
    """What synth_xilinx says to `memory_libmap`: no UltraRAM unless it is asked for."""
    return ["-logic-cost-rom", "0.015625", *MEMORIES[family].split(), "-no-auto-huge"]


def has_memories(yosys: Yosys) -> bool:
    """Whether the design has memories, as such or as cells."""
    modules = yosys.design.modules_.values()
    return any(module.memories for module in modules) or any(kind.startswith("$mem") for kind in types(yosys))


def has_unknown_cells(yosys: Yosys) -> bool:
    """Whether the design has cells that are neither its own modules nor Yosys' own."""
    known = {module.name.str() for module in yosys.design.modules_.values()}
    return any(not kind.startswith("$") and kind not in known for kind in types(yosys))


def types(yosys: Yosys) -> set[str]:
    """The types of all cells, in Yosys' spelling."""
    return {cell.type.str() for module in yosys.design.modules_.values() for cell in module.cells_.values()}


def find_path(job: FindPath) -> FoundPath:
    """Return the longest path of cells by Yosys' `sta`, whose delays are those of 7 series."""
    yosys, flat = Yosys(), Path(job.folder) / "flat.json"
    yosys.run("read_verilog -lib -specify +/xilinx/cells_sim.v")
    for path in job.netlist:
        yosys.run("read_rtlil" if path.endswith(RTLIL) else "read_verilog", path)
    yosys.run("setattr -mod -unset keep_hierarchy")
    for command in (f"hierarchy -top {job.top}", "flatten", "delete t:$scopeinfo", "opt_clean"):
        yosys.run(command)
    yosys.run("select", select(job.top))
    yosys.run("write_json -selected", flat)
    yosys.run("select -clear")
    yosys.run("delete", select(job.top))
    content = json.loads(flat.read_text())
    module: Flat = content["modules"][job.top]
    split_pairs(module["cells"])
    unread(module)
    flat.write_text(json.dumps(content))
    yosys.run("read_json", flat)
    report = Path(job.folder) / "sta.log"
    yosys.run("tee -q -o", report, "sta")
    return path_of(report.read_text(), module)


def split_pairs(cells: dict[str, Cell]) -> None:
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


def outputs(cell: Cell) -> list[str]:
    """The output ports of a cell that are connected; none are known of a cell without a model."""
    return [port for port, kind in cell.get("port_directions", {}).items() if kind == "output"]


def unread(module: Flat) -> None:
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


def path_of(report: str, module: Flat) -> FoundPath:
    """Return what the `report` of `sta` says; cells are named by a net that they drive."""
    nets = {bit: f"{name}[{at}]" if len(net["bits"]) > 1 else name
            for name, net in module["netnames"].items() for at, bit in enumerate(net["bits"])}  # fmt: skip

    def driven(cell: str) -> str:
        known = module["cells"].get(cell)
        bits = [bit for port in outputs(known) for bit in known["connections"][port] if bit in nets] if known else []
        return nets[bits[0]] if bits else cell

    latest = re.search(r"^Latest arrival time in '.*' is (\d+):$", report, re.MULTILINE)
    end = re.search(r"^ +\d+ (?:(\S+) \(\w+\.\w+\)|\(<(.*)>\))$", report, re.MULTILINE)
    arcs = re.findall(r"^ +\d+ (\S+) \(\w+\.\w+->\w+\)$", report, re.MULTILINE)
    untimed = re.findall(r"(?:Cell type|Module) '(\S+)' (?:not recognised|is not a black|has no timing)", report)
    if latest is None or end is None or not arcs:
        return FoundPath(ps=None, untimed=tuple(sorted(set(untimed))))
    return FoundPath(
        ps=int(latest.group(1)),
        begin=driven(arcs[-1]),
        end=driven(end.group(1)) if end.group(1) else end.group(2),
        untimed=tuple(sorted(set(untimed))),
    )


def select(module: str) -> str:
    """A selection of exactly this module; its name may hold characters that are patterns."""
    return "\\" + "".join(f"[{letter}]" if letter in "*?" else letter.replace("[", "\\[") for letter in module)


if __name__ == "__main__":
    serve({Elaborate: elaborate, Synthesize: synthesize, FindPath: find_path})
