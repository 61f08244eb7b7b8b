# SPDX-License-Identifier: Apache-2.0
"""Many trainings at once, through Dask: on this machine's cores or on a cluster, by the same code.

A job is one call of `qap2fpga.train.run.run` in its own folder, which resumes. So a worker that dies costs the step
it was in: Dask gives the job to another worker (a nanny starts a new one in the dead one's place), and that goes on
in the same folder. The folder must therefore be seen by every worker under the same path.

Messages come back as Dask events while a job runs; what it returns must be small, since the network is in its folder.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.locks import locked
from qap2fpga.system.reading import json_object
from qap2fpga.system.versions import program_digest

if TYPE_CHECKING:
    from distributed import Client, Future

Say = Callable[[str], None]
# A job's work: settings, folder and say in, something small and JSON-like out.
Work = Callable[[dict[str, object], Path, Say], object]

TOPIC = "qap2fpga"
# How often a job is tried again when the machine, not the training, went wrong (`OSError`).
RETRIES = 2
# What tells a worker, in a job's folder, that others died there.
TRIES = ".tries"
# The lock of a job's, or a study's, folder; it holds the number of the process that wrote there last.
# Workers that may die under a job which finishes no step meanwhile. Dask would also count those under which the job
# only waited, so its own number is set high, or passed over by submitting again.
DEATHS = 3
DASKS_DEATHS = 1000
# How often to look whether workers are missing.
MEND_SECONDS = 10
CONNECT_SECONDS = 30
# Of this machine's workers: one thread each for all that torch calls, and no log between the user's lines.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "DASK_LOGGING__DISTRIBUTED": "critical",
}
# The random numbers of torch belong to the process: two trainings in one would disturb each other.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Job:
    """One training to do: its name, its settings as plain values, and its folder as an absolute path."""

    name: str
    config: dict[str, object]
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a job: its `result`, or the `error` that ended it."""

    job: Job
    result: object = None
    error: str | None = None


def train_run(config: dict[str, object], folder: Path, say: Say) -> None:
    """The work of a plain job."""
    from qap2fpga.train.config import from_dict
    from qap2fpga.train.run import run

    run(from_dict(config), folder, say)


class Runner:
    """Jobs go in, outcomes come out in the order in which they end; both at the same time, if wanted."""

    def __init__(
        self, client: Client, marker: Path, heard: Callable[[str, str], None], mend: Callable[[], None] = lambda: None
    ) -> None:
        """`client`: Dask's. `marker`: a file that every worker must see. `heard` takes a job's name and message.

        `mend` is called from time to time while nothing ends, to look after the workers.
        """
        self.client, self.marker, self.program, self.mend = client, marker.absolute(), program_digest(), mend
        self.ended: queue.Queue[Future] = queue.Queue()
        self.jobs: dict[str, tuple[Job, Work]] = {}
        client.subscribe_topic(TOPIC, lambda event: heard(*event[1]))

    def submit(self, job: Job, work: Work = train_run) -> None:
        """Have `job` done as soon as a worker is free."""
        (job.folder / TRIES).unlink(missing_ok=True)
        self._submit(job, work)

    def outcomes(self) -> Iterator[Outcome]:
        """Every submitted job's outcome, also of those submitted meanwhile; ends when none is left."""
        from distributed import KilledWorker

        while self.jobs:
            try:
                future = self.ended.get(timeout=MEND_SECONDS)
            except queue.Empty:
                self.mend()
                continue
            job, work = self.jobs.pop(future.key)
            error = None if future.status == "finished" else _exception(future)
            if isinstance(error, KilledWorker):
                self._submit(job, work)
            elif error is not None:
                yield Outcome(job, error=f"{type(error).__name__}: {error}")
            else:
                yield Outcome(job, *future.result())

    def _submit(self, job: Job, work: Work) -> None:
        future = self.client.submit(
            _do, work, job, self.marker, self.program, key=f"{job.name}-{os.urandom(4).hex()}", retries=RETRIES
        )
        self.jobs[future.key] = (job, work)
        future.add_done_callback(self.ended.put)


@contextmanager
def open_runner(
    marker: Path, heard: Callable[[str, str], None], scheduler: str | None = None, workers: int | None = None
) -> Iterator[Runner]:
    """A runner on the cluster at `scheduler`, else on `workers` processes of this machine, a core each.

    Raises `QapError` when the cluster is not there, has no worker, or one that could not do the work.
    """
    import dask
    from distributed import Client

    if scheduler is not None and workers is not None:
        raise QapError("--workers goes with this machine", "start the cluster's workers yourself, with --nthreads 1")
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
            _check_workers(client, marker.absolute(), scheduler)
            yield Runner(client, marker, heard, mend)


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


def _check_workers(client: Client, marker: Path, scheduler: str | None) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        hint = "start some: dask worker --nthreads 1 ADDRESS"
        raise QapError(f"the scheduler at {scheduler} has no workers", hint) from error
    try:
        found = client.run(_unfit, marker, program_digest())
    except Exception as error:  # whatever unpickling raises where the package is missing or another one
        hint = "install the same version of qap2fpga where the workers run"
        raise QapError(f"a worker cannot run qap2fpga: {type(error).__name__}: {error}", hint) from error
    for worker, reason in found.items():
        if reason is not None:
            hint = "workers need the same qap2fpga, and the study's folder under the same path"
            raise QapError(f"worker {worker}: {reason}", hint)


def _unfit(marker: Path, program: str) -> str | None:
    """Why this process could not do the work, or None."""
    if program_digest() != program:
        return "it has another version of qap2fpga"
    if not marker.is_file():
        return f"it does not see {marker}"
    return None


def _do(work: Work, job: Job, marker: Path, program: str) -> tuple[object, str | None]:
    """On a worker: the job's result and None, or None and what ended it. An `OSError` is raised, for another try."""
    from distributed import get_worker

    reason = _unfit(marker, program)
    if reason is not None:
        raise OSError(reason)
    worker = get_worker()

    def say(text: str) -> None:
        worker.log_event(TOPIC, (job.name, text))

    with _one_at_a_time, locked(job.folder, wait=True):
        if _deaths(job.folder) > DEATHS:
            return None, f"its worker died {DEATHS + 1} times before a further step was done; is there enough memory?"
        say("starting")
        try:
            return work(job.config, job.folder, say), None
        except OSError:
            raise
        except QapError as error:
            return None, str(error)
        except Exception as error:
            # A bug's traceback would be lost with the worker; the run's own folder must hold nothing else.
            place = job.folder.with_name(f"{job.folder.name}.error.txt")
            write_atomically(place, traceback.format_exc())
            return None, f"{type(error).__name__}: {error} (see {place.name})"
        finally:
            (job.folder / TRIES).unlink(missing_ok=True)


def _deaths(folder: Path) -> int:
    """How often a worker began with this step before and did not come to an end; notes that one more begins."""
    path, steps = folder / TRIES, _steps(folder)
    try:
        known: dict[str, Any] = json_object(path, "")
        deaths = known["deaths"] + 1 if known["steps"] == steps else 0
    except (QapError, KeyError, TypeError):
        deaths = 0
    write_atomically(path, json.dumps({"steps": steps, "deaths": deaths}))
    return deaths


def _steps(folder: Path) -> int:
    """Steps that are finished in a run's folder."""
    try:
        record: dict[str, Any] = json_object(folder / "record.json", "")
        return len(record["steps"])
    except (QapError, KeyError, TypeError):
        return 0


def _exception(future: Future) -> BaseException:
    """What a future that has not finished ended with."""
    try:
        return future.exception() or RuntimeError(f"Dask says '{future.status}'")
    except BaseException as error:  # a cancelled future raises here
        if isinstance(error, KeyboardInterrupt):
            raise
        return error
