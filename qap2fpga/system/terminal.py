# SPDX-License-Identifier: Apache-2.0
"""The terminal as all commands write to it: what was read from a file can neither steer it nor be taken for markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from qap2fpga.system.names import printable


class Terminal(Console):
    """A console that shows hidden characters of texts as escapes; what it writes itself, colours say, stays."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of `renderable`, which rich puts together from those of its parts in the same way."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def on_broken_pipe(self) -> None:
        """Let the command line decide; rich ends with 1."""
        raise BrokenPipeError
