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
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qap2fpga.system import clusters
from qap2fpga.system.clusters import Place, one_at_a_time
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.locks import locked
from qap2fpga.system.reading import json_object

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
# Workers that may die under a job which finishes no step meanwhile.
DEATHS = 3
# How often to look whether workers are missing.
MEND_SECONDS = 10


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
        self, client: Client, place: Place, heard: Callable[[str, str], None], mend: Callable[[], None] = lambda: None
    ) -> None:
        """`client`: Dask's. `place`: what every worker must see. `heard` takes a job's name and message.

        `mend` is called from time to time while nothing ends, to look after the workers.
        """
        self.client, self.place, self.mend = client, place, mend
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
            _do, work, job, self.place, key=f"{job.name}-{os.urandom(4).hex()}", retries=RETRIES
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
    if scheduler is not None and workers is not None:
        raise QapError("--workers goes with this machine", "start the cluster's workers yourself, with --nthreads 1")
    place = clusters.here(marker)
    with clusters.opened(place, scheduler, workers) as (client, mend):
        yield Runner(client, place, heard, mend)


def _do(work: Work, job: Job, place: Place) -> tuple[object, str | None]:
    """On a worker: the job's result and None, or None and what ended it. An `OSError` is raised, for another try."""
    from distributed import get_worker

    reason = place.unfit()
    if reason is not None:
        raise OSError(reason)
    worker = get_worker()

    def say(text: str) -> None:
        worker.log_event(TOPIC, (job.name, text))

    # Dask may have believed a worker dead that is still at it.
    with one_at_a_time, locked(job.folder, wait=True):
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
            trace = job.folder.with_name(f"{job.folder.name}.error.txt")
            write_atomically(trace, traceback.format_exc())
            return None, f"{type(error).__name__}: {error} (see {trace.name})"
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
