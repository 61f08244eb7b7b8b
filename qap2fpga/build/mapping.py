# SPDX-License-Identifier: Apache-2.0
"""Synthesis, and where a family has an open route also place and route, and a bitstream."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from qap2fpga.build import stored
from qap2fpga.build.request import Request
from qap2fpga.build.stored import Say, Stored
from qap2fpga.hw.boards import HOLD_HIGH, Board
from qap2fpga.hw.design import Design

CONFIG, BITSTREAM = "route/board.config", "route/board.bit"


def synthesize(request: Request, generated: Stored, say: Say) -> Stored:
    """The design mapped by Yosys to the board's cells."""
    from qap2fpga.synth import mapping

    design = stored.design(generated, request.output)
    mapped = mapping.map_design(design, request.board, request.output / "synthesize", threads=2, progress=say)
    return {
        "measurement": asdict(mapping.measurement(mapped, request.board)),
        "cells": mapped.cells,
        "netlist": [str(path.relative_to(request.output)) for path in mapped.netlist],
    }


def time(request: Request, generated: Stored, synthesized: Stored, say: Say) -> Stored:
    """The longest path of the mapped design's cells."""
    from qap2fpga.synth.yosys import longest_path

    netlist = [request.output / name for name in synthesized["netlist"]]
    path = longest_path(stored.design(generated, request.output).top, netlist, request.output / "time")
    say(str(path))
    return asdict(path)


def route(request: Request, generated: Stored, synthesized: Stored, say: Say) -> Stored:
    """Place and route the netlist that was simulated, at the board's pins."""
    design, board, netlist = (
        stored.design(generated, request.output),
        request.board,
        request.output / synthesized["netlist"][0],
    )
    # The board runs at its oscillator's pace, whatever the pipeline was cut for.
    return _placed(design, netlist, board, board.clock_ns, request.output / "route", say)


def cross_check(request: Request, generated: Stored, say: Say) -> Stored:
    """The design mapped for, placed and routed on another device: an ECP5, for the clock that it was cut for."""
    from qap2fpga.hw import boards
    from qap2fpga.synth import mapping
    from qap2fpga.synth.ecp5.place import CROSS_CHECK

    board, folder = boards.load(CROSS_CHECK), request.output / "cross-check"
    design = stored.design(generated, request.output)
    mapped = mapping.map_design(design, board, folder, progress=say)
    return _placed(design, mapped.netlist[0], board, design.clock(request.board), folder, say)


def _placed(design: Design, netlist: Path, board: Board, target_ns: float, folder: Path, say: Say) -> Stored:
    from qap2fpga.synth.ecp5 import place, synthesis, wrapper

    joined = synthesis.join(design, netlist, board.clock_ns, folder, hold_high=HOLD_HIGH in board.pins)
    placed = place.place(joined, board, target_ns, folder, progress=say)
    facts = {"board": board.name, "vectors_per_second": wrapper.rate(design)}
    return {**facts, **asdict(placed), "measurement": asdict(placed.measurement(board.device_family.labels))}


def bitstream(request: Request, say: Say) -> Stored:
    """What was placed and routed as a bitstream."""
    from qap2fpga.synth.ecp5 import pack

    bits = pack.pack(request.output / CONFIG, request.output / BITSTREAM)
    say(f"{bits}: {bits.stat().st_size:,} bytes")
    return {"file": BITSTREAM}
