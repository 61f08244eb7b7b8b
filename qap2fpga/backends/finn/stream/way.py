# SPDX-License-Identifier: Apache-2.0
"""Graphs of all kinds through FINN: drawn, folded, scheduled, then written down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.backends.api import Progress, require_possible
from qap2fpga.backends.finn import session
from qap2fpga.backends.finn.folding import require_legal
from qap2fpga.backends.finn.nodes import FinnNode
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import library, limits
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.blocks import Stream as Edge
from qap2fpga.backends.finn.stream.cost import cost
from qap2fpga.backends.finn.stream.draw import Lanes
from qap2fpga.backends.finn.stream.emit import emit
from qap2fpga.backends.finn.stream.fifos import Sized, sized
from qap2fpga.backends.finn.stream.search import Search, choose
from qap2fpga.backends.finn.stream.sparse import Sparse
from qap2fpga.backends.finn.verilog import TOP
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design, Expectation, NodeEstimate, Stream
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically

# Frames that every step's graph is executed with: one takes FINN a tenth of a second and more.
COMPARED = 8
# Keys of a folding.json that only sparse nodes have.
SPARSE = ("BANKS", "QUEUE", "CROSS")


@dataclass(frozen=True, kw_only=True)
class BlockNode(FinnNode):
    """A block: cycles per frame, lanes in and out; `depth` of a FIFO."""

    cycles: int
    lanes_in: int
    lanes_out: int
    depth: int | None = None


@dataclass(frozen=True, kw_only=True)
class SparseNode(BlockNode):
    """A product without zeros: `products` of the dense layer per vector, `nonzeros` of them; slots and multipliers."""

    products: int
    nonzeros: int
    slots: int
    multipliers: int


@dataclass(frozen=True)
class Plan:
    """The decided design: its folding by node, its blocks with their FIFOs, and its cycles."""

    search: Search
    output_kind: str
    folding: dict[str, Lanes]
    design: Sized

    @cached_property
    def expectation(self) -> Expectation:
        """Its blocks, cycles and resources."""
        cycles, blocks = self.design.cycles, self.design.drawn.blocks
        cell = self.search.board.dsp_cell
        return Expectation(
            interval_cycles=cycles.interval, latency_cycles=cycles.latency,
            total=asdict(self.search.total(self.design.drawn)), nodes=tuple(_node(block, cell) for block in blocks),
        )  # fmt: skip

    @property
    def without_zeros(self) -> bool:
        """Whether a layer skips its zeros."""
        return any(isinstance(block, Sparse) for block in self.design.drawn.blocks)

    def generate(self, folder: Path, vectors: np.ndarray, progress: Progress) -> Design:
        """Build it below `folder`, each step's graph saved and compared with the first of `vectors`."""
        version = session.version()
        graph, drawn, expected = self.search.graph, self.design.drawn, self.expectation
        progress(f"a frame every {expected.interval_cycles} cycles, in {len(drawn.blocks)} blocks")
        folder.mkdir(parents=True, exist_ok=True)
        names = content(graph, self.folding)
        write_atomically(folder / "folding.json", json.dumps(names, indent=2) + "\n")
        shutil.rmtree(folder / "rtl", ignore_errors=True)
        sources, probes = emit(graph, drawn, self.search.board, folder, stimuli(graph, vectors), progress)
        progress(f"{len(sources.verilog)} sources and {len(sources.data)} memory contents in {sources.folder}")
        return Design(
            backend="finn",
            folder=sources.folder,
            top=TOP,
            sources=tuple(sources.verilog),
            data=tuple(sources.data),
            input=_port("in0", drawn.source),
            output=_port("out0", drawn.result),
            interval_cycles=expected.interval_cycles,
            latency_cycles=expected.latency_cycles,
            output_kind=self.output_kind,
            nodes=expected.nodes,
            estimate=expected.total,
            folding=names,
            probes=probes,
            details={
                "finn_version": version,
                "fifos": {block.name: block.depth for block in drawn.blocks if isinstance(block, library.Fifo)},
                "blackboxes": ["DSP48E1", "DSP48E2", "LUT6_2"],
            },
        )


def refusals(graph: Graph, board: Board, options: FinnOptions) -> tuple[QapError, ...]:
    """Return every reason why FINN's RTL, with our modules, cannot compute `graph`."""
    return limits.refusals(graph, options.output_kind)


def plan(graph: Graph, board: Board, options: FinnOptions) -> Plan:
    """Return the design for `options`. Raises `QapError` for what cannot be built and for what does not fit."""
    require_possible(refusals(graph, board, options))
    search = Search(graph, board, options.output_kind, options.sparse if options.folding is None else "auto")
    if options.folding is not None:
        folding = given(options.folding, search)
        _require_agreeing(folding, search, options.sparse)
        return Plan(search, options.output_kind, folding, sized(search.draw(folding)))
    return Plan(search, options.output_kind, *choose(search, options))


def stimuli(graph: Graph, vectors: np.ndarray) -> np.ndarray:
    """Return frames: all at the minimum, all at the maximum, then the first of `vectors`."""
    ends = [np.broadcast_to(value, graph.inputs) for value in (graph.input.lows, graph.input.highs)]
    return np.concatenate([np.stack(ends), vectors[:COMPARED].astype(np.int64)])


def content(graph: Graph, folding: Mapping[str, Lanes]) -> dict[str, dict[str, int]]:
    """Return a folding as folding.json has it: node -> 'SIMD', 'PE', 'PARALLEL', as far as the node has them."""
    legal = legal_keys(graph)
    return {
        name: {
            key: value for key, value in _values(folding[name]).items() if key in keys and (value or key not in SPARSE)
        }
        for name, keys in legal.items()
    }


def legal_keys(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return what may be chosen for each node of a graph."""
    by_kind = {"linear": ("SIMD", "PE", "PARALLEL", *SPARSE), "requantizer": (), "input": ()}
    every = {node.name: by_kind.get(node.kind, ("PE",)) for node in graph.nodes}
    return {name: keys for name, keys in every.items() if keys}


def _values(lanes: Lanes) -> dict[str, int]:
    return {
        "SIMD": lanes.simd, "PE": lanes.pe, "PARALLEL": int(lanes.parallel), "BANKS": lanes.banks, "QUEUE": lanes.queue,
        "CROSS": int(lanes.cross),
    }  # fmt: skip


def given(folding: Mapping[str, Any], search: Search) -> dict[str, Lanes]:
    """Return the lanes of a folding.json. Raises `QapError` for an unknown node or key, and for an illegal value."""
    legal = legal_keys(search.graph)
    require_legal(folding, legal)
    chosen: dict[str, Lanes] = {}
    for name, entry in folding.items():
        lanes = Lanes(
            entry.get("SIMD", 1), entry.get("PE", 1), bool(entry.get("PARALLEL", 0)), entry.get("BANKS", 0),
            entry.get("QUEUE", 0), bool(entry.get("CROSS", 0)),
        )  # fmt: skip
        possible = [_values(one) for one in search.legal(name)]
        if {**_values(Lanes()), **entry} not in possible:
            same = {"PARALLEL": int(lanes.parallel), "BANKS": lanes.banks}
            close = [one for one in possible if same.items() <= one.items()] or possible
            hint = {key: sorted({one[key] for one in close}) for key in legal[name]}
            raise QapError(f"folding: {name} cannot have {dict(entry)}", f"legal: {hint}")
        chosen[name] = lanes
    return search.whole(chosen)


def _require_agreeing(folding: Mapping[str, Lanes], search: Search, sparse: str) -> None:
    """Raise `QapError` for a layer of a folding.json that is sparse where none is to be, or not where all are."""
    for name in (node.name for node in search.graph.nodes if isinstance(node, Linear)):
        if sparse != "auto" and (folding[name].banks > 0) != (sparse == "always"):
            has = "BANKS" if folding[name].banks else "no BANKS"
            raise QapError(f"folding: {name} has {has}, and sparse is '{sparse}'", "leave one of the two out")


def _node(block: Block, cell: str) -> NodeEstimate:
    resources, features = cost(block, cell)
    plain: dict[str, Any] = {
        "name": block.name, "op_type": block.op, "layer": block.node, "estimate": asdict(resources),
        "features": {"lut": features, "ff": features}, "cycles": block.cycles, "lanes_in": block.taken.lanes,
        "lanes_out": block.given.lanes, "depth": block.depth if isinstance(block, library.Fifo) else None,
    }  # fmt: skip
    if not isinstance(block, Sparse):
        return BlockNode(**plain)
    return SparseNode(
        **plain, products=block.matrix.weights.size, nonzeros=block.matrix.products, slots=block.slots,
        multipliers=block.fold.lanes,
    )  # fmt: skip


def _port(name: str, stream: Edge) -> Stream:
    return Stream(name, stream.positions * stream.channels, stream.lanes, stream.kind.bits, stream.kind.signed)
