# SPDX-License-Identifier: Apache-2.0
"""Reports of Vivado HLS and Vitis HLS: csynth.xml, *_csynth.rpt, csynth.rpt and cosim.rpt.

Layouts: AMD UG902 (Vivado HLS) and UG1399 (Vitis HLS). Vivado HLS states the interval of a design that is not
pipelined as its latency in the text report and as latency + 1 in the XML; each is handed on as it stands.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from qap2fpga.hw.design import Stage
from qap2fpga.reports.result import Cells, Parsed, Refused, agreed, count, nanoseconds
from qap2fpga.reports.tables import Table, read_tables

# Spellings of one resource, by version and by file.
SPELLINGS = {
    "lut": ("LUT",),
    "ff": ("FF",),
    "dsp": ("DSP", "DSP48E", "DSP48", "DSP48E1", "DSP48E2", "DSP58"),
    "bram18": ("BRAM_18K", "BRAM"),
    "uram": ("URAM",),
}
TITLE = re.compile(r"^== (Vivado|Vitis) HLS Report for '([^']*)'\s*$", re.MULTILINE)
SUMMARY = re.compile(r"^== Synthesis Summary Report of '([^']*)'\s*$", re.MULTILINE)
COSIM = re.compile(r"^Simulation tool\s*:", re.MULTILINE)


def read_xml(root: ElementTree.Element) -> Parsed:
    """csynth.xml and <module>_csynth.xml, of the top or of one module."""
    kind = "csynth-xml"
    area = root.find("AreaEstimates/Resources")
    overall = root.find("PerformanceEstimates/SummaryOfOverallLatency")
    if area is None or overall is None:
        raise Refused(kind, "the C synthesis report has no area or no latency estimates: the synthesis did not end")
    assigned = _texts(root.find("UserAssignments"))
    latency = _texts(overall)
    modules = _modules(root, kind)
    places = root.findall("RTLDesignHierarchy/TopModule/InstancesList/Instance")
    instances = {place.findtext("InstName", ""): place.findtext("ModuleName", "") for place in places}
    # The flow target came with Vitis HLS; the new name of the DSP too.
    vitis = "FlowTarget" in assigned or area.find("DSP") is not None
    room = root.find("AreaEstimates/AvailableResources")
    return Parsed(
        kind, "vitis_hls" if vitis else "vivado_hls", root.findtext("ReportVersion/Version"), Stage.HLS,
        assigned.get("TopModelName"), assigned.get("Part"),
        resources=_cells(_texts(area), kind),
        available=None if room is None else _cells(_texts(room), kind),
        parts={name: modules[module] for name, module in instances.items() if module in modules},
        modules=modules,
        submodules=(frozenset(modules) | frozenset(instances.values())) - {assigned.get("TopModelName", "")},
        target_ns=nanoseconds(assigned.get("TargetClockPeriod"), kind, "the target period"),
        period_ns=nanoseconds(
            root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"), kind, "the period"
        ),
        latency_min=count(latency.get("Best-caseLatency"), kind, "the latency"),
        latency_max=count(latency.get("Worst-caseLatency"), kind, "the latency"),
        interval_min=count(latency.get("Interval-min"), kind, "the interval"),
        interval_max=count(latency.get("Interval-max"), kind, "the interval"),
    )  # fmt: skip


def _modules(root: ElementTree.Element, kind: str) -> dict[str, Cells]:
    """Estimates of every module, in the csynth.xml of Vitis HLS only."""
    modules = {}
    for module in root.findall("ModuleInformation/Module"):
        area = module.find("AreaEstimates/Resources")
        if area is not None:
            modules[module.findtext("Name", "")] = _cells(_texts(area), kind)
    return modules


def _texts(element: ElementTree.Element | None) -> dict[str, str]:
    return {} if element is None else {child.tag: (child.text or "").strip() for child in element}


def _cells(values: dict[str, str], kind: str) -> Cells:
    """Resources by any of their spellings; text after the number, as '36 (54%)', is not part of it."""
    cells = {}
    for name, spellings in SPELLINGS.items():
        words = (values[spelling].partition("(")[0] for spelling in spellings if spelling in values)
        cells[name] = agreed((count(word, kind, name) for word in words), kind, name)
    return Cells(**cells)


def read_text(text: str) -> Parsed:
    """<module>_csynth.rpt, of the top or of one module."""
    kind = "csynth-rpt"
    titles = TITLE.findall(text)
    if len(titles) != 1:
        raise Refused(kind, "the file holds several C synthesis reports; which one is meant is not clear")
    tables = read_tables(text, kind)
    # The last chapter; without it, tables in between may be missing too.
    _first(tables, ("RTL Ports", "Dir"), kind)
    clocks = _first(tables, ("Clock", "Target", "Estimated"), kind)
    usage = _first(tables, ("Name", "LUT"), kind)
    named = {row["Name"].strip(): row for row in usage.named(kind)}
    for name in ("Total", "Available", "Utilization (%)"):
        if name not in named:
            raise Refused(kind, f"the utilization estimates end before '{name}': the report is cut off")
    clock = clocks.named(kind)[0]
    latency = _latency(tables, kind)
    percent = {
        name: named["Utilization (%)"][spelling].strip()
        for name, spellings in SPELLINGS.items() for spelling in spellings if spelling in usage.header
    }  # fmt: skip
    return Parsed(
        kind, f"{titles[0][0].lower()}_hls", _version(text), Stage.HLS, titles[0][1], _item(text, "Target device"),
        resources=_cells(named["Total"], kind), available=_cells(named["Available"], kind), percent=percent,
        parts=_instances(tables, kind),
        submodules=_submodules(tables, kind),
        clock=clock["Clock"].strip() if len(clocks.rows) == 1 else None,
        target_ns=nanoseconds(clock["Target"], kind, "the target period"),
        period_ns=nanoseconds(clock["Estimated"], kind, "the estimated period"),
        latency_min=latency[0], latency_max=latency[1], interval_min=latency[2], interval_max=latency[3],
    )  # fmt: skip


def _first(tables: list[Table], columns: tuple[str, ...], kind: str) -> Table:
    for table in tables:
        if table.rows and all(column in table.header for column in columns):
            return table
    raise Refused(kind, f"there is no table of {', '.join(columns)}: the report is cut off")


def _latency(tables: list[Table], kind: str) -> tuple[int | None, int | None, int | None, int | None]:
    """Latency and interval, minimum and maximum each, of the summary; 2019.1 and older state no absolute times."""
    for table in tables:
        names = " ".join(table.header)
        if table.header[:2] == ("min", "max") and names.startswith("min max min max"):
            row = [cell.strip() for cell in next(iter(table.rows), ())]
            if len(row) not in (5, 7):
                raise Refused(kind, "the latency summary has neither five nor seven columns")
            interval = row[4:6] if len(row) == 7 else row[2:4]
            low, high, first, last = (count(word, kind, "the latency or interval") for word in (*row[:2], *interval))
            return low, high, first, last
    raise Refused(kind, "there is no latency summary: the report is cut off")


def _instances(tables: list[Table], kind: str) -> dict[str, Cells]:
    """The instances in the top; memories, FIFOs and its own logic are not among them."""
    for table in tables:
        if table.header[:2] == ("Instance", "Module") and "LUT" in table.header:
            return {row["Instance"].strip(): _cells(row, kind) for row in table.named(kind) if row["Module"].strip()}
    return {}


def _submodules(tables: list[Table], kind: str) -> frozenset[str]:
    """Names of the modules of these instances."""
    instances = [table for table in tables if table.header[:2] == ("Instance", "Module")]
    return frozenset(row["Module"].strip() for table in instances for row in table.named(kind)) - {""}


def _item(text: str, name: str) -> str | None:
    match = re.search(rf"^\s*\* {name}:[ \t]*(\S.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def _version(text: str) -> str | None:
    stated = _item(text, "Version")
    return stated.split()[0] if stated else None


def read_summary(text: str) -> Parsed:
    """csynth.rpt of Vitis HLS: the top and all modules and loops in one table, one latency each."""
    kind = "csynth-summary"
    table = next((one for one in read_tables(text, kind) if one.header[:1] == ("Modules & Loops",)), None)
    if table is None or not table.rows:
        raise Refused(kind, "there is no table of modules and loops: the report is cut off")
    # '+' is a module, 'o' a loop; a module in dataflow has '*' after its name.
    modules = [row for row in table.named(kind) if row["Modules & Loops"].strip().startswith("+")]
    if not modules:
        raise Refused(kind, "the table of modules and loops has no module")
    names = [row["Modules & Loops"].strip().lstrip("+ ").rstrip("*") for row in modules]
    shares = {
        name: re.search(r"\(([^)]*)%\)", modules[0][spelling])
        for name, spellings in SPELLINGS.items() for spelling in spellings if spelling in table.header
    }  # fmt: skip
    top = SUMMARY.findall(text)
    return Parsed(
        kind, "vitis_hls", _version(text), Stage.HLS, top[0], _item(text, "Target device"),
        resources=_cells(modules[0], kind),
        percent={name: share[1].strip() for name, share in shares.items() if share},
        modules={name: _cells(row, kind) for name, row in zip(names, modules, strict=True)},
        latency_max=count(modules[0].get("Latency (cycles)", ""), kind, "the latency"),
        interval_max=count(modules[0].get("Interval", ""), kind, "the interval"),
        note="this summary gives one latency and interval, no clock target, and '-' for a resource not used",
    )  # fmt: skip


def read_cosim(text: str) -> Parsed:
    """cosim.rpt: what RTL simulation measured. `status` is Pass or Fail; only one RTL language is simulated."""
    kind = "cosim"
    tables = read_tables(text, kind)
    rows = [[cell.strip() for cell in row] for table in tables for row in table.rows]
    known = [row for row in rows if row[0] in ("VHDL", "Verilog") and len(row) >= 8]
    if not known:
        raise Refused(kind, "there is no row of VHDL or Verilog: the co-simulation report is cut off")
    done = [row for row in known if row[1].upper() != "NA"]
    if len(done) != 1:
        raise Refused(kind, f"{len(done)} languages were simulated where one is expected", whole=not done)
    numbers = [count(word, kind, "the latency or interval") for word in done[0][2:8]]
    tool = re.search(r"^Simulation tool\s*:\s*(\S+?)\.?\s*$", text, re.MULTILINE)
    return Parsed(
        kind, "hls_cosim", design=None, status=done[0][1],
        latency_min=numbers[0], latency_max=numbers[2], interval_min=numbers[3], interval_max=numbers[5],
        note=f"RTL simulation of {done[0][0]}" + (f" by {tool[1]}" if tool else ""),
    )  # fmt: skip
