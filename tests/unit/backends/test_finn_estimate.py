# SPDX-License-Identifier: Apache-2.0
"""What memories are expected to take, compared with what Yosys made of some."""

from __future__ import annotations

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


def test_bits_of_thresholds_that_never_vary_are_not_in_a_memory() -> None:
    random = np.random.default_rng(4)
    rows = np.sort(random.integers(0, 1 << 11, (128, 31)), axis=1)
    whole = estimate.Thresholding(128, 1, 5, 20)
    known, even = (replace(whole, rows=one) for one in (rows, 4 * (rows // 4)))
    # 128, 256, 512, 1,024 and 2,048 words: below 512 logic, since they are few.
    assert [list(one.blocks) for one in (whole, known, even)] == [
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
