# SPDX-License-Identifier: Apache-2.0
"""What several commands share: kinds of arguments, how they are read, where tables go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qap2fpga.system.errors import QapError, nearest

if TYPE_CHECKING:
    from qap2fpga.system.terminal import Terminal

LOG_WIDTH = 150
Model = Annotated[
    Path, typer.Argument(help="model.pt of qap2fpga.save, a Brevitas state dict (.pth), or QONNX (.onnx)")
]


def board_names(beginning: str) -> list[str]:
    """Return the boards whose names begin so, for a shell."""
    from qap2fpga.hw import boards

    return [name for name in boards.names() if name.startswith(beginning)]


def backend_names(beginning: str) -> list[str]:
    """Return the backends whose names begin so, for a shell."""
    from qap2fpga import backends

    return [name for name in backends.names() if name.startswith(beginning)]


def stage_names(beginning: str) -> list[str]:
    """Return the stages of a build whose names begin so, for a shell."""
    from qap2fpga.build.request import STAGES

    return [name for name in STAGES if name.startswith(beginning)]


BoardName = Annotated[
    str,
    typer.Option("--board", help="a name that `qap2fpga boards` lists, or a YAML file", autocompletion=board_names),
]
Bits = Annotated[str | None, typer.Option(help="one number, or one per layer: 6 or 6,6,4,6")]


def check_mode(check: str) -> None:
    """Raise `QapError` for a value of --check that is not known."""
    if check not in ("fail", "warn"):
        raise QapError(f"unknown --check '{check}'", nearest(check, ("fail", "warn")))


def console() -> Terminal:
    """Return where tables go; wide where nobody sees the edge, as in a file or a log."""
    from qap2fpga.system.terminal import Terminal

    terminal = Terminal()
    return terminal if terminal.is_terminal else Terminal(width=LOG_WIDTH)


def numbers(text: str | None, option: str) -> tuple[int, ...]:
    """Return the whole numbers of a comma-separated `text`. Raises `QapError` that names `option`."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise QapError(f"{option} is '{text}'", "give whole numbers: 6, or one per layer as 6,6,4,6") from error


def one_or_many(numbers: tuple[int, ...]) -> int | tuple[int, ...] | None:
    """Return the single number of `numbers`, all of several, or None if there is none."""
    return numbers[0] if len(numbers) == 1 else numbers or None


def input_interval(text: str | None) -> tuple[float, float] | None:
    """Return (low, high) of --input-range. Raises `QapError` for what are no two numbers."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise QapError(f"--input-range is '{text}'", "give LOW,HIGH, for example --input-range=-4,4") from error
    return low, high
