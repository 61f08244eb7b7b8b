# SPDX-License-Identifier: Apache-2.0
"""Backends: each turns a compacted `Graph` into hardware, or into C++ that an HLS tool makes hardware of.

A backend is a module with `generate(network, board, folder, options, vectors, progress)`, which returns a `Design` (or
an `HlsProject`, for C++), `expect(network, board, options)`, which says what a `Design` will cost, and an options
class; `BACKENDS` says which there are. A new one is one more entry here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from qap2fpga.system.errors import QapError, nearest


@dataclass(frozen=True)
class Advice:
    """What to look at when hardware differs from its prediction in `cycles` or `dsp`, or is too large: `size`."""

    cycles: str
    dsp: str
    size: str


@dataclass(frozen=True)
class Backend:
    """`module` is imported when the backend is used; `options` is its options class, in `<module>.options`.

    `stand_in` names the backend whose circuit of the same integer network is measured where this one leaves C++ and
    no HLS tool is there to make hardware of it; empty for a backend that makes hardware itself.
    """

    module: str
    options: str
    advice: Advice
    stand_in: str = ""

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

    def stand_in_options(self, options: Any) -> Any:
        """The options of the backend that stands in, from what both know."""
        other = BACKENDS[self.stand_in].options_class()
        shared = {name for name in inspect.signature(other).parameters if hasattr(options, name)}
        # A relaxed network is relaxed already: what stands in must equal that one.
        return other(**{name: getattr(options, name) for name in shared - {"requant_tolerance"}})

    def knows(self, name: str) -> bool:
        """Whether the backend has an option of that name."""
        return name in inspect.signature(self.options_class()).parameters

    def load(self) -> ModuleType:
        """The backend's module, imported now."""
        return import_module(self.module)


def option(name: str) -> str:
    """An argument's name as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


FINN_ADVICE = Advice(
    "a FIFO is too shallow, or a node takes other cycles than its folding says",
    "a layer has another folding or width than its node says, or logic became DSPs",
    "choose a larger board, --target-fps or --max-utilization",
)
UNROLLED_ADVICE = Advice(
    "a layer has another number of pipeline stages than was planned",
    "a product with a constant became a DSP, or a layer is not the one that was generated",
    "choose a larger board, prune further, use fewer bits, or --backend finn, which folds layers in time",
)
BACKENDS = {
    "finn": Backend("qap2fpga.backends.finn", "FinnOptions", FINN_ADVICE),
    "hls4ml": Backend("qap2fpga.backends.hls4ml", "Hls4mlOptions", UNROLLED_ADVICE, stand_in="rtl"),
    "rtl": Backend("qap2fpga.backends.rtl", "RtlOptions", UNROLLED_ADVICE),
}


def get(name: str) -> Backend:
    """The backend `name`. Raises `QapError` with the known names."""
    if name not in BACKENDS:
        raise QapError(f"unknown backend '{name}'", nearest(name, BACKENDS))
    return BACKENDS[name]
