# SPDX-License-Identifier: Apache-2.0
"""`help`: the documentation as it is installed, page by page."""

from __future__ import annotations

from typing import Annotated

import typer

from qap2fpga.cli.arguments import console
from qap2fpga.system import documents


def topics(beginning: str) -> list[str]:
    """Return the pages whose names begin so, for a shell."""
    return [name for name in documents.topics() if name.startswith(beginning)]


def show(
    topic: Annotated[
        str | None, typer.Argument(help="a page of the documentation [a list of them]", autocompletion=topics)
    ] = None,
) -> None:
    """Show a page of the documentation, or which there are."""
    if topic is None:
        for name in documents.topics():
            print(f"{name:22} {documents.title(name)}")
        return
    text = documents.text(topic)
    terminal = console()
    if not terminal.is_terminal:
        print(text)
        return
    from rich.markdown import Markdown

    with terminal.pager(styles=True):
        terminal.print(Markdown(text))
