# SPDX-License-Identifier: Apache-2.0
"""The measurements that a calibration is fitted to: random designs generated and synthesised, in processes, resumable.

Every finished design is a line of JSON; a stopped campaign goes on with the designs that have none.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends
from qap2fpga import board as boards
from qap2fpga.board import Board
from qap2fpga.errors import CheckFailed, QapError
from qap2fpga.network import IntegerNetwork
from qap2fpga.predict import draw
from qap2fpga.predict.calibration import layer_sizes
from qap2fpga.predict.draw import Recipe

# A board of each family; its size does not matter, what is too large for it is built all the same.
BOARDS = {"xc7": "pynq-z2", "xcup": "vu13p"}
VECTORS = 60
TIME_LIMIT_S = 1500.0


def run(
    backend: str, chosen: Sequence[Recipe], results: Path, processes: int, say: Callable[[str], None],
    *, simulate_every: int = 5,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure the designs of `chosen` that `results` (JSON lines) has none of, and return all of them.

    Every `simulate_every`-th design is simulated too, for its latency and interval. A design that fails is a line with
    `failed`; it does not stop the rest.
    """
    done = {one["seed"]: one for one in read(results)}
    waiting = [(number, one) for number, one in enumerate(chosen) if one.seed not in done]
    say(f"{backend}: {len(chosen) - len(waiting)} of {len(chosen)} designs are there")
    results.parent.mkdir(parents=True, exist_ok=True)
    if results.is_file() and not results.read_bytes().endswith(b"\n"):
        # The line that a kill cut off must not take the next one with it.
        with results.open("a") as stream:
            stream.write("\n")
    # A process that runs a compiler and Yosys is started afresh, so that nothing of torch is forked into it.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = ((backend, recipe, number % simulate_every == 0) for number, recipe in waiting)
        for line in _finished(pool, jobs, 2 * processes):
            with results.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            done[line["seed"]] = line
            say(_describe(line))
    return [done[one.seed] for one in chosen]


def read(results: Path) -> list[dict[str, Any]]:
    """The finished designs of a file; a last line that a kill cut off is left out."""
    found = []
    for line in results.read_text().splitlines() if results.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def measure(backend: str, recipe: Recipe, *, simulate: bool) -> dict[str, Any]:
    """One design: what was drawn, what the backend expects of it part by part, and what Yosys counts."""
    begin = time.monotonic()
    line: dict[str, Any] = {"seed": recipe.seed, "backend": backend, "recipe": asdict(recipe)}
    scratch = Path(tempfile.mkdtemp(prefix="qap2fpga-"))
    try:
        network, board = draw.network(recipe), boards.load(BOARDS[recipe.family])
        line["network"] = layer_sizes(network)
        line |= _measured(backend, recipe, network, replace(board, clock_ns=recipe.clock_ns), scratch, simulate)
    except CheckFailed:
        raise
    except QapError as error:
        line["failed"] = str(error)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return line | {"seconds": round(time.monotonic() - begin, 1)}


def _measured(
    backend: str, recipe: Recipe, network: IntegerNetwork, board: Board, folder: Path, simulate: bool
) -> dict[str, Any]:
    from qap2fpga.simulate import reference, rtl
    from qap2fpga.simulate.vectors import extremes, random_vectors
    from qap2fpga.synth import yosys

    options = _options(backend, recipe, board)
    vectors = random_vectors(network, VECTORS, recipe.seed)
    design = backends.get(backend).load().generate(network, board, folder / backend, options, vectors[:4])
    found = yosys.synthesize(design, board, folder / "yosys", time_limit_s=TIME_LIMIT_S, threads=1)
    line: dict[str, Any] = {
        "measured": asdict(found.total),
        "parts": {name: asdict(part) for name, part in (found.parts or {}).items()},
        "predicted": {
            "latency_cycles": design.latency_cycles, "interval_cycles": design.interval_cycles,
            **design.details["estimate"],
        },
        "nodes": design.details["nodes"],
    }  # fmt: skip
    if simulate:
        stimuli = np.concatenate([vectors, extremes(network)[:20]])
        expected = reference.outputs(network, options.output_kind, stimuli)
        latency, interval = rtl.measured(rtl.simulate(design, stimuli, expected, folder / "verilator", threads=1))
        line["simulated"] = {"latency_cycles": latency, "interval_cycles": interval}
    return line


def _options(backend: str, recipe: Recipe, board: Board) -> Any:
    """A folded design is drawn with an interval, an unrolled one with a clock."""
    made = backends.get(backend)
    if backend == "finn":
        return made.make_options(backend, target_fps=1e9 / (recipe.interval * board.clock_ns), allow_oversize=True)
    return made.make_options(backend, clock=recipe.clock_ns, allow_oversize=True)


def _work(job: tuple[str, Recipe, bool]) -> dict[str, Any]:
    backend, recipe, simulate = job
    return measure(backend, recipe, simulate=simulate)


def _finished(
    pool: ProcessPoolExecutor, jobs: Iterable[tuple[str, Recipe, bool]], most: int
) -> Iterable[dict[str, Any]]:
    """Results as they come, never more than `most` handed out."""
    running: set[Future[dict[str, Any]]] = set()
    for job in jobs:
        running.add(pool.submit(_work, job))
        if len(running) >= most:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in ready)
    while running:
        ready, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (one.result() for one in ready)


def _describe(line: dict[str, Any]) -> str:
    what = f"{line['recipe']['kind']} {'-'.join(map(str, line['recipe']['widths']))}"
    if "failed" in line:
        return f"design {line['seed']}: {what}: {line['failed'].splitlines()[0]}"
    expected, found = line["predicted"]["lut"], line["measured"]["lut"]
    return f"design {line['seed']}: {what}: {found} LUTs, {expected} expected, {line['seconds']:.0f} s"
