# SPDX-License-Identifier: Apache-2.0
"""What the user sees while a build runs: every stage with its time, and what it is at."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from qap2fpga.system.terminal import Terminal


class Progress:
    """On a terminal a live line for each running stage; else one line when a stage ends; quiet says nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        # The real standard error, also while a stage silences a library that writes to it.
        self.console = Terminal(file=sys.stderr, quiet=quiet)
        live = self.console.is_terminal and not quiet
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
        begin, detail = time.monotonic(), ""
        task = self.bars.add_task(name, total=None) if self.bars else None

        def say(text: str) -> None:
            nonlocal detail
            detail = text
            if self.bars and task is not None:
                self.bars.update(task, description=f"{name}: {text}"[: self.console.width - 20])

        try:
            yield say
        except BaseException:
            self.console.print(f"✗ {name}  {time.monotonic() - begin:.1f} s", highlight=False, markup=False)
            raise
        finally:
            if self.bars and task is not None:
                self.bars.remove_task(task)
        self.console.print(f"✓ {name}  {time.monotonic() - begin:.1f} s", highlight=False, markup=False)

    def reused(self, name: str) -> None:
        """Say that a stage's result was there already."""
        self.console.print(f"✓ {name}  already there", highlight=False, markup=False)

    def note(self, text: str) -> None:
        """One line for the user."""
        self.console.print(text, highlight=False, markup=False)
