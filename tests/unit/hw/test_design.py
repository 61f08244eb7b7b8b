# SPDX-License-Identifier: Apache-2.0
"""Artifacts: what stands for hardware, what does not yet, and whose part an instance is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, HlsProject, Probe, Stream, Trace, is_of

BOARD = boards.load("pynq-z2")
WIDE, NARROW = Stream("features", 6, 6, 4, True), Stream("result", 3, 3, 9, True)
DESIGN = Design(
    "rtl", Path("rtl"), "rtl_design", ("l0.v",), (), replace(WIDE, name="in0"), replace(NARROW, name="out0"), 1, 5,
    probes=(Probe("fc1", "u_l0.y", ((4, True), (3, False)), cycles=2),),
)  # fmt: skip
PROJECT = HlsProject(
    "hls4ml", Path("hls4ml"), "qap2fpga", ("firmware/qap2fpga.cpp",), (), WIDE, NARROW, 1, clock_ns=4.0, part="xc7z020",
    configs={"fc1": "config2"}, strategy="latency", traces=(Trace("dense0", "fc1", 3),), warnings=("a zero stays",),
)  # fmt: skip


def test_c_is_no_circuit_yet() -> None:
    assert DESIGN.circuit is DESIGN and PROJECT.circuit is None
    assert DESIGN.streams == PROJECT.streams == (DESIGN.input, DESIGN.output)


def test_a_project_of_streams_has_ports_that_only_the_tool_knows() -> None:
    assert DESIGN.wrappable and PROJECT.wrappable
    assert not replace(PROJECT, streams_positions=True).wrappable


def test_the_clock_is_its_own_or_the_boards() -> None:
    assert (PROJECT.clock(BOARD), DESIGN.clock(BOARD), replace(DESIGN, clock_ns=3.0).clock(BOARD)) == (
        4.0, BOARD.clock_ns, 3.0,
    )  # fmt: skip


def test_an_instance_is_of_a_node_by_its_whole_name() -> None:
    for part in ("MVAU_rtl_1", "u_MVAU_rtl_1", "u_MVAU_rtl_1_weights", "MVAU_rtl_1_weights"):
        assert is_of(part, "MVAU_rtl_1"), part
    for part in ("u_MVAU_rtl_10", "u_MVAU_rtl_1_weights_2", "u_MVAU_rtl_10_weights", "x_MVAU_rtl_1", ""):
        assert not is_of(part, "MVAU_rtl_1"), part
