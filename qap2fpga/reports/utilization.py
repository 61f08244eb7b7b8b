# SPDX-License-Identifier: Apache-2.0
"""Vivado's utilization reports: flat, by hierarchy, by SLR and of an accelerator's kernels; text and XML.

Layouts: AMD UG906. The names of rows and columns changed with families and versions; each spelling is here.
"""

from __future__ import annotations

import re

from qap2fpga.hw.design import Stage
from qap2fpga.reports.header import Header
from qap2fpga.reports.result import Cells, Parsed, Refused, agreed, count, decimal, total
from qap2fpga.reports.tables import Table

ROWS = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "ff": ("CLB Registers", "Slice Registers", "Registers"),
    "lutram": ("LUT as Memory",),
    "dsp": ("DSPs", "DSP Slices", "DSP48s"),
    "carry": ("CARRY8", "CARRY4", "LOOKAHEAD8"),
    "uram": ("URAM",),
}
COLUMNS = {
    "lut": ("Total LUTs",),
    "ff": ("FFs",),
    "dsp": ("DSP Blocks", "DSP48 Blocks", "DSP Slices"),
    "uram": ("URAM",),
}
KERNELS = {"lut": "LUT", "lutram": "LUTAsMem", "ff": "REG", "uram": "URAM", "dsp": "DSP"}
# Vivado writes it under LUT counts of a design that is not placed.
BEFORE_PLACEMENT = "Final LUT count, after physical optimizations"


def read_utilization(header: Header, tables: list[Table], text: str) -> Parsed:
    """The numbers of any utilization report. Raises `Refused` when none of its tables holds them."""
    if any("Used" in table.header and table.header[0] == "Site Type" for table in tables):
        return _flat(header, tables, text)
    for table in tables:
        if table.header[:2] == ("Instance", "Module"):
            return _hierarchical(header, table)
        if table.header[:2] == ("Name", "LUT") and "LUTAsMem" in table.header:
            return _kernels(header, table)
    for table in tables:
        if table.header[:1] == ("Site Type",) and re.fullmatch(r"SLR\d+", "".join(table.header[1:2])):
            return _slrs(header, table)
    raise Refused("utilization", "the utilization report has no table of LUTs that is known")


def _flat(header: Header, tables: list[Table], text: str) -> Parsed:
    kind = "utilization"
    used: dict[str, str] = {}
    room: dict[str, str] = {}
    share: dict[str, str] = {}
    for table in tables:
        if table.title.endswith("Primitives"):
            # The one place where the carry chains of the 7 series stand.
            cells = {row.get("Ref Name", "").strip(): row.get("Used", "") for row in table.named(kind)}
            used |= {name: number for name, number in cells.items() if name == "CARRY4"}
        if "Used" not in table.header or table.header[0] != "Site Type":
            continue
        for row in table.named(kind):
            # The distribution tables repeat some rows; the first is the one counted against 'Available'.
            name = row["Site Type"].strip().rstrip("*").strip()
            if name not in used:
                used[name] = row["Used"]
                room[name] = row.get("Available", "")
                share[name] = row.get("Util%", "")
    resources = _cells(used, kind)
    if resources.lut is None:
        raise Refused(kind, "the utilization report states no LUTs")
    notes = [header.note]
    stage = header.need_stage(kind)
    placed = any("Logic Distribution" in table.title for table in tables)
    if BEFORE_PLACEMENT in text and not placed and stage is Stage.ROUTED:
        # A design linked into a routed platform has the platform's state until it is placed itself.
        stage = Stage.SYNTHESIS
        notes = [f"after synthesis; the design state '{header.state}' is that of the platform around it"]
    boxes = tuple(row[0].strip() for table in tables if "Black Boxes" in table.title for row in table.rows)
    if boxes:
        notes.append(f"black boxes, not counted: {', '.join(boxes)}")
    percent = {name: share[row].strip() for name, rows in ROWS.items() for row in rows if share.get(row, "").strip()}
    if share.get("Block RAM Tile", "").strip():
        percent["bram18"] = share["Block RAM Tile"].strip()
    return Parsed(
        kind, "vivado", header.version, stage, header.design, header.part, resources=resources,
        available=_cells(room, kind), percent=percent, black_boxes=boxes,
        note="; ".join(note for note in notes if note),
    )  # fmt: skip


def _cells(rows: dict[str, str], kind: str) -> Cells:
    cells = {
        name: agreed((count(rows[one], kind, one) for one in spellings if one in rows), kind, name)
        for name, spellings in ROWS.items()
    }
    if cells["lut"] is None:
        logic, memory = (count(rows.get(f"LUT as {one}"), kind, "LUTs") for one in ("Logic", "Memory"))
        cells["lut"] = None if logic is None or memory is None else logic + memory
    return Cells(**cells, bram18=_block_ram(rows, kind))


def _block_ram(rows: dict[str, str], kind: str) -> int | None:
    """Block RAM in halves of a tile: a tile used by one RAMB18 only is written as 0.5."""
    if "Block RAM Tile" in rows:
        tiles = decimal(rows["Block RAM Tile"], kind, "block RAM tiles")
        return None if tiles is None else count(tiles * 2, kind, "half block RAM tiles")
    big, small = (count(rows.get(name), kind, name) for name in ("RAMB36/FIFO", "RAMB18"))
    return None if big is None or small is None else 2 * big + small


def _hierarchical(header: Header, table: Table) -> Parsed:
    kind = "utilization-hierarchical"
    if not table.rows:
        raise Refused(kind, "the table of the hierarchy is empty")
    modules: dict[str, Cells] = {}
    parts: dict[str, Cells] = {}
    path: list[str] = []
    lowest = _indent(table.rows[0][0])
    for row in table.named(kind):
        name = row["Instance"].strip()
        depth = (_indent(row["Instance"]) - lowest) // 2
        if depth < 0 or depth > len(path):
            raise Refused(kind, f"'{name}' is indented as no child of the row above it")
        path = [*path[:depth], name]
        cells = _row(row, kind)
        modules["/".join(path)] = cells
        if depth == 1:
            parts[name] = cells
    top = next(iter(modules.values()))
    if top.lut is None:
        raise Refused(kind, "the table of the hierarchy states no LUTs")
    return Parsed(
        kind, "vivado", header.version, header.need_stage(kind), header.design, header.part, resources=top,
        parts=parts, modules=modules, note=header.note,
    )  # fmt: skip


def _indent(cell: str) -> int:
    return len(cell) - len(cell.lstrip())


def _row(row: dict[str, str], kind: str) -> Cells:
    cells = {
        name: agreed((count(row[one], kind, one) for one in spellings if one in row), kind, name)
        for name, spellings in COLUMNS.items()
    }
    big, small, memory, shift = (count(row.get(one), kind, one) for one in ("RAMB36", "RAMB18", "LUTRAMs", "SRLs"))
    return Cells(
        **cells,
        bram18=None if big is None or small is None else 2 * big + small,
        lutram=None if memory is None or shift is None else memory + shift,
    )


def _slrs(header: Header, table: Table) -> Parsed:
    """By SLR (one die of a device of several): all cells have a place only once they are placed."""
    kind = "utilization-slr"
    stage = header.need_stage(kind)
    if stage is not Stage.ROUTED:
        raise Refused(kind, "the cells are not placed, so those counted by SLR are not all", whole=True)
    names = [name for name in table.header if re.fullmatch(r"SLR\d+", name)]
    parts = {}
    for name in names:
        parts[name] = _cells({row["Site Type"].strip().rstrip("*"): row[name] for row in table.named(kind)}, kind)
    resources = total(parts.values())
    if resources.lut is None:
        raise Refused(kind, "the table of SLRs states no LUTs")
    note = "; ".join(one for one in (header.note, "the sum over all SLRs") if one)
    return Parsed(
        kind, "vivado", header.version, stage, header.design, header.part,
        resources=resources, parts=parts, note=note,
    )  # fmt: skip


def _kernels(header: Header, table: Table) -> Parsed:
    """Kernels on an accelerator platform, without the platform. Block RAM is stated in whole tiles: rounded, so
    it is told in the note and not converted."""
    kind = "utilization-accelerator"
    rows = {row["Name"].strip(): row for row in table.named(kind)}
    if "Used Resources" not in rows or "User Budget" not in rows:
        raise Refused(kind, "the table of kernels has no 'Used Resources'")
    # Indented under its kernel stands each compute unit, that is each instance of it.
    units, inside = {}, False
    for name, row in rows.items():
        if inside and row["Name"].startswith("  "):
            units[name] = _kernel(row, kind)
        inside = inside or name == "Unused Resources"
    tiles = rows["Used Resources"].get("BRAM", "").partition("[")[0].strip()
    notes = [header.note, "kernels only, without the platform", f"block RAM: {tiles} tiles, rounded"]
    percent = {name: rows["Used Resources"][column].partition("[")[2].strip(" ]%")
               for name, column in KERNELS.items() if column in table.header}  # fmt: skip
    return Parsed(
        kind, "vivado", header.version, header.need_stage(kind), header.design, header.part,
        resources=_kernel(rows["Used Resources"], kind), available=_kernel(rows["User Budget"], kind),
        percent=percent, parts=units, note="; ".join(note for note in notes if note),
    )  # fmt: skip


def _kernel(row: dict[str, str], kind: str) -> Cells:
    return Cells(**{
        name: count(row[column].partition("[")[0], kind, column) for name, column in KERNELS.items() if column in row
    })  # fmt: skip
