# SPDX-License-Identifier: Apache-2.0
"""What is there: boards, tools."""

from __future__ import annotations

from qap2fpga.cli.arguments import console
from qap2fpga.system.errors import QapError


def boards() -> None:
    """List the boards; another one is another YAML file."""
    from rich.markup import escape

    from qap2fpga.hw import boards as board
    from qap2fpga.system.tables import headed

    shown = headed("name", "part", "clock", "LUT", "FF", "DSP", "BRAM18", "what it is", words=(0, 1, 7))
    for one in map(board.load, board.names()):
        numbers = (f"{value:,}" for value in (one.lut, one.ff, one.dsp, one.bram18))
        shown.add_row(one.name, escape(one.part), f"{one.clock_ns:g} ns", *numbers, escape(one.title))
    console().print(shown)


def doctor() -> None:
    """Say what is installed, and how to get what is missing. Exit code 2 if something needed is missing."""
    from rich.markup import escape

    from qap2fpga.cli import doctor as examination
    from qap2fpga.system.tables import headed

    findings = examination.examine()
    shown = headed("", "what", "version", "needed for", "how to get it", words=range(5))
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
