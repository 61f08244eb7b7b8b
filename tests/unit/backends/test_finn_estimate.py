# SPDX-License-Identifier: Apache-2.0
"""What memories are expected to take, compared with what Yosys made of some."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.backends.finn import estimate
from qap2fpga.hw import boards
from qap2fpga.hw.resources import Resources

# Bits, depth, LUTs of LUT RAM, RAMB18: Yosys 0.70 of fifo.sv for 7 series; a RAMB36 is two.
FIFOS = [
    (8, 4, 8, 0), (8, 18, 8, 0), (8, 34, 12, 0), (32, 11, 24, 0), (64, 21, 44, 0), (8, 130, 48, 0), (8, 300, 0, 1),
    (16, 131, 0, 1), (128, 106, 0, 4), (32, 436, 0, 1), (40, 300, 0, 2), (32, 700, 0, 2), (48, 979, 0, 3),
    (80, 600, 0, 5), (24, 1030, 0, 3), (104, 1500, 0, 12), (24, 2100, 0, 6), (8, 4100, 0, 4), (8, 9000, 0, 8),
]  # fmt: skip


@pytest.mark.parametrize(("bits", "depth", "luts", "blocks"), FIFOS)
def test_the_memory_of_a_fifo_is_what_yosys_makes_of_it(bits: int, depth: int, luts: int, blocks: int) -> None:
    memory = estimate.fifo(bits, depth)
    assert (memory.lutram, memory.bram18) == (luts, blocks)
    assert (estimate.fifo_features(bits, depth)["cells"] > 0) == (luts > 0)


# Bits, words, RAMB18: Yosys 0.70 of a ROM that is to be block RAM, for both families.
ROMS = [
    (12, 512, 1), (12, 1280, 1), (12, 2048, 2), (12, 4096, 3), (12, 5120, 4), (14, 3072, 3), (14, 6144, 5),
    (20, 1500, 2), (9, 1025, 1), (18, 1025, 2), (2, 20000, 3), (3, 10000, 2), (5, 5000, 2), (6, 9000, 3), (17, 2592, 3),
    (100, 512, 3), (46, 8503, 23), (46, 8192, 21), (40, 8503, 20), (25, 8550, 12), (20, 8503, 10), (46, 4470, 12),
    (46, 7000, 18), (46, 12000, 31), (46, 16384, 41), (10, 16000, 9), (30, 5000, 9),
]  # fmt: skip
# Bits, words, and the words of the blocks that Yosys takes: the fewer rows, the fewer multiplexers.
SHAPES = [
    (46, 8503, 1024), (46, 8192, 2048), (40, 8503, 1024), (25, 8550, 512), (20, 8503, 1024), (46, 4470, 512),
    (46, 6000, 2048), (46, 7000, 1024), (10, 8503, 1024), (30, 3000, 1024), (30, 5000, 1024), (30, 2100, 1024),
]  # fmt: skip


@pytest.mark.parametrize(("bits", "depth", "blocks"), ROMS)
def test_block_rams_are_as_yosys_packs_them(bits: int, depth: int, blocks: int) -> None:
    assert estimate.block_rams(bits, depth) == blocks


@pytest.mark.parametrize(("bits", "depth", "words"), SHAPES)
def test_rows_of_block_rams_are_behind_multiplexers(bits: int, depth: int, words: int) -> None:
    rows = math.ceil(depth / words)
    assert estimate.block_shape(bits, depth)[1] == rows
    assert estimate.block_muxes(bits, depth) == pytest.approx(bits * (rows - 1) / 3)


@pytest.mark.parametrize(
    ("bits", "depth", "blocks"),
    [(18, 460, 0), (18, 470, 1), (30, 280, 0), (12, 700, 0), (12, 1168, 1), (8, 1040, 0), (16, 512, 0), (18, 512, 1)],
)
def test_what_yosys_makes_of_a_rom_that_is_left_to_it(bits: int, depth: int, blocks: int) -> None:
    assert estimate.rom_blocks(bits, depth) == blocks


def test_bits_of_thresholds_that_never_vary_are_not_in_a_memory() -> None:
    random = np.random.default_rng(4)
    rows = np.sort(random.integers(0, 1 << 11, (128, 31)), axis=1)
    whole = estimate.Thresholding(128, 1, 5, 20)
    known, even = (replace(whole, rows=one) for one in (rows, 4 * (rows // 4)))
    # 128, 256, 512, 1,024 and 2,048 words: below 512 logic, since they are few.
    assert [[one.blocks(stage) for stage in range(5)] for one in (whole, known, even)] == [
        [0, 0, 1, 2, 3], [0, 0, 1, 1, 2], [0, 0, 1, 1, 1],
    ]  # fmt: skip
    assert [estimate.thresholding(one).bram18 for one in (whole, known, even)] == [6, 4, 3]


def test_a_replay_buffer_is_counted_as_a_fifo_is() -> None:
    # Of a MVAU with SIMD 32 over 2 bits Yosys makes 40 LUTs of LUT RAM, of SIMD 64 it makes 80.
    node = estimate.Mvau(288, 64, 32, 8, 2, 2, 11, 1.0, "DSP48E2")
    assert estimate.mvau(node).lutram == 44
    assert estimate.mvau(estimate.Mvau(288, 8, 32, 8, 2, 2, 11, 1.0, "DSP48E2")).lutram == 0  # nothing is replayed


def test_a_memory_of_weights_is_nothing_logic_or_block_ram() -> None:
    assert [estimate.memory_features(24, depth, 1.0)[0] for depth in (1, 2, 127, 128)] == [
        "weights", "weights", "weights", "block weights",
    ]  # fmt: skip
    assert estimate.weights(24, 1, 1.0) == Resources(lut=0, ff=0, dsp=0, bram18=0)
    assert estimate.weights(24, 64, 1.0).bram18 == 0
    assert estimate.weights(40, 512, 1.0).bram18 == 2


def test_parts_of_a_board_are_by_kind_of_resource() -> None:
    board = boards.load("pynq-z2")
    parts = estimate.used(Resources(lut=board.lut // 2, ff=None, dsp=board.dsp, bram18=0), board)
    assert parts == {"lut": 0.5, "ff": 0.0, "dsp": 1.0, "bram18": 0.0}
