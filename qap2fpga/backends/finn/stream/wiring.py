# SPDX-License-Identifier: Apache-2.0
"""The top level of a drawn design: every block an instance, every edge a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qap2fpga.backends.finn.estimate import WEIGHT_BLOCK_RAM_DEPTH
from qap2fpga.backends.finn.sources import Sources
from qap2fpga.backends.finn.stream import library, own
from qap2fpga.backends.finn.stream.blocks import Block, Stream, text_of
from qap2fpga.backends.finn.stream.draw import INPUT, Drawn
from qap2fpga.backends.finn.verilog import (
    AXI_LITE,
    CONFIGURATION,
    TOP,
    Wire,
    module_instance,
    top,
    weights_memory,
    whole_bytes,
)
from qap2fpga.hw.design import Probe
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer


class Wiring:
    """A top level under way; `folder_of` says where FINN has put the RTL of a block."""

    def __init__(self, drawn: Drawn, sources: Sources, folder_of: Callable[[Block], Path]) -> None:
        self.drawn, self.sources, self.folder_of = drawn, sources, folder_of
        self.declarations: list[str] = []
        self.body: list[str] = []

    def write(self) -> None:
        """Write all sources and the top level."""
        for block in self.drawn.blocks:
            for target in block.targets:
                if target != self.drawn.end:
                    self.declarations.append(self.wire(target, block.given).declare())
            self._instance(block)
        begin, end = self.drawn.source, self.drawn.result
        self.sources.add(
            f"{TOP}.v", top(Wire("in0", begin.bus), Wire("out0", end.bus), self.declarations, self.body)
        )  # fmt: skip

    def wire(self, edge: str, stream: Stream) -> Wire:
        """Return the wires of an edge."""
        name = "in0" if edge == INPUT else "out0" if edge == self.drawn.end else f"s_{edge}"
        return Wire(name, stream.bus)

    def _instance(self, block: Block) -> None:
        if block.library:
            self.sources.add_library(block.op)
            self.sources.add_generated(block.name, self.folder_of(block))
            text = module_instance(
                block.name, "", f"u_{block.name}", self.wire(block.sources[0], block.taken),
                self.wire(block.targets[0], block.given), self._extra(block),
            )  # fmt: skip
        else:
            text = self._own(block)
        self.body.append(text)

    def _extra(self, block: Block) -> str:
        """The ports of FINN's nodes that are no streams between blocks."""
        if isinstance(block, library.Product):
            lines = (self.folder_of(block) / "memblock.dat").read_text().split()
            bits = block.simd * block.pe * block.weight_bits
            return f", .ap_clk2x(ap_clk), {self._memory(block, bits, len(lines)).connect('in1')}"
        if isinstance(block, library.Thresholds):
            return f",\n    {CONFIGURATION}"
        if isinstance(block, library.Pad):
            return f",\n    {AXI_LITE}"
        return ", .count(), .maxcount()" if isinstance(block, library.Fifo) else ""

    def _memory(self, block: Block, bits: int, depth: int) -> Wire:
        """The stream of a block's weights."""
        self.sources.add_own("qap_weights.sv")
        wire = Wire(f"w_{block.name}", whole_bytes(bits))
        self.declarations.append(wire.declare())
        self.body.append(weights_memory(block.name, wire, depth, block_ram=depth >= WEIGHT_BLOCK_RAM_DEPTH))
        return wire

    def _own(self, block: Block) -> str:
        """An instance of one of our modules."""
        if isinstance(block, own.End):
            self.sources.add_own(f"{block.op}.sv")
            return module_instance(
                block.op, block.stage.parameters, f"u_{block.op}", self.wire(block.sources[0], block.taken),
                self.wire(block.targets[0], block.given), "",
            )  # fmt: skip
        self.sources.add_own(f"{block.op}.sv")
        extra = ""
        if isinstance(block, own.Weighted):
            words = block.words()
            bits = block.taken.lanes * block.weight_bits
            digits = -(-bits // 4)
            self.sources.add_data(f"{block.name}_weights.dat", "".join(f"{word:0{digits}x}\n" for word in words))
            extra = f", {self._memory(block, bits, len(words)).connect('in1')}"
        parameters = text_of(block.parameters())
        if isinstance(block, own.Own):
            for key, (content, size) in block.contents().items():
                name = f"{block.name}_{key.lower()}.dat"
                self.sources.add_data(name, "".join(f"{word:0{-(-size // 4)}x}\n" for word in content))
                parameters += f', .{key}("./{name}")'
        ins = _ports("in0", [self.wire(edge, block.taken) for edge in block.sources])
        outs = _ports("out0", [self.wire(edge, block.given) for edge in block.targets])
        return (
            f"  {block.op} #({parameters}) u_{block.name} (\n"
            f"    .ap_clk(ap_clk), .ap_rst_n(ap_rst_n), {ins},\n    {outs}{extra}\n  );"
        )

    def probes(self, graph: Graph) -> tuple[Probe, ...]:
        """Return what leaves each block that shows a node's result; of a step function, if that is a count."""
        return tuple(_probe(block) for block in self.drawn.blocks if block.shows and _counts(graph, block))


def _ports(port: str, wires: list[Wire]) -> str:
    """The connection of `port` with one stream, or with several side by side, the first one lowest."""
    if len(wires) == 1:
        return wires[0].connect(port)
    parts = {part: ", ".join(f"{wire.name}_T{part}" for wire in wires[::-1]) for part in ("DATA", "VALID", "READY")}
    return ", ".join(f".{port}_V_T{part}({{{names}}})" for part, names in parts.items())


def _counts(graph: Graph, block: Block) -> bool:
    node = graph[block.node]
    levels = isinstance(node, Requantizer) and isinstance(node.function, Step) and not node.function.counts
    # At the end of the network thresholds are counted; levels are what the output stage makes of the counts.
    return not levels or node.name == graph.output


def _probe(block: Block) -> Probe:
    port = f"u_{block.name}.out0_V_T"
    kind = block.given.kind
    lanes = ((kind.bits, kind.signed),) * block.given.lanes
    return Probe(block.node, f"{port}DATA", lanes, block.given.beats, f"{port}VALID", f"{port}READY")
