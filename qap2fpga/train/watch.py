# SPDX-License-Identifier: Apache-2.0
"""What the user sees while a study runs: how many trainings are done, and what each of the running ones is at."""

from __future__ import annotations

import sys
import threading
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from qap2fpga.system.terminal import Terminal


class Watch:
    """On a terminal a live table; else one line when a training ends; quiet says nothing.

    Its methods may be called from several threads: messages come from Dask's, outcomes from the main one.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.console = Terminal(file=sys.stderr, quiet=quiet)
        live = self.console.is_terminal and not quiet
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[message]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        )
        self.bars = Progress(*columns, console=self.console, transient=True, expand=True) if live else None
        self.all: TaskID | None = None
        self.running: dict[str, tuple[float, TaskID | None]] = {}
        self.over: set[str] = set()
        self.lock = threading.Lock()

    def __enter__(self) -> Watch:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars:
            self.bars.stop()

    def begin(self, count: int) -> None:
        """There are `count` trainings to do."""
        if self.bars:
            self.all = self.bars.add_task("trainings", total=count, message="")

    def heard(self, name: str, message: str) -> None:
        """The training `name` is at `message`."""
        with self.lock:
            # The last message may come after the outcome.
            if name in self.over:
                return
            if name not in self.running:
                task = self.bars.add_task(name, total=None, message="") if self.bars else None
                self.running[name] = (time.monotonic(), task)
            task = self.running[name][1]
            if self.bars and task is not None:
                self.bars.update(task, message=message)

    def ended(self, name: str, message: str, *, failed: bool = False) -> None:
        """The training `name` is over, with the result or the error `message`."""
        with self.lock:
            self.over.add(name)
            begin, task = self.running.pop(name, (None, None))
            if self.bars:
                if task is not None:
                    self.bars.remove_task(task)
                if self.all is not None:
                    self.bars.advance(self.all)
            seconds = "" if begin is None else f"  {time.monotonic() - begin:.1f} s"
            self.console.print(
                f"{'✗' if failed else '✓'} {name}  {message}{seconds}", highlight=False, markup=False, soft_wrap=True
            )

    def note(self, text: str) -> None:
        """One line for the user."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
