# SPDX-License-Identifier: Apache-2.0
"""Boards: one YAML file each, shipped under `boards/` or the user's own."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from qap2fpga.errors import QapError, nearest
from qap2fpga.files import shipped

# Yosys' `synth_xilinx -family` names, and the DSP cell each family has.
FAMILIES = {"xc7": "DSP48E1", "xcu": "DSP48E2", "xcup": "DSP48E2"}

# Keys that a board file may leave out.
OPTIONAL = ("board_part",)


@dataclass(frozen=True)
class Board:
    """One target. `clock_ns` is the period that designs are made for; resources are the whole part's.

    `board_part` names Vivado's board files without their version; empty where there are none, or no need of them.
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

    @property
    def dsp_cell(self) -> str:
        return FAMILIES[self.family]


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
    kinds = {field.name: str(field.type) for field in fields(Board) if field.name != "name"}
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
    if content["family"] not in FAMILIES:
        raise QapError(f"{path}: unknown family '{content['family']}'", nearest(content["family"], FAMILIES))
    return Board(name=path.stem, **{**content, "clock_ns": float(content["clock_ns"])})
