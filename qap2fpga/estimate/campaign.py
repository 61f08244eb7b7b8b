# SPDX-License-Identifier: Apache-2.0
"""The measurements that a calibration is fitted to: random designs generated and synthesised, in processes, resumable.

Every finished design is a line of JSON; a stopped campaign goes on with the designs that have none.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.api import Options
from qap2fpga.estimate import designs
from qap2fpga.estimate.calibration import COUNTED, layer_sizes
from qap2fpga.estimate.calibration import VECTORS as OVER_VECTORS
from qap2fpga.estimate.designs import Drawn
from qap2fpga.estimate.images import ImageRecipe
from qap2fpga.estimate.sparse import SparseRecipe
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import append_json, read_json_lines
from qap2fpga.system.workers import Workers

# A board of each family; its size does not matter, what is too large for it is built all the same.
BOARDS = {"xc7": "pynq-z2", "xcup": "vu13p"}
VECTORS = 60
# Designs that tell whether the generator is still the same.
SPECIMENS = 8
TIME_LIMIT_S = 1500.0
# So many designs are simulated: one of these.
SIMULATE_EVERY = 5

Line = dict[str, Any]
# A backend, a design, and whether it is simulated.
Job = tuple[str, Drawn, bool]


def run(
    backend: str, chosen: Sequence[Drawn], results: Path, workers: Workers, say: Callable[[str], None]
) -> list[Line]:
    """Measure the designs of `chosen` that `results` (JSON lines) has none of, and return all of them.

    Every `SIMULATE_EVERY`-th design is simulated too, for its latency and interval. A design that fails is a line with
    `failed`; it does not stop the rest.
    """
    recipes = {one.seed: json.loads(json.dumps(asdict(one))) for one in chosen}
    done = {one["seed"]: one for one in read_json_lines(results) if one["recipe"] == recipes.get(one["seed"])}
    jobs = [(backend, one, number % SIMULATE_EVERY == 0) for number, one in enumerate(chosen) if one.seed not in done]
    say(f"{backend}: {len(done)} of {len(chosen)} designs are there")

    def ended(job: Job, line: Line | None) -> None:
        line = line or {"seed": job[1].seed, "recipe": recipes[job[1].seed], "failed": "its process ended"}
        append_json(results, line)
        done[line["seed"]] = line
        say(_describe(line))

    workers.each(_work, jobs, ended)
    return [done[one.seed] for one in chosen]


def specimens(backend: str, workers: Workers, over: str = OVER_VECTORS) -> str:
    """A digest of a few designs, as generated and as measured: the same as long as the hardware is, and its counting.

    It takes a minute or two. Raises `QapError` if one of them cannot be built.
    """
    jobs = [(backend, recipe, False) for recipe in designs.recipes(over, SPECIMENS, 0)]
    lines = _all(_work, jobs, workers)
    for line in lines:
        if "failed" in line:
            raise QapError(f"a specimen of {backend} cannot be built: {line['failed']}", "qap2fpga doctor")
    return _digest([[line["generated"], line["measured"], line["parts"]] for line in lines])


def expectations(backend: str, over: str = OVER_VECTORS) -> str:
    """A digest of what is fitted to the same designs: features of their nodes, and numbers that are only counted."""
    chosen = designs.recipes(over, SPECIMENS, 0)
    fitted = json.dumps([_fitted(expected(backend, recipe)) for recipe in chosen])
    # The last digits of a sum are not the same on every machine.
    return _digest(json.loads(fitted, parse_float=lambda text: f"{float(text):.6g}"))


def _fitted(line: Line) -> Line:
    features = {node.name: encode(node.features) for node in line["nodes"]}
    return {"network": line["network"], "features": features,
            "counted": {name: line["predicted"][name] for name in COUNTED}}  # fmt: skip


def measure(backend: str, recipe: Drawn, *, simulate: bool) -> Line:
    """One design: what was drawn, and what Yosys counts in all and part by part."""
    begin = time.monotonic()
    line: Line = {"seed": recipe.seed, "backend": backend, "recipe": asdict(recipe)}
    scratch = Path(tempfile.mkdtemp(prefix="qap2fpga-"))
    try:
        line |= _measured(backend, recipe, scratch, simulate)
    except CheckFailed:
        raise
    except QapError as error:
        line["failed"] = str(error)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return line | {"seconds": round(time.monotonic() - begin, 1)}


def with_expectations(lines: Sequence[Line], workers: Workers) -> list[Line]:
    """The lines with what is `expected` of each design that was measured."""
    return [line | more for line, more in zip(lines, _all(_expect, lines, workers), strict=True)]


def _expect(line: Line) -> Line:
    if "failed" in line:
        return {}
    return expected(line["backend"], designs.stored(line["recipe"], f"design {line['seed']}"))


def expected(backend: str, recipe: Drawn) -> Line:
    """What `backend` expects of the design: `network` (its sizes), `nodes` and `predicted`."""
    network, board = designs.network(recipe), _board(recipe)
    expectation = backends.get(backend).expect(network, board, _options(backend, recipe, board))
    cycles = {"latency_cycles": expectation.latency_cycles, "interval_cycles": expectation.interval_cycles}
    return {"network": layer_sizes(network), "nodes": expectation.nodes, "predicted": {**expectation.total, **cycles}}


def _measured(backend: str, recipe: Drawn, folder: Path, simulate: bool) -> Line:
    from qap2fpga.ir import outputs as reference
    from qap2fpga.ir.vectors import extremes, random_vectors
    from qap2fpga.synth import yosys
    from qap2fpga.verify import rtl

    network, board = designs.network(recipe), _board(recipe)
    options = _options(backend, recipe, board)
    vectors = random_vectors(network, VECTORS, recipe.seed)
    design = backends.get(backend).generate(network, board, folder / backend, options, vectors[:4]).circuit
    assert design is not None, "what an HLS tool makes of C++ is not measured here"
    measurement = yosys.synthesize(design, board, folder / "yosys", time_limit_s=TIME_LIMIT_S, threads=1)
    line: Line = {
        "generated": _sources(design), "measured": asdict(measurement.total),
        "parts": {name: asdict(part) for name, part in measurement.parts.items()},
    }  # fmt: skip
    if simulate:
        stimuli = np.concatenate([vectors, extremes(network)[:20]])
        outputs = reference.outputs(network, options.output_kind, stimuli)
        engine = rtl.Rtl(design, folder / "verilator", threads=1)
        latency, interval = rtl.measured(engine.simulate(stimuli, outputs))
        line["simulated"] = {"latency_cycles": latency, "interval_cycles": interval}
    return line


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _sources(design: Design) -> str:
    hasher = hashlib.sha256()
    for name in (*design.sources, *design.data):
        hasher.update((design.folder / name).read_bytes())
    return hasher.hexdigest()[:16]


def _board(recipe: Drawn) -> Board:
    return replace(boards.load(BOARDS[recipe.family]), clock_ns=recipe.clock_ns)


def _options(backend: str, recipe: Drawn, board: Board) -> Options:
    """A folded design is drawn with an interval, an unrolled one with a clock, a slow one with both."""
    backend_class = backends.get(backend)
    if backend_class.knows("target_fps"):
        sparse = recipe.sparse if isinstance(recipe, SparseRecipe) else "never"
        rate = 1e9 / (recipe.interval * board.clock_ns)
        return backend_class.make_options(target_fps=rate, allow_oversize=True, sparse=sparse)
    slow = {"target_interval": recipe.interval} if isinstance(recipe, ImageRecipe) and recipe.slow else {}
    return backend_class.make_options(clock=recipe.clock_ns, allow_oversize=True, **slow)


def _work(job: Job) -> Line:
    backend, recipe, simulate = job
    return measure(backend, recipe, simulate=simulate)


def _all(work: Callable[[Any], Line], items: Sequence[Any], workers: Workers) -> list[Line]:
    """The results of `work` in the order of `items`."""
    by_seed: dict[int, Line | None] = {}
    numbered = list(enumerate(items))
    workers.each(partial(_numbered, work), numbered, lambda item, line: by_seed.update({item[0]: line}))
    lines = [line for _, line in sorted(by_seed.items()) if line is not None]
    if len(lines) < len(items):
        raise QapError("a process ended before its work, perhaps for want of memory", "give fewer --processes")
    return lines


def _numbered(work: Callable[[Any], Line], item: tuple[int, Any]) -> Line:
    return work(item[1])


def _describe(line: Line) -> str:
    what = designs.title(designs.stored(line["recipe"], f"design {line['seed']}"))
    if "failed" in line:
        return f"design {line['seed']}: {what}: {line['failed'].splitlines()[0]}"
    return f"design {line['seed']}: {what}: {line['measured']['lut']} LUTs, {line['seconds']:.0f} s"
