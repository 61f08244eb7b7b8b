# SPDX-License-Identifier: Apache-2.0
"""Simulations: of C++, of RTL, of netlists, and from the pins or the memory of a board."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from qap2fpga.build import stored
from qap2fpga.build.request import Request
from qap2fpga.build.stored import Say, Stored
from qap2fpga.ir import outputs as reference

NETLIST_VECTORS = 256
# Vectors of a DMA's transfer, of which there are several.
DMA_BATCH = 13


def simulate_c(request: Request, made: Stored, say: Say) -> list[Stored]:
    """The C++ of an hls4ml project, every layer, on all vectors."""
    from qap2fpga.verify import csim

    network, arrays = stored.load(request)
    project = stored.project(made, request.output)
    result = csim.simulate(project, network, stored.all_vectors(arrays), request.output / "csim", progress=say)
    return [asdict(result)]


def simulate_rtl(request: Request, made: Stored, say: Say) -> list[Stored]:
    """The design's RTL in Verilator, every schedule, on all vectors."""
    from qap2fpga.verify import rtl

    network, arrays = stored.load(request)
    vectors = stored.all_vectors(arrays)
    expected = reference.outputs(network, request.output_kind, vectors)
    folder = request.output / "simulate"
    design = stored.design(made, request.output)
    result = rtl.simulate(design, vectors, expected, folder, network=network, threads=1, progress=say)
    return [asdict(one) for one in result]


def simulate_netlist(request: Request, made: Stored, synthesized: Stored, say: Say) -> Stored:
    """The mapped netlist in Verilator, on some of the vectors."""
    from qap2fpga.synth.yosys import Synthesis
    from qap2fpga.verify import netlist

    network, arrays = stored.load(request)
    files = tuple(request.output / name for name in synthesized["netlist"])
    chosen = _spread(arrays, NETLIST_VECTORS)
    result = netlist.simulate_netlist(
        stored.design(made, request.output),
        request.board,
        chosen,
        reference.outputs(network, request.output_kind, chosen),
        request.output / "netlist",
        network=network,
        mapped=Synthesis(synthesized["cells"], files),
        progress=say,
    )
    return asdict(result)


def simulate_pins(request: Request, made: Stored, say: Say) -> Stored:
    """The board's serial port and the network behind it in Verilator, from pin to pin."""
    from qap2fpga.verify import pins

    network, arrays = stored.load(request)
    chosen = _spread(arrays, pins.MOST)
    expected = reference.outputs(network, request.output_kind, chosen)
    design = stored.design(made, request.output)
    return asdict(pins.simulate(design, request.board, chosen, expected, request.output / "pins", progress=say))


def simulate_dma(request: Request, made: Stored, say: Say) -> list[Stored]:
    """The design with the stream around it, from the words of the DMA to its words, on some of the vectors."""
    from qap2fpga.verify import dma

    network, arrays = stored.load(request)
    vectors = _spread(arrays, NETLIST_VECTORS)
    vectors = vectors[: len(vectors) // DMA_BATCH * DMA_BATCH]
    expected = reference.outputs(network, request.output_kind, vectors)
    design, folder = stored.design(made, request.output), request.output / "dma"
    return [asdict(one) for one in dma.simulate(design, vectors, expected, folder, batch=DMA_BATCH, progress=say)]


def _spread(arrays: dict[str, np.ndarray], count: int) -> np.ndarray:
    """`count` vectors or a few more: extremes first, then recorded and random ones in equal parts."""
    extreme = arrays["extreme"][: count // 4]
    rest = (count - len(extreme) + 1) // 2
    recorded = arrays["recorded"][:rest]
    return np.concatenate([extreme, recorded, arrays["random"][: count - len(extreme) - len(recorded)]])
