# SPDX-License-Identifier: Apache-2.0
"""Runs that leave out blocks in which nothing happens, compared with runs that leave out none."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from qap2fpga.backends.finn.stream import fifos, library, schedule
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import Drawing, Drawn, Lanes
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.backends.finn.stream.limits import parallel_possible
from qap2fpga.backends.finn.stream.models import Queue
from qap2fpga.backends.finn.stream.products import Matrix
from qap2fpga.backends.finn.stream.run import Run
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

CYCLES = 1500
Offers = Callable[[int], bool]


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
    depths = fifos.without() | {edge: chance.choice([0, 3, 8, None]) for edge in edges}
    return Drawing(graph, folding, depths, deep=False, kind="logits").drawn(HANDLERS)


def left_out_none(design: Drawn, offers: Offers) -> tuple[list[int], list[int], list[int]]:
    """Return what `Run` gives, with every block moved on in every cycle."""
    run = Run(design)
    models, valid, ready = list(run.models.values()), run.valid, run.ready
    for now in range(CYCLES):
        valid[run.start] = offers(now)
        for model in models:
            model.offer(valid)
        for model in models[::-1]:
            model.accept(valid, ready)
        if valid[run.start] and ready[run.start]:
            run.came_in.append(now)
        if valid[run.end]:
            run.left.append(now)
        for model in models:
            model.clock(valid, ready, now)
    return run.came_in, run.left, [model.most for model in models if isinstance(model, Queue)]


def left_out(design: Drawn, offers: Offers) -> tuple[list[int], list[int], list[int]]:
    run = Run(design)
    for now in range(CYCLES):
        run.cycle(offered=offers(now))
    return run.came_in, run.left, [model.most for model in run.models.values() if isinstance(model, Queue)]


GRAPHS = [cnn(), residual(), everything(), *(branching(seed, nodes=3) for seed in range(9))]


@pytest.mark.parametrize("seed", range(len(GRAPHS)))
def test_beats_pass_in_the_same_cycles_where_blocks_that_rest_are_left_out(seed: int) -> None:
    design = drawn(GRAPHS[seed], seed)
    chance = random.Random(seed)
    pauses = [chance.random() < 0.6 for _ in range(CYCLES)]
    for offers in (lambda now: True, lambda now: pauses[now], lambda now: now % 97 > 80):
        results = left_out_none(design, offers)
        assert results == left_out(design, offers)
        assert len(results[0]) > 1


def test_a_block_that_is_not_woken_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Matrix, "_wakes", lambda self, now: 1 << 60)
    design = drawn(cnn(), 0)
    assert left_out_none(design, lambda now: True) != left_out(design, lambda now: True)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_a_block_alone_is_that_of_a_run_that_leaves_out_none(seed: int) -> None:
    for block in drawn(GRAPHS[seed], seed).blocks:
        if len(block.sources) == len(block.targets) == 1 and not isinstance(block.model(), Queue):
            assert interval_of(block) == _interval(block)


def _interval(block: Block) -> int:
    model = block.model()
    model.join([0], [1])
    valid, ready = [True, False], [False, True]
    left: list[int] = []
    now = 0
    while len(left) < 2 * block.given.beats:
        model.offer(valid)
        model.accept(valid, ready)
        left += [now] * valid[1]
        model.clock(valid, ready, now)
        now += 1
    return left[-1] - left[block.given.beats - 1]


def test_a_design_that_stands_still_is_refused() -> None:
    run = Run(drawn(cnn(), 0))
    with pytest.raises(CheckFailed, match="stands still"):
        run.until(1, lambda run: False)
    assert run.now < 100  # as soon as the last pads before the first row have moved on


def test_a_product_that_reads_its_inputs_again_for_long_does_not_stand_still() -> None:
    drawing = images.Drawing(np.random.default_rng(1), Shape(3, 20, 20), Numbers(2, 2, 2))
    graph = drawing.classified(INPUT, 4)
    folding = {node.name: Lanes() for node in graph.nodes}
    design = Drawing(graph, folding, fifos.without(), deep=False, kind="logits").drawn(HANDLERS)
    fold = 20 * 20 * 3
    assert schedule.interval(design) == 4 * fold
    assert schedule.latency(design) > 4 * fold
