# SPDX-License-Identifier: Apache-2.0
"""Dask clusters: this machine's processes as one, or one that is there; who of its workers can work; work done on it.

A worker sees the files of a command under the same paths, in a file system of both.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from qap2fpga.system.errors import QapError
from qap2fpga.system.versions import program_digest

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

# Workers that may die under a piece of work, on a cluster of this machine's own. Dask also counts those under which it
# only waited, so this is high; whoever needs a smaller number counts.
DASKS_DEATHS = 1000
CONNECT_SECONDS = 30
SAME = "workers need the same qap2fpga, and the command's folders under the same paths"
# Of this machine's workers: one thread each for all that torch calls, and no log between the user's lines.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "DASK_LOGGING__DISTRIBUTED": "critical",
}
# Work uses what a process has one of: the folder it is in, torch's random numbers.
one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Place:
    """Where a command runs: the `folder` it is in, its `program`, and files that every worker must see."""

    folder: Path
    program: str
    seen: tuple[Path, ...]

    def unfit(self) -> str | None:
        """Return why this process could not work for the command, or None."""
        if program_digest() != self.program:
            return "it has another version of qap2fpga"
        for path in self.seen:
            if not path.exists():
                return f"it does not see {path}"
        return None


def here(*seen: Path) -> Place:
    """Return the place of this command."""
    return Place(Path.cwd(), program_digest(), tuple(path.absolute() for path in seen))


@contextmanager
def opened(
    place: Place, scheduler: str | None = None, workers: int | None = None, *, builds: bool = False
) -> Iterator[tuple[Client, Callable[[], None]]]:
    """Yield a client of the cluster at `scheduler`, else of `workers` processes of this machine, a core each.

    Yields with it what mends the cluster, to be called from time to time. `builds`: the workers start processes.
    Raises `QapError` when the cluster is not there, has no worker, or one that could not do the work.
    """
    import dask
    from distributed import Client

    settings = {
        "distributed.scheduler.allowed-failures": DASKS_DEATHS,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    }
    with dask.config.set(settings), _cluster(scheduler, workers) as (address, mend):
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            hint = "give --scheduler tcp://HOST:PORT as dask-scheduler prints it"
            raise QapError(f"there is no Dask scheduler at {scheduler}: {error}", hint) from error
        with client:
            check_workers(client, place, scheduler, builds=builds)
            yield client, mend


@contextmanager
def _cluster(scheduler: str | None, workers: int | None) -> Iterator[tuple[str, Callable[[], None]]]:
    """Where the scheduler is, and what mends its workers; one of this machine's own is started and ended."""
    if scheduler is not None:
        yield scheduler, lambda: None
        return
    import logging

    from distributed import LocalCluster

    count = workers or len(os.sched_getaffinity(0))
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,  # a worker near a limit would be killed, and again after each restart
        silence_logs=logging.CRITICAL,
    ) as cluster:
        missing = 0

        def mend() -> None:
            # A worker that dies before its nanny noticed that it lives is not started again: another one is.
            nonlocal missing
            before, missing = missing, count - len(cluster.scheduler_info["workers"])
            if min(before, missing) > 0:
                cluster.scale(len(cluster.worker_spec) + min(before, missing))

        yield cluster.scheduler_address, mend


def check_workers(client: Client, place: Place, scheduler: str | None, *, builds: bool = False) -> None:
    """Raise `QapError` where there is no worker, or one that could not work for the command at `place`."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        hint = "start some: dask worker --nthreads 1 ADDRESS"
        raise QapError(f"the scheduler at {scheduler} has no workers", hint) from error
    try:
        reasons = client.run(place.unfit)
        closed = client.run(_is_closed) if builds else {}
    except Exception as error:  # whatever unpickling raises where the package is missing or another one
        hint = "install the same version of qap2fpga where the workers run"
        raise QapError(f"a worker cannot run qap2fpga: {type(error).__name__}: {error}", hint) from error
    for worker, reason in reasons.items():
        if reason is not None:
            raise QapError(f"worker {worker}: {reason}", SAME)
    for worker, is_closed in closed.items():
        if is_closed:
            hint = "start it with DASK_DISTRIBUTED__WORKER__DAEMON=False in its environment"
            raise QapError(f"worker {worker} may not start processes, which a build does", hint)


def _is_closed() -> bool:
    """Whether Python keeps this process from starting others."""
    return current_process().daemon


def each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    scheduler: str,
    ended: Callable[[Item, Result | None], None],
) -> None:
    """Do `work` on all `items` on the cluster at `scheduler`, as `qap2fpga.system.processes.each` does it here.

    What ends its worker is tried on others, as often as the scheduler is set to, and has the result None if it then
    ends another one alone: Dask counts deaths under work that only waited, too. When this is left by an exception, what
    has not begun does not; what has, ends.
    """
    from distributed import KilledWorker, as_completed

    place = here(Path.cwd())
    with opened(place, scheduler, builds=True) as (client, _):

        def submit(item: Item) -> Future:
            return client.submit(_do, work, item, place, key=f"qap2fpga-{os.urandom(8).hex()}")

        futures = {submit(item): item for item in items}
        suspected = []
        for future in as_completed(futures, loop=client.loop):
            try:
                result = future.result()
            except KilledWorker:
                suspected.append(futures[future])
            else:
                ended(futures[future], result)
        for item in suspected:
            try:
                ended(item, submit(item).result())
            except KilledWorker:
                ended(item, None)


def _do(work: Callable[[Item], Result], item: Item, place: Place) -> Result:
    """On a worker: `work` in the command's folder."""
    reason = place.unfit()
    if reason is not None:
        raise QapError(f"a worker cannot go on: {reason}", SAME)
    with one_at_a_time, chdir(place.folder):
        return work(item)
