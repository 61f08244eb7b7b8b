# SPDX-License-Identifier: Apache-2.0
"""Vectors, beats, comparison and templates: no external program."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.hw import template
from qap2fpga.hw.beats import pack, unpack
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify import verilator
from qap2fpga.verify.compare import Mismatch, compare, require_equal
from tests.support.streaming import sums


def network(low: int, high: int) -> Graph:
    weights = np.array([[3, 0], [-2, 5], [0, -1]])
    end = Logits(np.ones(2, int), np.zeros(2, int), 0, 0)
    return chain((dense("fc1", weights, end, 4, 3),), InputQuantizer(low, high, (1.0,)), Fraction(1))


def test_extremes_are_the_corners() -> None:
    rows = {tuple(row) for row in extremes(network(-4, 3))}
    corners = {(-4, -4, -4), (3, 3, 3), (0, 0, 0), (-4, 3, -4), (3, -4, 3)}
    alone = {(3, 0, 0), (0, 3, 0), (0, 0, 3), (-4, 0, 0), (0, -4, 0), (0, 0, -4)}
    neurons = {(3, -4, 0), (-4, 3, 0), (0, 3, -4), (0, -4, 3)}
    assert rows == corners | alone | neurons


def test_extremes_reach_the_ends_of_the_first_accumulator() -> None:
    net = network(-4, 3)
    low, high = net.ranges[0].accumulators
    result = net.layers[0].accumulate(extremes(net))
    assert (result.min(axis=0) == low).all() and (result.max(axis=0) == high).all()


def test_extremes_take_the_value_nearest_to_zero() -> None:
    assert extremes(network(2, 5)).min() == 2


def test_random_vectors_repeat_and_fill_the_range() -> None:
    net = network(-4, 3)
    result = random_vectors(net, 500, 7)
    assert (result == random_vectors(net, 500, 7)).all() and set(result.ravel()) == set(range(-4, 4))
    assert not (result == random_vectors(net, 500, 8)).all()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("elements", "lanes", "bits"), [(8, 2, 3), (5, 5, 21), (6, 1, 16), (4, 4, 33), (3, 3, 1), (16, 16, 8)]
)
def test_pack_and_unpack_are_inverse(elements: int, lanes: int, bits: int, signed: bool) -> None:
    stream = Stream("s", elements, lanes, bits, signed)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = np.random.default_rng(0).integers(low, high, (20, elements), endpoint=True)
    values[0], values[1] = low, high
    beats = pack(values, stream)
    assert beats.shape == (20 * elements // lanes, -(-stream.beat_bits // 32))
    result, bad = unpack(beats, stream)
    assert (result == values).all() and bad is None


def test_element_0_is_lowest() -> None:
    assert pack(np.array([[1, -2, 0, 3]]), Stream("s", 4, 2, 3, True)).tolist() == [[0b110_001], [0b011_000]]


def test_pack_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        pack(np.array([[4]]), Stream("s", 1, 1, 3, True))


def test_padding_is_zero_or_the_sign() -> None:
    stream = Stream("s", 1, 1, 6, True)
    assert unpack(np.array([[0b00111111], [0b11111111], [0b00000001]]), stream)[1] is None
    assert unpack(np.array([[1], [0b11000001]]), stream)[1] == 1
    assert unpack(np.array([[0b01000000]]), stream)[1] == 0
    assert unpack(np.array([[0b11111111]]), Stream("s", 1, 1, 6, False))[1] == 0


def test_compare_names_the_first_difference() -> None:
    expected = np.arange(12).reshape(4, 3)
    changed = expected.copy()
    changed[2, 1], changed[3, 0] = -5, 0
    result = compare(changed, expected)
    assert (result.vectors, result.mismatches) == (4, 2)
    assert str(result.first) == "vector 2, channel 1: found -5, expected 7"
    assert compare(expected, expected).first is None
    with pytest.raises(Mismatch, match=r"engine: 2 of 4 vectors differ; first vector 2, channel 1") as caught:
        require_equal("engine", changed, expected)
    assert caught.value.comparison == result and caught.value.exit_code == 1


def test_templates_have_every_port_and_width(tmp_path: Path) -> None:
    design = Design("b", tmp_path, "top", (), (), Stream("in0", 8, 2, 3, True), Stream("out0", 5, 5, 21, True), 4)
    verilog, vhdl = template.verilog(design, "nn"), template.vhdl(design, "nn")
    streams = [f"{name}_T{kind}" for name in ("in0", "out0") for kind in ("DATA", "VALID", "READY")]
    for port in ("ap_clk", "ap_rst_n", *streams):
        assert f".{port}({port})" in verilog and f"{port} => {port}" in vhdl
    assert "wire [111:0] out0_TDATA;" in verilog and "top nn (" in verilog
    assert "in0_TDATA : in  std_logic_vector(7 downto 0)" in vhdl
    assert "out0_TDATA : out std_logic_vector(111 downto 0)" in vhdl
    assert "in0: a frame is 8 values in 4 beats of 2" in verilog and "bits 7..6 are padding" in verilog


GOOD = {"finished_early": 0, "broken": 0, "broken_beat": 3, "broken_cycle": 9, "valid_in_reset": 0, "got": 2, "sent": 8,
        "extra": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"finished_early": 1}, "sums, full speed: the design called \\$finish"),
        ({"broken": 1}, r"TVALID was dropped before the beat was taken \(output beat 3, cycle 9\)"),
        ({"broken": 2}, "TDATA changed before the beat was taken"),
        ({"broken": 3}, "TVALID depends on TREADY of the same cycle"),
        ({"valid_in_reset": 1}, "out0_TVALID is high in reset"),
        ({"got": 1}, "hung; 1 of 2 frames came out, 2 went in"),
        ({"extra": 1}, "1 output beats came that no input asked for"),
    ],
)
def test_what_a_harness_counted_is_judged(change: dict[str, int], message: str, tmp_path: Path) -> None:
    def judged(counters: dict[str, int]) -> None:
        verilator._judge(counters, sums(tmp_path), 2, verilator.Schedule("full speed"), 99, tmp_path / "log")

    judged(GOOD)
    with pytest.raises(CheckFailed, match=message):
        judged(GOOD | change)
