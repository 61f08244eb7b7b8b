# SPDX-License-Identifier: Apache-2.0
"""What the user sees while a build runs: every stage with its time, and what it is at."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from qap2fpga.system import logs, notebook
from qap2fpga.system.terminal import Terminal

# Where nobody sees a live line, what a long stage is at is said once in so many seconds.
EVERY_S = 30.0


class Progress:
    """On a terminal, and in a notebook, a live line for each running stage; else a line when a stage ends, and now and
    then before; quiet says nothing. Everything is logged. `live` is false where log lines are shown."""

    def __init__(self, *, quiet: bool, live: bool = True) -> None:
        self.quiet = quiet
        # The real standard error, also while a stage silences a library that writes to it.
        self.console = Terminal(file=sys.stderr, quiet=quiet)
        live = live and self.console.is_terminal and not quiet
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self.bars = Bars(*columns, console=self.console, transient=True) if live else None

    def __enter__(self) -> Progress:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars:
            self.bars.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Show `name` as running; yields a function that takes what it is doing now."""
        begin = last = time.monotonic()
        logs.note(f"{name}: begins")
        task = self.bars.add_task(name, total=None) if self.bars else None
        line = None if self.quiet else notebook.line(f"… {name}")

        def say(text: str) -> None:
            nonlocal last
            logs.note(f"{name}: {text}")
            if self.bars and task is not None:
                self.bars.update(task, description=f"{name}: {text}"[: self.console.width - 20])
            elif line is not None:
                line.write(f"… {name}: {text}")
            elif time.monotonic() - last >= EVERY_S:
                last = time.monotonic()
                self.console.print(f"  {name}: {text}", markup=False, soft_wrap=True)

        try:
            yield say
        except BaseException:
            self._ended("✗", name, f"{time.monotonic() - begin:.1f} s", line)
            raise
        finally:
            if self.bars and task is not None:
                self.bars.remove_task(task)
        self._ended("✓", name, f"{time.monotonic() - begin:.1f} s", line)

    def reused(self, name: str, how: str = "already there") -> None:
        """Say that a stage's result was there already."""
        self._ended("✓", name, how)

    def note(self, text: str) -> None:
        """One line for the user."""
        logs.note(text.strip())
        self.console.print(text, markup=False)

    def _ended(self, sign: str, name: str, how: str, line: notebook.Line | None = None) -> None:
        logs.note(f"{name}: {how}" if sign == "✓" else f"{name}: failed after {how}")
        if line is None:
            self.console.print(f"{sign} {name}  {how}", markup=False)
        else:
            line.write(f"{sign} {name}  {how}", last=True)
