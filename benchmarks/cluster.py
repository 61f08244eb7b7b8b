# SPDX-License-Identifier: Apache-2.0
"""What a Dask cluster saves, and what the death of a worker costs: `python -m benchmarks.cluster`.

Workers are processes of this machine, which stands for several. The same work is done by one, by two, and by two of
which one is killed when half of it is done; what comes out is compared. Nothing else should run on the machine. Prints
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks import growth_networks
from qap2fpga import explore, study
from qap2fpga.estimate import campaign, draw
from qap2fpga.system.clusters import WORKER_ENVIRONMENT
from qap2fpga.system.files import read_json_lines
from qap2fpga.system.workers import Workers

if TYPE_CHECKING:
    from distributed import Client

DESIGNS, NETWORKS, TRAININGS = 8, 16, 4
WORKERS = 2
# How often progress is looked at.
LOOK_S = 0.1


@dataclass(frozen=True)
class Task:
    """Work in a folder by a cluster, which gives what has to be the same, and how many parts of it are `done`."""

    name: str
    parts: int
    do: Callable[[Path, str], object]
    done: Callable[[Path], int]


def measured(folder: Path, scheduler: str) -> object:
    """Measure the designs of a calibration."""
    lines = campaign.run(
        "rtl", draw.recipes(DESIGNS, 1), folder / "designs.jsonl", Workers(scheduler=scheduler), _quiet
    )
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def explored(folder: Path, scheduler: str) -> object:
    """Estimate networks for two boards."""
    names = [folder / f"{number}.pt" for number in range(NETWORKS)]
    for number, name in enumerate(names):
        growth_networks.chain((16, 32, 16, 5), 4, 0.7, name, seed=number)
    output = folder / "explore"
    explore(names, ["pynq-z2", "zcu102"], "rtl", build=0, scheduler=scheduler, output=output, quiet=True)
    return sorted(json.dumps(one) for one in read_json_lines(output / "estimates.jsonl"))


def trained(folder: Path, scheduler: str) -> object:
    """Train networks on the shipped jets."""
    file, data = folder / "study.yaml", Path("examples/jets.npz").absolute()
    base = {"data": {"source": str(data)}, "training": {"epochs": 40}, "pruning": {"sparsities": [0.5], "epochs": 20}}
    file.write_text(yaml.safe_dump({"base": base, "vary": {"seed": list(range(TRAININGS))}}))
    study(file, folder / "study", scheduler=scheduler, quiet=True)
    return [[step["metrics"] for step in record["steps"]] for record in _records(folder)]


def _records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(one.read_text()) for one in sorted(folder.glob("study/runs/*/record.json"))]


TASKS = (
    Task("campaign", DESIGNS, measured, lambda folder: len(read_json_lines(folder / "designs.jsonl"))),
    Task(
        "exploration", 2 * NETWORKS, explored, lambda folder: len(read_json_lines(folder / "explore/estimates.jsonl"))
    ),
    Task("study", TRAININGS, trained, lambda folder: sum(one["finished"] for one in _records(folder))),
)


@contextmanager
def cluster(workers: int) -> Iterator[tuple[Client, str]]:
    """Yield a client of a cluster of so many processes, and the address of its scheduler."""
    import dask
    from distributed import Client, LocalCluster

    settings = {"distributed.worker.daemon": False, "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=0) as running,
        Client(running, set_as_default=False) as client,
    ):
        client.wait_for_workers(workers)
        yield client, running.scheduler_address


def seconds(task: Task, workers: int, *, death: bool = False) -> tuple[float, object]:
    """Return what the task takes, and what comes of it; `death`: a worker is killed when half is done."""
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as name, cluster(workers) as (client, address):
        folder = Path(name)
        processes = list(client.run(os.getpid).values())
        ended = threading.Event()

        def kill() -> None:
            while not ended.wait(LOOK_S):
                if task.done(folder) >= task.parts / 2:
                    os.kill(processes[0], signal.SIGKILL)
                    return

        killer = threading.Thread(target=kill)
        begin = time.monotonic()
        if death:
            killer.start()
        result = task.do(folder, address)
        taken = time.monotonic() - begin
        ended.set()
        if death:
            killer.join()
            assert processes[0] not in client.run(os.getpid).values(), "no worker was killed"
        return taken, result


def main() -> None:
    """Print a line per task as it ends, and one JSON object of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=[task.name for task in TASKS])
    given = parser.parse_args()
    figures: dict[str, object] = {"workers": WORKERS, "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    for task in TASKS:
        if task.name not in given.tasks:
            continue
        alone, first = seconds(task, 1)
        together, second = seconds(task, WORKERS)
        killed, third = seconds(task, WORKERS, death=True)
        assert first == second == third, f"{task.name} comes out differently"
        figures[task.name] = line = {
            "parts": task.parts,
            "seconds": {"1": round(alone, 1), str(WORKERS): round(together, 1), "a death": round(killed, 1)},
            "speed-up": round(alone / together, 2),
            "seconds of a death": round(killed - together, 1),
        }
        print(f"{task.name}: {json.dumps(line)}", file=sys.stderr, flush=True)
    print(json.dumps(figures, indent=1))


def _quiet(text: str) -> None:
    pass


if __name__ == "__main__":
    main()
