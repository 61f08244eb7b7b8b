# SPDX-License-Identifier: Apache-2.0
"""Backends: each turns a compacted `Graph` into hardware, or into C++ that an HLS tool makes hardware of.

`BACKENDS` says where each of ours is, entry points those of other packages; a backend is imported when it is asked for.
A new one is a subclass of `api.Backend` and one more entry here, or an entry point: docs/add-a-backend.md.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from qap2fpga.system import plugins
from qap2fpga.system.errors import QapError, nearest

if TYPE_CHECKING:  # numpy comes with it, which a table of reports does not need
    from qap2fpga.backends.api import Advice, Backend

    __all__ = ["BACKENDS", "Advice", "Backend", "get", "names", "option", "origin"]

BACKENDS = {
    "finn": "qap2fpga.backends.finn.backend:FinnBackend",
    "hls4ml": "qap2fpga.backends.hls4ml.backend:Hls4mlBackend",
    "rtl": "qap2fpga.backends.rtl.backend:RtlBackend",
}


def names() -> list[str]:
    """Return the names of all backends: ours, then those of other packages."""
    return [*BACKENDS, *(name for name in plugins.installed(plugins.BACKENDS) if name not in BACKENDS)]


@cache
def get(name: str) -> Backend[Any]:
    """Return the backend `name`, imported now. Raises `QapError` with the known names."""
    if name in BACKENDS:
        module, kind = BACKENDS[name].split(":")
        return cast("Backend[Any]", getattr(import_module(module), kind)())
    point = plugins.installed(plugins.BACKENDS).get(name)
    if point is None:
        raise QapError(f"unknown backend '{name}'", nearest(name, names()))
    from qap2fpga.backends.api import Backend

    kind_of_other = plugins.loaded(point)
    if not (isinstance(kind_of_other, type) and issubclass(kind_of_other, Backend)) or kind_of_other.name != name:
        what = f"the backend '{name}' of {plugins.origin(point)} is no Backend of that name"
        raise QapError(what, f"report this to those who make that package: {point.value}")
    return kind_of_other()


def origin(name: str) -> str:
    """Return the package and version that the backend `name` is from; empty for ours."""
    point = None if name in BACKENDS else plugins.installed(plugins.BACKENDS).get(name)
    return "" if point is None else plugins.origin(point)


def option(name: str) -> str:
    """Return an argument's name as it is written on the command line."""
    return f"--{name.replace('_', '-')}"
