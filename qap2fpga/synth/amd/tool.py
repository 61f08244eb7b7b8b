# SPDX-License-Identifier: Apache-2.0
"""AMD's tools on this machine: where they are, which version, and what to say where there are none.

The HLS tool changed its name: `vivado_hls` to 2020.1, `vitis_hls` from 2020.1, `vitis-run --mode hls` from 2023.2 (AMD
UG1399, "Vitis HLS migration").
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from qap2fpga.system import programs as tools

# The scripts that start the programs take seconds to start; a licence server that does not answer, for ever.
VERSION_LIMIT_S = 30.0
VERSION = re.compile(r"(?<!\d)20\d\d\.\d(\.\d+)?(?!\d)")
FIRST_VITIS_RUN = "2023.2"
# AMD's own default for a long time, and where `docker/csim` mounts the host's installation. Up to 2024 releases lie in
# Vitis/2023.2, then in 2025.1/Vitis; the third is for a mount of one release's own folder.
INSTALLED, LAYOUTS = Path("/opt/Xilinx"), ("*/20*/bin", "20*/*/bin", "bin")


class Kind(StrEnum):
    """What a tool is for."""

    HLS = "hls"
    VIVADO = "vivado"


# Programs of each kind, the newest name first.
PROGRAMS = {Kind.HLS: ("vitis-run", "vitis_hls", "vivado_hls"), Kind.VIVADO: ("vivado",)}
# Installations' own variables, set by the `settings64.sh` that comes with each.
VARIABLES = {
    Kind.HLS: ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO"),
    Kind.VIVADO: ("XILINX_VIVADO", "XILINX_VITIS", "XILINX_HLS"),
}
TITLES = {"vitis-run": "Vitis HLS", "vitis_hls": "Vitis HLS", "vivado_hls": "Vivado HLS", "vivado": "Vivado"}
GIVES = {
    Kind.HLS: "C simulation, synthesis, co-simulation and export of the hls4ml backend's projects",
    Kind.VIVADO: "AMD's own LUTs, registers and timing of every backend's design, after synthesis and after routing, "
    "and bitstreams for boards with a Zynq",
}
GET = {
    Kind.HLS: "install AMD Vitis (free for the smaller parts) and source its settings64.sh",
    Kind.VIVADO: "install AMD Vivado (free for the smaller parts) and source its settings64.sh",
}


@dataclass(frozen=True)
class Tool:
    """One installed tool. `version` is as '2023.2', empty where the tool does not say it."""

    program: str
    path: Path
    version: str
    kind: Kind

    @property
    def name(self) -> str:
        return TITLES[self.program]

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".rstrip()

    def command(self, script: str) -> tuple[str, ...]:
        """The command line that runs a Tcl script."""
        options = {
            "vitis-run": ("--mode", "hls", "--tcl", script),
            "vitis_hls": ("-f", script),
            "vivado_hls": ("-f", script),
            "vivado": ("-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", script),
        }
        return (str(self.path), *options[self.program])


@dataclass(frozen=True)
class Tools:
    """What was found, None where nothing was."""

    hls: Tool | None = None
    vivado: Tool | None = None

    def of(self, kind: Kind) -> Tool | None:
        return self.hls if kind is Kind.HLS else self.vivado


@dataclass(frozen=True)
class Places:
    """Where tools are looked for: PATH and the tools' own variables in `environment`, and below `installed`."""

    environment: Mapping[str, str]
    installed: Path

    @classmethod
    def here(cls) -> Places:
        """Return those of this process."""
        return cls(os.environ, INSTALLED)


def find(places: Places | None = None) -> Tools:
    """The tools on PATH, else in the installations that the environment names, else in the usual place, the newest
    first; asks them for their version. `places` are this process' own unless given.
    """
    places = places or Places.here()
    return Tools(*(_find(kind, places) for kind in (Kind.HLS, Kind.VIVADO)))


def _find(kind: Kind, places: Places) -> Tool | None:
    for folders in (places.environment.get("PATH", os.defpath), *map(str, _folders(kind, places))):
        tools = []
        for program in PROGRAMS[kind]:
            path = shutil.which(program, path=folders)
            if path is not None:
                tools.append(Tool(program, Path(path), version(Path(path)), kind))
        # Releases before 2023.2 have a `vitis-run` that does not know this mode.
        usable = [tool for tool in tools if tool.program != "vitis-run" or not _older(tool.version)]
        if usable:
            return usable[0]
    return None


def _older(version: str) -> bool:
    return bool(version) and version < FIRST_VITIS_RUN


def _folders(kind: Kind, places: Places) -> list[Path]:
    """The `bin` folders of the installations that the environment names, then of those in the usual place."""
    named = [places.environment[variable] for variable in VARIABLES[kind] if places.environment.get(variable)]
    installed = {place for layout in LAYOUTS for place in places.installed.glob(layout)}
    newest = sorted(installed, key=lambda place: (_in_path(place), place), reverse=True)
    return [*(Path(place) / "bin" for place in dict.fromkeys(named)), *newest]


def version(path: Path) -> str:
    """The version of the tool at `path`: from the name of its installation's folder, else as it says; or empty."""
    # As named first: an installation may be reached by a link, or be a link.
    return _in_path(path.absolute()) or _in_path(path.resolve()) or _stated_version(path, path.stat().st_mtime_ns)


def _in_path(place: Path) -> str:
    """The version that a folder above `place` is named by, or empty."""
    matches = (VERSION.fullmatch(part) for part in reversed(place.parts[:-1]))
    return next((match[0] for match in matches if match), "")


@cache
def _stated_version(path: Path, changed: int) -> str:
    """What the tool prints; one process asks a tool once."""
    option = "--version" if path.name == "vitis-run" else "-version"
    match = VERSION.search(tools.ask([path, option], VERSION_LIMIT_S))
    return match[0] if match else ""


def absent(kind: Kind, places: Places | None = None) -> str:
    """One sentence: what is not there, where it was looked for, and how to get it."""
    places = places or Places.here()
    *others, last = PROGRAMS[kind]
    programs = f"{', '.join(others)} or {last}" if others else last
    listed = []
    for variable in VARIABLES[kind]:
        value = places.environment.get(variable)
        listed.append(f"{variable} ({Path(value) / 'bin'})" if value else f"{variable} (not set)")
    name = "Vitis HLS" if kind is Kind.HLS else "Vivado"
    return (
        f"{name} is absent: no {programs} on PATH, nor under {', '.join([*listed, str(places.installed)])}. It gives "
        f"{GIVES[kind]}; to have it, "
        f"{GET[kind]}."
    )
