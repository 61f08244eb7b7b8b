# SPDX-License-Identifier: Apache-2.0
"""The terminal as all commands write to it: what was read from a file can neither steer it nor be taken for markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Literal, TypedDict, Unpack

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from qap2fpga.system.names import printable


def warning(text: str) -> str:
    """Return the markup of a warning in plain words."""
    return f"[yellow]warning[/] {escape(text)}"


class Options(TypedDict, total=False):
    """What of a rich console is chosen; it finds out the rest."""

    file: IO[str]
    quiet: bool
    width: int
    force_terminal: bool
    color_system: Literal["auto", "standard", "256", "truecolor", "windows"]


class Terminal(Console):
    """A console that shows hidden characters of texts as escapes; what it writes itself, colours say, stays."""

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of `renderable`, which rich puts together from those of its parts in the same way."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def on_broken_pipe(self) -> None:
        """Let the command line decide; rich ends with 1."""
        raise BrokenPipeError
