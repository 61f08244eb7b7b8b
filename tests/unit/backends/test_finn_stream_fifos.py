# SPDX-License-Identifier: Apache-2.0
"""FIFOs of branches: none too shallow to run, none needed where blocks hold enough, and the full rate."""

from __future__ import annotations

import pytest

from qap2fpga.backends.finn.stream import fifos, library, schedule
from qap2fpga.backends.finn.stream.draw import Depths, Drawing, Drawn, Lanes
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.backends.finn.stream.schedule import cycles, fills, interval_of
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.system.errors import CheckFailed
from tests.support.streams import cnn, everything, residual


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
        waiting.append(max(fills(design, interval).values()))
    assert waiting[1] >= waiting[0] + 6


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
