# SPDX-License-Identifier: Apache-2.0
"""Backends: each turns a compacted `Graph` into hardware, or into C++ that an HLS tool makes hardware of.

`BACKENDS` says where each is; a backend is imported when it is asked for. A new one is a subclass of `api.Backend` and
one more entry here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from qap2fpga.system.errors import QapError, nearest

if TYPE_CHECKING:  # numpy comes with it, which a table of reports does not need
    from qap2fpga.backends.api import Advice, Backend

    __all__ = ["BACKENDS", "Advice", "Backend", "get", "option"]

BACKENDS = {
    "finn": "qap2fpga.backends.finn.backend:FinnBackend",
    "hls4ml": "qap2fpga.backends.hls4ml.backend:Hls4mlBackend",
    "rtl": "qap2fpga.backends.rtl.backend:RtlBackend",
}


@cache
def get(name: str) -> Backend[Any]:
    """Return the backend `name`, imported now. Raises `QapError` with the known names."""
    if name not in BACKENDS:
        raise QapError(f"unknown backend '{name}'", nearest(name, BACKENDS))
    module, kind = BACKENDS[name].split(":")
    return cast("Backend[Any]", getattr(import_module(module), kind)())


def option(name: str) -> str:
    """Return an argument's name as it is written on the command line."""
    return f"--{name.replace('_', '-')}"
