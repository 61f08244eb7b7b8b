# SPDX-License-Identifier: Apache-2.0
"""Backends: each turns a compacted `IntegerNetwork` into a `Design`.

A backend is a module with `generate(network, board, folder, options, vectors, progress) -> Design` and an options
class; `BACKENDS` says which there are. A new one is one more entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from qap2fpga.errors import QapError, nearest


@dataclass(frozen=True)
class Backend:
    """`module` is imported when the backend is used; `options` is its options class, in `<module>.options`."""

    module: str
    options: str

    def options_class(self) -> Callable[..., Any]:
        """The options class; light, unlike the backend."""
        return getattr(import_module(f"{self.module}.options"), self.options)  # type: ignore[no-any-return]

    def load(self) -> ModuleType:
        """The backend's module, imported now."""
        return import_module(self.module)


BACKENDS = {
    "finn": Backend("qap2fpga.backends.finn", "FinnOptions"),
    "rtl": Backend("qap2fpga.backends.rtl", "RtlOptions"),
}


def get(name: str) -> Backend:
    """The backend `name`. Raises `QapError` with the known names."""
    if name not in BACKENDS:
        raise QapError(f"unknown backend '{name}'", nearest(name, BACKENDS))
    return BACKENDS[name]
