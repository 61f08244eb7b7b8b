# SPDX-License-Identifier: Apache-2.0
"""What is there: boards, tools."""

from __future__ import annotations

from qap2fpga.cli.arguments import console
from qap2fpga.system.errors import QapError


def boards() -> None:
    """List the boards; another one is another YAML file."""
    from rich.markup import escape
    from rich.table import Table

    from qap2fpga.hw import boards as board

    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "part", "clock", "LUT", "FF", "DSP", "BRAM18", "what it is"):
        shown.add_column(column, justify="right" if column in ("clock", "LUT", "FF", "DSP", "BRAM18") else "left")
    for one in map(board.load, board.names()):
        numbers = (f"{value:,}" for value in (one.lut, one.ff, one.dsp, one.bram18))
        shown.add_row(one.name, escape(one.part), f"{one.clock_ns:g} ns", *numbers, escape(one.title))
    console().print(shown)


def doctor() -> None:
    """Say what is installed, and how to get what is missing. Exit code 2 if something needed is missing."""
    from rich.markup import escape
    from rich.table import Table

    from qap2fpga.cli import doctor as examination

    findings = examination.examine()
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "what", "version", "needed for", "how to get it"):
        shown.add_column(column)
    for one in findings:
        mark = "✓" if one.found else ("✗" if one.needed else "–")
        shown.add_row(
            mark,
            one.name,
            one.version or ("found" if one.found else "not found"),
            one.purpose,
            "" if one.found else escape(one.hint),
        )
    console().print(shown)
    missing = [one.name for one in findings if one.needed and not one.found]
    if missing:
        raise QapError(f"missing: {', '.join(missing)}", "the table says how to get each")
