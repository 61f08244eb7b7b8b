# SPDX-License-Identifier: Apache-2.0
"""Simulations: of C++, of RTL, of netlists, and from the pins or the memory of a board."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.build import stored
from qap2fpga.build.request import Request
from qap2fpga.build.stored import Say, Stored
from qap2fpga.ir.graph import Graph

if TYPE_CHECKING:
    from qap2fpga.verify.engine import Engine

NETLIST_VECTORS = 256
# Vectors of a DMA's transfer, of which there are several.
DMA_BATCH = 13


def simulate_c(request: Request, generated: Stored, say: Say) -> list[Stored]:
    """The C++ of an hls4ml project, every layer, on all vectors."""
    from qap2fpga.verify.csim import CSimulation

    network, arrays = stored.load(request)
    engine = CSimulation(stored.project(generated, request.output), network, request.output / "csim")
    return _simulate(engine, request, network, stored.all_vectors(arrays), say)


def simulate_rtl(request: Request, generated: Stored, say: Say) -> list[Stored]:
    """The design's RTL in Verilator, every schedule, on all vectors."""
    from qap2fpga.verify.rtl import Rtl

    network, arrays = stored.load(request)
    design = stored.design(generated, request.output)
    engine = Rtl(design, request.output / "simulate", network=network, threads=1)
    return _simulate(engine, request, network, stored.all_vectors(arrays), say)


def simulate_netlist(request: Request, generated: Stored, synthesized: Stored, say: Say) -> Stored:
    """The mapped netlist in Verilator, on some of the vectors."""
    from qap2fpga.synth.yosys import Synthesis
    from qap2fpga.verify.netlist import Netlist

    network, arrays = stored.load(request)
    mapped = Synthesis(synthesized["cells"], tuple(request.output / name for name in synthesized["netlist"]))
    design, folder = stored.design(generated, request.output), request.output / "netlist"
    engine = Netlist(design, request.board, mapped, folder, network=network)
    return _simulate(engine, request, network, _spread(arrays, NETLIST_VECTORS), say)[0]


def simulate_pins(request: Request, generated: Stored, say: Say) -> Stored:
    """The board's serial port and the network after it in Verilator, from pin to pin."""
    from qap2fpga.verify import pins

    network, arrays = stored.load(request)
    engine = pins.Pins(stored.design(generated, request.output), request.board, request.output / "pins")
    return _simulate(engine, request, network, _spread(arrays, pins.MOST), say)[0]


def simulate_dma(request: Request, generated: Stored, say: Say) -> list[Stored]:
    """The design with the stream around it, from the words of the DMA to its words, on some of the vectors."""
    from qap2fpga.verify.dma import Dma

    network, arrays = stored.load(request)
    vectors = _spread(arrays, NETLIST_VECTORS)
    engine = Dma(stored.design(generated, request.output), request.output / "dma", batch=DMA_BATCH)
    return _simulate(engine, request, network, vectors[: len(vectors) // DMA_BATCH * DMA_BATCH], say)


def _simulate(engine: Engine, request: Request, network: Graph, vectors: np.ndarray, say: Say) -> list[Stored]:
    """What came of comparing `engine` with the network."""
    from qap2fpga.verify.engine import Reference

    expected = Reference(network, request.output_kind).outputs(vectors)
    return [asdict(one) for one in engine.simulate(vectors, expected, say)]


def _spread(arrays: dict[str, np.ndarray], count: int) -> np.ndarray:
    """`count` vectors or a few more: extremes first, then recorded and random ones in equal parts."""
    extreme = arrays["extreme"][: count // 4]
    rest = (count - len(extreme) + 1) // 2
    recorded = arrays["recorded"][:rest]
    return np.concatenate([extreme, recorded, arrays["random"][: count - len(extreme) - len(recorded)]])
