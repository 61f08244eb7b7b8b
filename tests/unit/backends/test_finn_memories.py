# SPDX-License-Identifier: Apache-2.0
"""What memories are expected to be made of, compared with what Yosys made of some."""

from __future__ import annotations

import math

import pytest

from qap2fpga.backends.finn import memories

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
    assert memories.block_rams(bits, depth) == blocks


@pytest.mark.parametrize(("bits", "depth", "words"), SHAPES)
def test_rows_of_block_rams_are_behind_multiplexers(bits: int, depth: int, words: int) -> None:
    rows = math.ceil(depth / words)
    assert memories.block_shape(bits, depth)[1] == rows
    assert memories.block_muxes(bits, depth) == pytest.approx(bits * (rows - 1) / 3)


@pytest.mark.parametrize(
    ("bits", "depth", "blocks"),
    [(18, 460, 0), (18, 470, 1), (30, 280, 0), (12, 700, 0), (12, 1168, 1), (8, 1040, 0), (16, 512, 0), (18, 512, 1)],
)
def test_what_yosys_makes_of_a_rom_that_is_left_to_it(bits: int, depth: int, blocks: int) -> None:
    assert memories.rom_blocks(bits, depth) == blocks
