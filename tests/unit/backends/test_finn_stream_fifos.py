# SPDX-License-Identifier: Apache-2.0
"""FIFOs of branches: none too shallow to run, none needed where blocks hold enough, and the full rate."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from qap2fpga.backends.finn.stream import fifos, library, schedule
from qap2fpga.backends.finn.stream.draw import Depths, Drawing, Drawn, Lanes
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.backends.finn.stream.run import Run
from qap2fpga.backends.finn.stream.schedule import cycles, fills, interval_of
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import CheckFailed
from tests.support.streams import Nodes, cnn, everything, residual


def drawn(graph: Graph, folding: dict[str, Lanes], depths: Depths) -> Drawn:
    every = {node.name: Lanes() for node in graph.nodes} | folding
    return Drawing(graph, every, depths, deep=False, kind="logits").drawn(HANDLERS)


SKIP = {INPUT: Lanes(pe=4), "conv": Lanes(4, 4), "sum": Lanes(pe=4)}


def test_a_chain_of_kernels_needs_no_fifos() -> None:
    sized = fifos.sized(lambda depths: drawn(cnn(), {}, depths))
    assert not [block for block in sized.drawn.blocks if isinstance(block, library.Fifo)]
    assert sized.cycles.interval == max(interval_of(block) for block in sized.drawn.blocks) == 36 * 27 * 4


@pytest.mark.parametrize("folding", [{}, SKIP, SKIP | {"conv": Lanes(36, 4, parallel=True)}])
def test_a_residual_runs_at_the_rate_of_its_slowest_block(folding: dict[str, Lanes]) -> None:
    sized = fifos.sized(lambda depths: drawn(residual(), folding, depths))
    assert sized.cycles.interval == max(interval_of(block) for block in sized.drawn.blocks)
    assert [block for block in sized.drawn.blocks if isinstance(block, library.Fifo)]


def test_the_skip_of_a_residual_stands_still_or_is_slower_with_a_shallower_fifo() -> None:
    graph = residual()
    sized = fifos.sized(lambda depths: drawn(graph, SKIP, depths))
    depths = {block.sources[0]: block.depth for block in sized.drawn.blocks if isinstance(block, library.Fifo)}
    edge, depth = max(depths.items(), key=lambda item: item[1] or 0)
    assert depth is not None
    # The kernel's first window needs a row, a position of the next and their pads, less what blocks on the way hold.
    shallow = {d: drawn(graph, SKIP, fifos.without() | depths | {edge: d}) for d in range(3, depth)}
    slower = []
    for design in shallow.values():
        try:
            slower.append(cycles(design).interval)
        except CheckFailed as error:
            assert "stands still" in error.message
            slower.append(1 << 20)
    assert slower == sorted(slower, reverse=True)
    assert slower[0] == 1 << 20
    assert slower[-1] >= sized.cycles.interval


def test_what_waits_grows_with_the_rows_of_a_kernel() -> None:
    waiting = []
    for width in (6, 12):
        graph = residual(width=width)
        design = drawn(graph, SKIP, fifos.endless())
        interval = max(interval_of(block) for block in design.blocks)
        waiting.append(max(fills(design, interval).most.values()))
    assert waiting[1] >= waiting[0] + 6


def test_a_design_that_falls_behind_is_seen_after_a_few_frames() -> None:
    design = drawn(residual(), SKIP, fifos.endless())
    interval = max(interval_of(block) for block in design.blocks)
    assert not fills(design, interval).behind
    found = fills(design, interval - 1)
    assert found.behind
    assert max(found.most.values()) < max(fills(design, interval).most.values()) + 10


def test_depths() -> None:
    assert [fifos.depth_for(waiting) for waiting in (0, 1, 2, 9)] == [0, 0, 3, 10]
    assert fifos.depth_for(1, 3) == 3


def test_all_kinds_of_nodes_keep_the_rate_of_the_slowest() -> None:
    graph = everything()
    folding = {"conv1": Lanes(2, 4), "point": Lanes(4, 2), "conv3": Lanes(4, 6), "fc": Lanes(6, 3), "dw": Lanes(pe=2)}
    sized = fifos.sized(lambda depths: drawn(graph, folding, depths))
    assert sized.cycles.interval == max(interval_of(block) for block in sized.drawn.blocks)


def test_a_design_that_no_fifo_helps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def stands_still(drawn: Drawn) -> None:
        raise CheckFailed("the design stands still")

    monkeypatch.setattr(schedule, "interval", stands_still)
    with pytest.raises(CheckFailed, match="no FIFOs keep the design from standing still"):
        fifos.sized(lambda depths: drawn(cnn(), {}, depths))


@pytest.mark.parametrize(("width", "pattern", "average"), [(4, {22, 17, 21}, 20), (8, {42, 38}, 40)])
def test_frames_that_come_at_distances_that_alternate(width: int, pattern: set[int], average: int) -> None:
    nodes = Nodes(Shape(3, 1, width))
    nodes.step("levels", nodes.linear("conv", INPUT, 3, 6), 6, 7)
    nodes.logits("out", nodes.linear("fc", "levels", 6, 8, Geometry((1, width))), 8)
    folding = {INPUT: Lanes(pe=3), "conv": Lanes(3, 2), "levels": Lanes(pe=2), "fc": Lanes(3, 4)}
    design = drawn(nodes.graph(), folding, fifos.without())
    run = Run.of(design)
    run.until(40)
    steps = [two - one for one, two in pairwise(run.ends.tolist()[9:])]
    assert set(steps) == pattern
    assert cycles(design).interval == math.ceil(sum(steps) / len(steps)) == average


def test_frames_that_leave_evenly_for_a_time_before_one_is_late() -> None:
    nodes = Nodes(Shape(5))
    nodes.step("levels", nodes.linear("trunk", INPUT, 5, 6), 6, 7)
    heads = (nodes.linear("left", "levels", 6, 3), nodes.linear("right", "levels", 6, 1))
    nodes.logits("out", nodes.add(Concat(name="heads", sources=heads)), 4)
    folding = {INPUT: Lanes(pe=5), "trunk": Lanes(5, 2), "levels": Lanes(pe=2), "left": Lanes(2, 3)}
    design = drawn(nodes.graph(), folding | {"right": Lanes(2, 1)}, fifos.without())
    run = Run.of(design)
    run.until(300)
    steps = [two - one for one, two in pairwise(run.ends.tolist()[100:])]
    assert cycles(design).interval == math.ceil(sum(steps) / len(steps))
    assert len(set(steps)) > 1
