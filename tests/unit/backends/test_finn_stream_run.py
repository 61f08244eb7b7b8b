# SPDX-License-Identifier: Apache-2.0
"""Runs of whole designs: frames, pauses, and designs that stand still."""

from __future__ import annotations

import random
from collections.abc import Callable

import numba
import numpy as np
import pytest

from qap2fpga.backends.finn.stream import fifos, handshakes, library, models, schedule
from qap2fpga.backends.finn.stream.draw import Drawing, Drawn, Lanes
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.backends.finn.stream.limits import parallel_possible
from qap2fpga.backends.finn.stream.run import Part, Run
from qap2fpga.backends.finn.stream.schedule import interval_of
from qap2fpga.backends.finn.stream.search import unpadded
from qap2fpga.estimate import images
from qap2fpga.estimate.images import Numbers
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import CheckFailed
from tests.support.branches import branching
from tests.support.streams import cnn, everything, residual


def drawn(graph: Graph, seed: int) -> Drawn:
    """Return `graph` with lanes and depths of FIFOs drawn; it may stand still."""
    chance = random.Random(seed)
    folding = {node.name: Lanes() for node in graph.nodes}
    for node in graph.nodes:
        if isinstance(node, Linear):
            size, bare = unpadded(graph.shapes[node.sources[0]], node.geometry)
            pe = chance.choice([one for one in range(1, node.outputs + 1) if node.outputs % one == 0])
            parallel = not bare.is_point and parallel_possible(size, bare) and chance.random() < 0.5
            folding[node.name] = Lanes(node.inputs, pe, parallel=True) if parallel else Lanes(pe=pe)
    every = Drawing(graph, folding, fifos.endless(), deep=False, kind="logits").drawn(HANDLERS)
    edges = [block.sources[0] for block in every.blocks if isinstance(block, library.Fifo)]
    depths = fifos.without() | {edge: chance.choice([40, None]) for edge in edges}
    return Drawing(graph, folding, depths, deep=False, kind="logits").drawn(HANDLERS)


def by_cycles(run: Run, offers: Callable[[int], bool], cycles: int) -> tuple[list[int], list[int]]:
    """Return the cycles in which beats come in and leave."""
    came_in, left = [], []
    for now in range(cycles):
        comes, leaves = run.cycle(offered=offers(now))
        came_in += [now] * comes
        left += [now] * leaves
    return came_in, left


GRAPHS = [cnn(), residual(), everything(), *(branching(seed, nodes=3) for seed in range(9))]


@pytest.mark.parametrize("seed", range(len(GRAPHS)))
def test_frames_begin_and_end_with_their_beats(seed: int) -> None:
    design = drawn(GRAPHS[seed], seed)
    run = Run.of(design, frames=3)
    run.until(2)
    came_in, left = by_cycles(Run.of(design), lambda now: True, run.now)
    beats, results = design.source.beats, design.result.beats
    assert run.starts.tolist() == came_in[: 2 * beats : beats]
    assert run.ends.tolist() == left[results - 1 :: results]


@pytest.mark.parametrize("seed", range(len(GRAPHS)))
def test_a_source_that_pauses_neither_loses_nor_adds_beats(seed: int) -> None:
    design = drawn(GRAPHS[seed], seed)
    beats, results = design.source.beats, design.result.beats
    chance = random.Random(seed)
    fast = Run.of(design, frames=3)
    fast.until(3)
    run, came = Run.of(design), 0
    left: list[int] = []
    for now in range(4 * fast.now + 100):
        comes, leaves = run.cycle(offered=came < 3 * beats and chance.random() < 0.6)
        came += comes
        left += [now] * leaves
    assert (came, len(left)) == (3 * beats, 3 * results)
    assert all(slow >= quick for slow, quick in zip(left[results - 1 :: results], fast.ends.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_a_block_alone_is_that_between_its_last_beats(seed: int) -> None:
    for block in drawn(GRAPHS[seed], seed).blocks:
        if len(block.sources) == len(block.targets) == 1 and block.model().kind != "queue":
            interval, beats = interval_of(block), block.given.beats
            _, left = by_cycles(Run.alone(block), lambda now: True, 3 * interval + 100)
            assert left[2 * beats - 1] - left[beats - 1] == interval


def test_a_design_that_stands_still_is_refused() -> None:
    design = drawn(cnn(), 0)
    run = Run.of(design, frames=0)
    with pytest.raises(CheckFailed, match="stands still"):
        run.until(1)
    fold = max(one.folds[0] for one in design.blocks if isinstance(one, library.Product))
    assert run.now < fold + 200  # the last pads before the first row have moved on, and no product reads on


def test_a_product_that_reads_its_inputs_again_for_long_does_not_stand_still() -> None:
    drawing = images.Drawing(np.random.default_rng(1), Shape(3, 20, 20), Numbers(2, 2, 2))
    graph = drawing.classified(INPUT, 4)
    folding = {node.name: Lanes() for node in graph.nodes}
    design = Drawing(graph, folding, fifos.without(), deep=False, kind="logits").drawn(HANDLERS)
    fold = 20 * 20 * 3
    assert schedule.interval(design) == 4 * fold
    assert schedule.latency(design) > 4 * fold


def test_a_design_that_takes_all_and_gives_nothing_is_refused() -> None:
    run = Run([Part(models.pipeline(1, beats=1 << 40), ["in"], ["out"])], "in", "out", beats=4, results=4)
    with pytest.raises(CheckFailed, match="stands still"):
        run.until(1)


def test_without_a_place_to_keep_what_was_compiled_it_is_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    def twice(number: int) -> int:
        return 2 * number

    assert handshakes.compiled(twice)(21) == 42
