# SPDX-License-Identifier: Apache-2.0
"""Work done in processes beside each other, which end with the command that started them, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from typing import NoReturn, TypeVar

from qap2fpga.system import programs as tools
from qap2fpga.system.supervisor import die_with

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    ended: Callable[[Item, Result | None], None],
) -> None:
    """Do `work` on all `items`, and call `ended` here with each and its result, in the order in which they end.

    The result is None where the work ended its process, as for want of memory; nothing else is lost by that. When
    this is left by an exception, as `work`'s or Ctrl-C, all that runs is stopped, tools and all.
    """
    left = dict(enumerate(items))

    def attempt(some: Mapping[int, Item], at_a_time: int) -> None:
        with _pool(at_a_time) as workers:
            numbers = {workers.submit(work, item): number for number, item in some.items()}
            for future in as_completed(numbers):
                result = future.result()
                ended(left.pop(numbers[future]), result)

    try:
        if left:
            attempt(left, min(processes, len(left)))
    except BrokenProcessPool:
        # Which of them it was is not known: each alone tells.
        for number, item in tuple(left.items()):
            try:
                attempt({number: item}, 1)
            except BrokenProcessPool:
                ended(left.pop(number), None)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes: a fork would take over threads' locks half-way."""
    context = get_context("spawn")
    # Nothing is ever sent: that the end in this process closes, even by a kill, is the message.
    watched, held = context.Pipe(duplex=False)
    with watched, held:
        executor = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(watched, os.getpid()))
        try:
            yield executor
        except BaseException:
            held.close()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _begin(watched: Connection, command: int) -> None:
    """In a new process: end when `watched` or the process `command` does, or when the pool says so.

    Ctrl-C is for the command alone.
    """
    # The thread below waits for its turn while foreign code holds Python's lock; a kill does not.
    die_with(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # In a thread of its own: a handler may interrupt the very start of a program.
    signal.signal(signal.SIGTERM, lambda number, frame: threading.Thread(target=_end).start())
    threading.Thread(target=_watch, args=(watched,), daemon=True).start()


def _watch(watched: Connection) -> None:
    connection.wait([watched])
    _end()


def _end() -> NoReturn:
    with tools.starting:
        tools.stop()
        os._exit(1)
