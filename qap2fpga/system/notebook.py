# SPDX-License-Identifier: Apache-2.0
"""A line below a notebook's cell that is written over: what a long stage is at."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from qap2fpga.system.names import printable

# So often a line changes; a page that is sent every word gets slow.
EVERY_S = 0.2


class Line:
    """One line, shown at once; `write` replaces it, not more often than a reader can follow unless it is the `last`."""

    def __init__(self, text: str, display: Callable[..., Any]) -> None:
        self.handle = display(_plain(text), raw=True, display_id=True)
        self.written = time.monotonic()

    def write(self, text: str, *, last: bool = False) -> None:
        """Show `text` in place of what was there."""
        if last or time.monotonic() - self.written >= EVERY_S:
            self.written = time.monotonic()
            self.handle.update(_plain(text), raw=True)


def line(text: str) -> Line | None:
    """Return a line below the cell that runs; None where this is no notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return Line(text, display)


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": printable(text)}
