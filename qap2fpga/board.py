# SPDX-License-Identifier: Apache-2.0
"""Boards: one YAML file each, shipped under `boards/` or the user's own."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from qap2fpga.errors import QapError, nearest
from qap2fpga.files import shipped


@dataclass(frozen=True)
class Family:
    """What the parts of a family call their resources, and the backends that can make hardware for them."""

    lut: str = "LUT"
    ff: str = "FF"
    dsp: str = "DSP"
    bram18: str = "BRAM18"
    dsp_cell: str = ""
    backends: tuple[str, ...] = ("finn", "hls4ml", "rtl")

    def resource(self, name: str) -> str:
        """The family's own word for 'lut', 'ff', 'dsp' or 'bram18'."""
        return str(getattr(self, name))


# The first three are Yosys' `synth_xilinx -family` names. The names of ECP5 resources are nextpnr's: a TRELLIS_COMB is
# a 4-input LUT or one bit of a carry chain, a DP16KD holds 18 kbit (Lattice FPGA-DS-02012, chapter 2).
ECP5 = "ecp5"
FAMILIES = {
    "xc7": Family(dsp_cell="DSP48E1"),
    "xcu": Family(dsp_cell="DSP48E2"),
    "xcup": Family(dsp_cell="DSP48E2"),
    ECP5: Family("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD", "MULT18X18D", ("rtl",)),
}
# The ports of the module that an ECP5 board is given, and one that some boards want held high.
PINS = ("clk", "uart_rx", "uart_tx")
HOLD_HIGH = "hold_high"

# Names as the vendors make them.
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
BOARD_PART = re.compile(r"[A-Za-z0-9._:-]*")
# Keys that a board file may leave out.
OPTIONAL = ("board_part",)


@dataclass(frozen=True)
class Board:
    """One target. `clock_ns` is the period that designs are made for; resources are the whole part's.

    `board_part` names Vivado's board files without their version; empty where there are none, or no need of them.
    `pins` is the text of the constraints file beside an ECP5 board's YAML file, of the same name with `.lpf`; there
    `clock_ns` is the oscillator's.
    """

    name: str
    title: str
    part: str
    family: str
    clock_ns: float
    lut: int
    ff: int
    dsp: int
    bram18: int
    source: str
    board_part: str = ""
    pins: str = ""

    @property
    def dsp_cell(self) -> str:
        return FAMILIES[self.family].dsp_cell


def names() -> list[str]:
    """Names of the shipped boards."""
    return sorted(path.stem for path in shipped("boards").glob("*.yaml"))


def load(name: str) -> Board:
    """The shipped board `name`, or the one in the YAML file `name`. Raises `QapError` with what is wrong."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = shipped("boards") / f"{name}.yaml"
        if not path.is_file():
            raise QapError(f"unknown board '{name}'", f"{nearest(name, names())}; or a file: --board my-board.yaml")
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise QapError(f"cannot read the board file {path}: {error.strerror}", "check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error).splitlines()[0]
        raise QapError(f"{path} is not YAML: {where}", "see docs/add-a-board.md for an example") from error
    return _parse(content, path)


def _parse(content: Any, path: Path) -> Board:
    if not isinstance(content, dict):
        raise QapError(f"{path}: a board is a mapping of keys to values", "see docs/add-a-board.md for an example")
    kinds = {field.name: str(field.type) for field in fields(Board) if field.name not in ("name", "pins")}
    for key in content:
        if key not in kinds:
            raise QapError(f"{path}: unknown key '{key}'", nearest(str(key), kinds))
    missing = [key for key in kinds if key not in content and key not in OPTIONAL]
    if missing:
        raise QapError(f"{path}: missing {', '.join(missing)}", "see docs/add-a-board.md for what each means")
    for key, value in content.items():
        kind = kinds[key]
        good = isinstance(value, str) if kind == "str" else isinstance(value, (int, float)) and 0 < value < math.inf
        if not good or (kind == "int" and not isinstance(value, int)) or isinstance(value, bool):
            wanted = {"str": "a text", "int": "a whole number above 0", "float": "a number above 0"}[kind]
            raise QapError(f"{path}: {key} is {value!r}", f"it must be {wanted}")
    for key, pattern in (("part", PART), ("board_part", BOARD_PART)):
        # AMD's tools and nextpnr are told these.
        if key in content and not pattern.fullmatch(content[key]):
            raise QapError(f"{path}: {key} is {content[key]!r}", "it must be the name that the tools know it by")
    if content["family"] not in FAMILIES:
        raise QapError(f"{path}: unknown family '{content['family']}'", nearest(content["family"], FAMILIES))
    pins = _pins(path.with_suffix(".lpf")) if content["family"] == ECP5 else ""
    return Board(name=path.stem, pins=pins, **{**content, "clock_ns": float(content["clock_ns"])})


def _pins(path: Path) -> str:
    """The constraints in `path`, which must place exactly the ports that there are."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise QapError(
            f"an ecp5 board needs its pins, {path}: {error}", "see docs/add-a-board.md for what is in it"
        ) from error
    placed = set(re.findall(r'^\s*LOCATE\s+COMP\s+"([^"]*)"', text, re.MULTILINE))
    wrong = sorted(set(PINS) - placed) or sorted(placed - {*PINS, HOLD_HIGH})
    if wrong:
        what = "no LOCATE of" if wrong[0] in PINS else "unknown port"
        raise QapError(
            f"{path}: {what} {', '.join(wrong)}", f"ports are {', '.join(PINS)}, and {HOLD_HIGH} where needed"
        )
    return text
