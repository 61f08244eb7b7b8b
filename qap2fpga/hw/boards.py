# SPDX-License-Identifier: Apache-2.0
"""Boards: one YAML file each, shipped under `boards/` or the user's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from qap2fpga.hw.families import FAMILIES, Family
from qap2fpga.system import documents, plugins
from qap2fpga.system.codec import Positive, Size, convert
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import shipped
from qap2fpga.system.reading import is_file, shown, text, yaml_object

# The ports of the module that a board with pins is given, and one that some boards want held high.
PINS = ("clk", "uart_rx", "uart_tx")
HOLD_HIGH = "hold_high"

# Names as the vendors make them.
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
BOARD_PART = re.compile(r"[A-Za-z0-9._:-]*")
EXAMPLE = f"{documents.place('add-a-board')} has an example"
# What a value of each type may be.
RANGES: dict[str, Any] = {"str": str, "int": Size, "float": Positive}
# Keys that a board file may leave out.
OPTIONAL = ("board_part",)


@dataclass(frozen=True)
class Board:
    """One target. `clock_ns` is the period that designs are made for; resources are the whole part's.

    `board_part` names Vivado's board files without their version; empty where there are none, or no need of them.
    `pins` is the text of the constraints file beside the board's YAML file, of the same name with `.lpf`, if the family
    has an open route to a bitstream; there `clock_ns` is the oscillator's.
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
    def device_family(self) -> Family:
        return FAMILIES[self.family]

    @property
    def dsp_cell(self) -> str:
        return self.device_family.dsp_cell

    def available(self, resource: str) -> int:
        """Return how many cells of the kind `resource`, one of `resources.NAMES`, the part has."""
        return int(getattr(self, resource))


def names() -> list[str]:
    """Names of the shipped boards, and of those in other packages."""
    return sorted(_files())


def _files() -> dict[str, Path]:
    """The file of each board by its name: ours, and what is in the modules that entry points of other packages name."""
    folders = [shipped("boards")]
    for point in plugins.installed(plugins.BOARDS).values():
        module = plugins.loaded(point)
        folders += [Path(place) for place in getattr(module, "__path__", ())]
    return {path.stem: path for folder in reversed(folders) for path in folder.glob("*.yaml")}


def load(name: str) -> Board:
    """The shipped board `name`, or the one in the YAML file `name`. Raises `QapError` with what is wrong."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = shipped("boards") / f"{name}.yaml"
        path = known if is_file(known) else _files().get(name, known)
        if not is_file(path):
            raise QapError(
                f"unknown board {shown(name)}", f"{nearest(name, names())}; or a file: --board my-board.yaml"
            )
    return _parse(yaml_object(path, EXAMPLE), path)


def _parse(content: dict[str, Any], path: Path) -> Board:
    kinds = {field.name: str(field.type) for field in fields(Board) if field.name not in ("name", "pins")}
    for key in content:
        if key not in kinds:
            raise QapError(f"{path}: unknown key {shown(key)}", nearest(key, kinds))
    missing = [key for key in kinds if key not in content and key not in OPTIONAL]
    if missing:
        raise QapError(f"{path}: missing {', '.join(missing)}", EXAMPLE)
    for key, value in content.items():
        content[key] = convert(RANGES[kinds[key]], value, key, str(path))
    for key, pattern in (("part", PART), ("board_part", BOARD_PART)):
        # AMD's tools and nextpnr are told these.
        if key in content and not pattern.fullmatch(content[key]):
            raise QapError(f"{path}: {key} is {shown(content[key])}", "it must be the name that the tools know it by")
    if content["family"] not in FAMILIES:
        raise QapError(f"{path}: unknown family {shown(content['family'])}", nearest(content["family"], FAMILIES))
    family = FAMILIES[content["family"]]
    pins = _pins(path.with_suffix(".lpf"), family) if family.open_route else ""
    return Board(name=path.stem, pins=pins, **content)


def _pins(path: Path, family: Family) -> str:
    """The constraints in `path`, which must place exactly the ports that there are."""
    constraints = text(path, f"an {family.name} board needs its pins: {EXAMPLE}")
    placed = set(re.findall(r'^\s*LOCATE\s+COMP\s+"([^"]*)"', constraints, re.MULTILINE))
    wrong = sorted(set(PINS) - placed) or sorted(placed - {*PINS, HOLD_HIGH})
    if wrong:
        what = "no LOCATE of" if wrong[0] in PINS else "unknown port"
        raise QapError(
            f"{path}: {what} {', '.join(wrong)}", f"ports are {', '.join(PINS)}, and {HOLD_HIGH} where needed"
        )
    return constraints
