# SPDX-License-Identifier: Apache-2.0
"""Work on a Dask cluster of several processes: the same results as on this machine, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from qap2fpga.estimate import campaign, draw
from qap2fpga.system import clusters
from qap2fpga.system.errors import QapError
from qap2fpga.system.workers import Workers
from tests.support.command import run, save
from tests.support.networks import random_model
from tests.support.pool_work import fail, folder, square

# As a cluster of several machines has it: two workers with a process each, and one death under a piece of work at most.
SETTINGS = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.daemon": False,
    "distributed.nanny.pre-spawn-environ": clusters.WORKER_ENVIRONMENT,
}
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]


def cluster(**settings: object) -> Iterator[str]:
    """The address of a cluster's scheduler."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set(SETTINGS | settings),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    yield from cluster()


def test_everything_is_done_and_what_dies_takes_nothing_with_it(address: str) -> None:
    results: dict[int, int | None] = {}
    clusters.each(square, [1, 2, 13, 3, 4], address, lambda item, result: results.update({item: result}))
    assert results == {1: 1, 2: 4, 13: None, 3: 9, 4: 16}


def test_what_only_waited_beside_it_is_done(address: str) -> None:
    """Dask gives up what was on a worker that died, also where it had not begun."""
    results: list[tuple[int, int | None]] = []
    items = [13, *range(1, 9)]
    for _ in range(3):
        clusters.each(square, items, address, lambda item, result: results.append((item, result)))
    assert sorted(results, key=str) == sorted([(one, None if one == 13 else one * one) for one in items] * 3, key=str)


def test_work_is_done_in_the_commands_folder(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = []
    clusters.each(folder, ["a", "b"], address, lambda item, result: results.append(result))
    assert results == [str(tmp_path)] * 2


def test_an_error_of_the_work_arrives(address: str) -> None:
    with pytest.raises(ZeroDivisionError, match="it went wrong"):
        clusters.each(fail, [1], address, lambda item, result: pytest.fail("called"))


def test_workers_that_may_not_start_processes_are_refused() -> None:
    """As Dask has them unless it is asked for others: a build would end in the middle."""
    for address in cluster(**{"distributed.worker.daemon": True}):
        with pytest.raises(QapError, match="may not start processes, which a build does\n  start it with DASK_"):
            clusters.each(square, [1], address, lambda item, result: pytest.fail("called"))


def test_a_campaign_measures_the_same(address: str, tmp_path: Path) -> None:
    chosen = draw.recipes(2, 1)
    lines = [
        campaign.run("rtl", chosen, tmp_path / f"{number}.jsonl", workers, lambda text: None)
        for number, workers in enumerate((Workers(2), Workers(scheduler=address)))
    ]
    for line in (*lines[0], *lines[1]):
        assert line.pop("seconds") and "failed" not in line
    assert json.dumps(lines[0]) == json.dumps(lines[1])
    both = (Workers(2), Workers(scheduler=address))
    here, there = (campaign.with_expectations(lines[0], workers) for workers in both)
    assert here == there and all(line["predicted"]["lut"] for line in there)


def test_an_exploration_finds_and_builds_the_same(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(2):
        save(tmp_path / f"net{seed}.pt", random_model(seed, (6, 5, 3), bits=3))
    found = []
    for name, more in (("here", ()), ("there", ("--scheduler", address))):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        on = ("--board", "pynq-z2", "--backend", "rtl", "--build", "1", *more)
        result = run("explore", "../net0.pt", "../net1.pt", *on)
        assert result.code == 0, result.err
        lines = (tmp_path / name / "explore" / "estimates.jsonl").read_text().splitlines()
        report = json.loads(next((tmp_path / name).glob("explore/builds/*/report.json")).read_text())
        found.append((sorted(lines), report["measurements"], report["proof"], report["checks"]))
    assert found[0] == found[1]
