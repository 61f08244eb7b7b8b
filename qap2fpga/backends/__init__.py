# SPDX-License-Identifier: Apache-2.0
"""Backends: each turns a compacted `IntegerNetwork` into a `Design`.

A backend is a module with `generate(network, board, folder, options, vectors, progress) -> Design` and an options
class; `BACKENDS` says which there are. A new one is one more entry here.
"""

from __future__ import annotations

import inspect
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

    def make_options(self, name: str, **given: Any) -> Any:
        """The options object of backend `name` from command-line arguments; None is one that was not given.

        Raises `QapError` naming an option that this backend does not know.
        """
        options = self.options_class()
        legal = inspect.signature(options).parameters
        chosen = {key: value for key, value in given.items() if value is not None}
        for key in chosen:
            if key not in legal:
                known = ", ".join(option(other) for other in given if other in legal)
                raise QapError(f"the {name} backend has no option {option(key)}", f"it takes {known}")
        return options(**chosen)

    def load(self) -> ModuleType:
        """The backend's module, imported now."""
        return import_module(self.module)


def option(name: str) -> str:
    """An argument's name as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


BACKENDS = {
    "finn": Backend("qap2fpga.backends.finn", "FinnOptions"),
    "rtl": Backend("qap2fpga.backends.rtl", "RtlOptions"),
}


def get(name: str) -> Backend:
    """The backend `name`. Raises `QapError` with the known names."""
    if name not in BACKENDS:
        raise QapError(f"unknown backend '{name}'", nearest(name, BACKENDS))
    return BACKENDS[name]
