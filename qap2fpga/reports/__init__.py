# SPDX-License-Identifier: Apache-2.0
"""Reports of Vivado HLS, Vitis HLS, Vivado and FINN, read without those tools.

`folder` reads every file of a folder, and `designs` says which belong together. `read` takes one file: what it holds is
known by its content, for FINN's JSON by its name. It is handed on as a `Parsed`, or refused with the reason; a report
is never read in part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from qap2fpga.reports import finn, hls, timing
from qap2fpga.reports.header import Header, check_complete, read_header
from qap2fpga.reports.result import Cells, Parsed, Refused
from qap2fpga.reports.tables import Table, read_tables
from qap2fpga.reports.utilization import read_utilization

__all__ = ["Cells", "Parsed", "Refused", "read"]

LARGEST = 256 * 2**20


def read(path: Path) -> Parsed:
    """The numbers of one report. Raises `Refused`, which says what the file is and why it gives none."""
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise Refused("unknown", f"{path} is larger than any report")
        content = path.read_bytes()
    except OSError as error:
        raise Refused("unknown", f"cannot read {path}: {error.strerror}") from error
    if b"\0" in content:
        raise Refused("unknown", f"{path} is a binary file; give the report as text, XML or JSON")
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    if not text.strip():
        raise Refused("unknown", f"{path} is empty")
    try:
        return _read(path.name, text)
    except Refused as error:
        raise Refused(error.kind, f"{path}: {error.message}", whole=error.whole) from error


def _read(name: str, text: str) -> Parsed:
    if text.lstrip().startswith("<"):
        return _xml(text)
    if text.lstrip()[0] in "{[" or name.endswith(".json"):
        try:
            return finn.read_json(name, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise Refused("json", f"this is no sound JSON: {error}") from error
    if hls.TITLE.search(text):
        return hls.read_text(text)
    if hls.SUMMARY.search(text):
        return hls.read_summary(text)
    if hls.COSIM.search(text):
        return hls.read_cosim(text)
    if "| Tool Version" in text:
        return _vivado(text)
    raise Refused("unknown", "this is no report of Vivado HLS, Vitis HLS, Vivado or FINN that is known")


def _xml(text: str) -> Parsed:
    # Reports have no document type; one could define entities that fill the memory.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Refused("unknown", "an XML file with a document type is no report")
    try:
        # As bytes, for the declared encoding is that of the file, which is decoded already.
        root = ElementTree.fromstring(text.lstrip().encode())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Refused("xml", f"this is no sound XML, it may be cut off: {error}") from error
    if root.tag == "profile":
        return hls.read_xml(root)
    if root.tag == "RptDoc":
        command = (root.get("cmdline") or "").split()
        header = Header(command[0] if command else "", None, root.get("designname"), root.get("partname"),
                        root.get("designstate"))  # fmt: skip
        if header.command != "report_utilization":
            raise _other(header)
        return read_utilization(header, list(_xml_tables(root)), text)
    raise Refused("unknown", f"XML of '{root.tag}' is no report that is known")


def _xml_tables(root: ElementTree.Element) -> Iterator[Table]:
    """The tables of a report in XML, as they are drawn in the text of the same report."""
    for section in root.iter("section"):
        for table in section.findall("table"):
            header: tuple[str, ...] = ()
            rows = []
            for row in table.findall("tablerow"):
                cells = tuple(cell.get("contents") or "" for cell in row)
                if row.find("tableheader") is not None:
                    header = tuple(cell.strip() for cell in cells)
                else:
                    rows.append(cells)
            if any(len(row) != len(header) for row in rows):
                raise Refused("utilization", f"a table of '{section.get('title')}' has rows of another length")
            yield Table(section.get("title") or "", header, tuple(rows))


def _vivado(text: str) -> Parsed:
    header = read_header(text)
    if header.command in ("report_utilization", "report_accelerator_utilization"):
        check_complete(text, "utilization")
        return read_utilization(header, read_tables(text, "utilization"), text)
    if header.command == "report_timing_summary":
        return timing.read_summary(header, text)
    if header.command == "report_timing":
        return timing.read_paths(header, text)
    raise _other(header)


def _other(header: Header) -> Refused:
    kind = header.command.removeprefix("report_").replace("_", "-") or "vivado"
    return Refused(kind, f"a report of '{header.command}' has neither resources nor timing of a design", whole=True)
