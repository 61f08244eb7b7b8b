# SPDX-License-Identifier: Apache-2.0
"""nextpnr-ecp5: a netlist to places and wires of a part; what it uses and which clock it reaches are in its report.

https://github.com/YosysHQ/nextpnr/blob/master/docs/report.md has the report's format. It uses one core.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Measurement, Stage
from qap2fpga.hw.resources import Resources
from qap2fpga.synth.ecp5 import tool
from qap2fpga.synth.ecp5.tool import PLACER, Tool
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.programs import Ended

Progress = Callable[[str], None]
TIME_LIMIT_S = 3600.0
# Placement starts from chance; the same seed gives the same result.
SEED = 1
PART = re.compile(r"LFE5(UM5G|UM|U)-(12|25|45|85)F-([678])(BG|MG|TG)(\d+)[CI]$")
LINES = {"U": "", "UM": "um-", "UM5G": "um5g-"}
PACKAGES = {"BG": "CABGA", "MG": "CSFBGA", "TG": "TQFP"}
UTILIZATION = re.compile(r"^Info:\s+(\w+): +(\d+)/ *(\d+) +\d+%", re.MULTILINE)
# Where a design for another family is placed to see a routed clock: the largest part there is.
CROSS_CHECK = "ulx3s-85f"


@dataclass(frozen=True)
class Placed:
    """What became of one netlist on one part.

    `used` is (used, there are) by the part's own names. Where more is used than there is, nothing was placed, and
    `achieved_ns`, the shortest period after routing, is None. `path` describes the longest path.
    """

    part: str
    version: str
    used: dict[str, tuple[int, int]]
    target_ns: float
    achieved_ns: float | None
    path: str = ""

    def measurement(self, labels: Mapping[str, str]) -> Measurement:
        """The resources, which the part's family calls by `labels`.

        What did not fit was counted after packing, before any place; that is no routed number.
        """
        total = {name: self.used.get(label, (None, 0))[0] for name, label in labels.items()}
        if self.achieved_ns is None:
            note = f"packed for {self.part} and not placed: it does not fit"
            return Measurement(PLACER, self.version, Stage.SYNTHESIS, Resources(**total), note=note)
        note = f"on {self.part}, with the serial port around the network; {self.path}"
        return Measurement(PLACER, self.version, Stage.ROUTED, Resources(**total), note=note)


def device(part: str) -> list[str]:
    """nextpnr's options for a part's full name. Raises `QapError` for one that is no ECP5."""
    match = PART.match(part)
    if match is None:
        raise QapError(f"'{part}' is no full name of an ECP5", "one is LFE5U-85F-6BG381C: line, size, speed, package")
    line, size, speed, package, balls = match.groups()
    return [f"--{LINES[line]}{size}k", "--package", f"{PACKAGES[package]}{balls}", "--speed", speed]


def place(
    netlist: Path, board: Board, target_ns: float, folder: Path, *, time_limit_s: float = TIME_LIMIT_S,
    progress: Progress = lambda text: None,
) -> Placed:  # fmt: skip
    """Place and route `netlist`, JSON of Yosys, with the board's pins. Leaves `board.config` where it fits.

    A clock that is not reached is no error. Raises `QapError` when nextpnr is missing, fails, is killed, takes more
    than `time_limit_s`, or leaves no report.
    """
    program = tool.require(PLACER)
    folder.mkdir(parents=True, exist_ok=True)
    pins, config, report = (folder / name for name in ("pins.lpf", "board.config", "report.json"))
    write_atomically(pins, board.pins)
    for stale in (config, report):
        stale.unlink(missing_ok=True)
    # Relative paths: the packaged program has a /tmp of its own.
    design = [*device(board.part), "--json", os.path.relpath(netlist, folder), "--lpf", pins.name]
    # A placer that has too few places searches for hours; packing, seconds of work, tells.
    ended = _run(program, [*design, "--pack-only"], folder / "pack.log", time_limit_s)
    used = {name: (int(here), int(there)) for name, here, there in UTILIZATION.findall(ended.output)}
    if any(here > there for here, there in used.values()):
        progress(f"does not fit: {over(used)}")
        return Placed(board.part, program.version, used, target_ns, None)
    options = ["--textcfg", config.name, "--report", report.name, "--freq", f"{1000 / target_ns:.6f}"]
    options += ["--timing-allow-fail", "--seed", str(SEED)]
    progress(f"placing and routing on {board.part} with {PLACER} {program.version}, for {target_ns:g} ns")
    begin = time.monotonic()
    log = folder / "nextpnr.log"
    ended = _run(program, [*design, *options], log, time_limit_s)
    if not report.is_file() or not config.is_file():
        raise QapError(f"{PLACER} left no report: {tools.telling_line(ended.output)}", f"its log: {log}")
    placed = read(json.loads(report.read_text()), board.part, program.version, target_ns)
    reached = placed.achieved_ns or 0.0
    progress(f"routed: {1000 / reached:.1f} MHz ({reached:.1f} ns) reached, in {time.monotonic() - begin:.0f} s")
    return placed


def _run(program: Tool, options: list[str], log: Path, limit_s: float) -> Ended:
    """Run nextpnr in the log's folder."""
    command: list[str | os.PathLike[str]] = [program.path, *options]
    ended = tools.execute(command, log=log, folder=log.parent, time_limit_s=limit_s)
    if ended.code is None:
        raise QapError(f"{PLACER} took more than {limit_s:g} s", f"fewer bits, more zeros, or a larger part; {log}")
    if ended.code != 0:
        how = f"was killed by signal {-ended.code}" if ended.code < 0 else "failed"
        raise QapError(f"{PLACER} {how}: {tools.telling_line(ended.output)}", f"its log: {log}")
    return ended


def over(used: dict[str, tuple[int, int]]) -> str:
    """What there is too little of."""
    return ", ".join(f"{name} {here:,} of {there:,}" for name, (here, there) in used.items() if here > there)


def read(report: dict[str, Any], part: str, version: str, target_ns: float) -> Placed:
    """The content of nextpnr's report. Raises `QapError` when it states no clock."""
    used = {name: (one["used"], one["available"]) for name, one in report["utilization"].items()}
    if not report["fmax"]:
        raise QapError(f"{PLACER} found no clock in the design", "nothing in it depends on the clock pin")
    slowest = min(report["fmax"].values(), key=lambda clock: clock["achieved"])
    return Placed(part, version, used, target_ns, 1000 / slowest["achieved"], _path(report["critical_paths"]))


def _path(paths: list[dict[str, Any]]) -> str:
    """The longest path from register to register: where, and how much of it is logic and how much wires."""
    inside = [one["path"] for one in paths if "<async>" not in (one["from"], one["to"])]
    if not inside:
        return ""
    longest = max(inside, key=lambda path: sum(step["delay"] for step in path))
    wires = sum(step["delay"] for step in longest if step["type"] == "routing")
    logic = sum(step["delay"] for step in longest) - wires
    ends = longest[0]["from"]["cell"], longest[-1]["to"]["cell"]
    return f"longest path {logic:.1f} ns of cells and {wires:.1f} ns of wires, {ends[0]} to {ends[1]}"
