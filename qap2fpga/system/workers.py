# SPDX-License-Identifier: Apache-2.0
"""Who does work that can be done side by side: processes of this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from qap2fpga.system import clusters, processes
from qap2fpga.system.errors import QapError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Processes of this machine, where nothing else is asked for.
USUAL = 2


@dataclass(frozen=True)
class Workers:
    """So many `processes` of this machine, or, where there is a `scheduler`, the workers of its Dask cluster."""

    processes: int = USUAL
    scheduler: str | None = None

    def each(
        self, work: Callable[[Item], Result], items: Sequence[Item], ended: Callable[[Item, Result | None], None]
    ) -> None:
        """Do `work` on all `items`, and call `ended` here with each and its result, as it is there.

        The result is None where the work ended its process. `work` and `items` are pickled.
        """
        if self.scheduler is None:
            processes.each(work, items, self.processes, ended)
        elif items:
            clusters.each(work, items, self.scheduler, ended)


def asked_for(count: int | None, scheduler: str | None, option: str) -> Workers:
    """Return the workers for the options of a command; `option` is the name of the one with the count.

    Raises `QapError` for a count below 1, and for a count of a cluster's processes.
    """
    if count is not None and scheduler is not None:
        raise QapError(f"{option} goes with this machine", "a cluster has the workers that were started for it")
    if count is not None and count < 1:
        raise QapError(f"{option} is below 1", "give a whole number")
    return Workers(count or USUAL, scheduler)
