# SPDX-License-Identifier: Apache-2.0
"""What is installed, what each part is needed for, and how to get what is missing."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qap2fpga.synth import amd as vendor
from qap2fpga.synth.amd.tool import GET, GIVES
from qap2fpga.synth.ecp5 import tool as ecp5
from qap2fpga.system import programs as tools

PACKAGES = {
    "torch": "reading and running trained networks",
    "brevitas": "quantized layers and the export to QONNX",
    "qonnx": "reading and executing the exported graph",
    "finn-plus": "the FINN backend",
    "verilator": "simulating the generated hardware",
    "pyosys": "synthesis without a vendor tool",
    "numpy": "the integer reference",
}
EXTRAS = {
    "pythia8mc": ("simulating jets (qap2fpga simulate-jets)", "pip install 'qap2fpga[simulate]'"),
    "fastjet": ("clustering the simulated jets", "pip install 'qap2fpga[simulate]'"),
}
PROGRAMS = {
    "g++": ("--version", "compiling the simulation", "apt install g++"),
    "perl": ("--version", "Verilator's driver", "apt install perl"),
    "docker": ("--version", "optional: running in a container", "install Docker"),
}
OPTIONAL = ("docker", *EXTRAS)
TIME_LIMIT_S = 20


@dataclass(frozen=True)
class Finding:
    """One part: its version if it is there, where, and what it is for."""

    name: str
    found: bool
    version: str
    place: str
    purpose: str
    hint: str
    needed: bool


def examine() -> list[Finding]:
    """Look for every part; takes a second or two, as programs are asked for their version."""
    findings = []
    for name, purpose in PACKAGES.items():
        findings.append(_package(name, purpose, f"pip install {name}, or install qap2fpga again"))
    for name, (option, purpose, hint) in PROGRAMS.items():
        place = shutil.which(name)
        stated = _ask(place, option) if place else ""
        findings.append(Finding(name, place is not None, stated, place or "", purpose, hint, name not in OPTIONAL))
    findings += [*_vendor(), *_open_route()]
    for name, (purpose, hint) in EXTRAS.items():
        findings.append(_package(name, purpose, hint))
    return findings


def _vendor() -> list[Finding]:
    """AMD's tools, under the name that was found, else under the one that most releases have."""
    installed = vendor.find()
    findings = []
    for kind, name in ((vendor.Kind.HLS, "vitis_hls"), (vendor.Kind.VIVADO, "vivado")):
        tool, purpose = installed.of(kind), f"optional, licensed by AMD: {GIVES[kind]}"
        if tool is None:
            findings.append(Finding(name, False, "", "", purpose, GET[kind], False))
        else:
            findings.append(Finding(tool.program, True, tool.version, str(tool.path), purpose, GET[kind], False))
    return findings


def _open_route() -> list[Finding]:
    """nextpnr and ecppack, native or packaged."""
    findings = []
    for name in (ecp5.PLACER, ecp5.PACKER):
        tool, purpose = ecp5.find(name), f"optional: {ecp5.GIVES}"
        stated, place = (tool.version, str(tool.path)) if tool else ("", "")
        findings.append(Finding(name, tool is not None, stated, place, purpose, ecp5.GET, False))
    return findings


def _package(name: str, purpose: str, hint: str) -> Finding:
    try:
        return Finding(name, True, version(name), "Python package", purpose, hint, name not in OPTIONAL)
    except PackageNotFoundError:
        return Finding(name, False, "", "", purpose, hint, name not in OPTIONAL)


def _ask(place: str, option: str) -> str:
    """The version number in what a program says of itself; empty when it says none in time."""
    match = re.search(r"\d+(\.\d+)+", tools.ask([Path(place), option], TIME_LIMIT_S))
    return match.group(0) if match else ""
