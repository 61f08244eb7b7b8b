# SPDX-License-Identifier: Apache-2.0
"""What Yosys makes of memories: how many block RAMs or LUTs, and which of them where that is left to it.

The rules are of Yosys 0.70 and hold for all of some 80 memories that it mapped (`tests/unit/backends`).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

# Where nothing else is asked for, or LUT RAM, Yosys takes block RAM for a memory that is written if LUT RAM were more
# LUTs per block than this, and for a ROM if it has more bits per block.
LUT_RAM_PER_BLOCK, ROM_BITS_PER_BLOCK = 52, 8430
# Of a RAMB18, bits by words; and how many bits of multiplexers Yosys saves at the price of a block.
BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
MULTIPLEXER_BITS_PER_BLOCK = 256


def block_rams(bits: int, depth: int) -> int:
    """RAMB18 of a memory of `depth` words, as Yosys packs it; `block_shape` says how."""
    return block_shape(bits, depth)[0]


@cache
def block_shape(bits: int, depth: int) -> tuple[int, int]:
    """Return the RAMB18 of a memory of `depth` words and the rows of words that they make, as Yosys chooses them.

    A block is 36 bits by 512 words, 18 by 1024 and so on; rows lie side by side, and a multiplexer takes the one that
    is read. Yosys takes what costs least, some 256 bits of multiplexers being a block.
    """
    shapes = []
    for width, words in BLOCK_SHAPES:
        rows = math.ceil(depth / words)
        blocks = math.ceil(bits * rows / width)
        shapes.append((blocks + bits * (rows - 1) / MULTIPLEXER_BITS_PER_BLOCK, blocks, rows))
    _, blocks, rows = min(shapes)
    return blocks, rows


def block_muxes(bits: int, depth: int) -> float:
    """Return the LUTs of the multiplexers behind the block RAMs of a memory: each takes three rows more."""
    return bits * (block_shape(bits, depth)[1] - 1) / 3


def varying(words: np.ndarray, bits: int) -> list[int]:
    """How many of the `bits` of each lane are not the same in all `words` (n, lanes): block RAM has no others."""
    differ = np.bitwise_or.reduce(words ^ words[:1], axis=0)
    return [(int(one) & (1 << bits) - 1).bit_count() for one in differ]


def lut_ram(bits: int, depth: int) -> int:
    """Return the LUTs of a memory in LUT RAM: four hold six bits by 32 words or three by 64, a port each way."""
    return 4 * min(math.ceil(bits / 6) * math.ceil(depth / 32), math.ceil(bits / 3) * math.ceil(depth / 64))


def written_memory(bits: int, depth: int) -> dict[str, int]:
    """Return the cells of a memory that is written and read, as keywords of `Resources`: block RAM or LUTs."""
    cells, blocks = lut_ram(bits, depth), block_rams(bits, depth)
    return {"lutram": 0, "bram18": blocks} if cells > LUT_RAM_PER_BLOCK * blocks else {"lutram": cells, "bram18": 0}


def rom_blocks(bits: int, depth: int) -> int:
    """Return the RAMB18 of a ROM whose kind is left to Yosys; 0 where that takes logic."""
    blocks = block_rams(bits, depth)
    return blocks if bits * depth > ROM_BITS_PER_BLOCK * blocks else 0
