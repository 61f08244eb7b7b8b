# SPDX-License-Identifier: Apache-2.0
"""What each block will need of the board: features read off its RTL, and the shipped coefficients for them.

DSPs are those of MVAUs, as in a chain; our own modules multiply in logic. What memories are made of is not left to
synthesis: they are block RAM from a depth on, LUT RAM or logic below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from qap2fpga.backends.finn import estimate, memories
from qap2fpga.backends.finn.stream import library, own
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.sparse import Sparse
from qap2fpga.hw.resources import Resources

Values = dict[str, float]


def cost(block: Block, dsp_cell: str) -> tuple[Resources, Values]:
    """Return what `block` is expected to take, and the features that its LUTs and FFs follow from."""
    return COSTS[type(block)](block, dsp_cell)


def _plain(kind: str, values: Values, *, bram18: int = 0, lutram: int = 0) -> tuple[Resources, Values]:
    lut, ff = (estimate.linear(kind, resource, values) for resource in ("lut", "ff"))
    features = estimate.named(kind, values | {"memory": float(lutram)})
    return Resources(lut=lut, ff=ff, dsp=0, bram18=bram18, lutram=lutram), features


def _memory(bits: int, depth: int, *, block: bool) -> dict[str, int]:
    """A memory's cells, as keywords of `_plain`."""
    return {"bram18": memories.block_rams(bits, depth)} if block else {"lutram": memories.lut_ram(bits, depth)}


def _bits(count: int) -> float:
    return float(max(count - 1, 1).bit_length())


def _product(block: library.Product, dsp_cell: str) -> tuple[Resources, Values]:
    inputs, outputs = block.weights.shape
    node = estimate.Mvau(
        inputs, outputs, block.simd, block.pe, block.weight_bits, block.taken.kind.bits, block.given.kind.bits,
        block.density, dsp_cell,
    )  # fmt: skip
    memory = estimate.named(*estimate.memory_features(*node.memory))
    return estimate.mvau(node), estimate.named("mvau", estimate.mvau_features(node)) | memory


def _thresholds(block: library.Thresholds, dsp_cell: str) -> tuple[Resources, Values]:
    node = estimate.Thresholding(
        block.taken.channels, block.taken.lanes, block.bits, block.threshold_kind.bits, block.rows
    )  # fmt: skip
    kind = "deep thresholds" if block.deep else "thresholds"
    return estimate.thresholding(node), estimate.named(kind, estimate.thresholding_features(node))


def _converter(block: library.Converter, dsp_cell: str) -> tuple[Resources, Values]:
    kind, features = estimate.converter_features(block.taken.bits, block.given.bits)
    return estimate.width_converter(block.taken.bits, block.given.bits), estimate.named(kind, features)


def _fifo(block: library.Fifo, dsp_cell: str) -> tuple[Resources, Values]:
    depth = block.depth or 0
    return estimate.fifo(block.taken.bus, depth), estimate.named("fifo", estimate.fifo_features(block.taken.bus, depth))


def window_features(block: library.Windows) -> Values:
    """Return what the serial generator is made of: counters and comparisons of places, a memory's output register."""
    return {
        "one": 1.0,
        "address": _bits(block.memory),
        "elements": _bits(block.taken.beats + block.memory),
        "positions": sum(_bits(one) for one in (*block.given.shape[:2], *block.geometry.kernel, block.taken.fold)),
        "bits": float(block.taken.bits),
    }


def parallel_features(block: library.Windows) -> Values:
    """Return what the parallel generator is made of: a register per tap, a memory per row of the kernel but one."""
    return {
        "one": 1.0,
        "elements": _bits(block.taken.beats),
        "registers": float(block.given.bits),
        "rows": float((block.geometry.kernel[0] - 1) * block.taken.bits),
    }


def _windows(block: library.Windows, dsp_cell: str) -> tuple[Resources, Values]:
    if not block.at_once:
        memory = _memory(block.taken.bits, block.memory, block=block.in_block_ram)
        return _plain("window", window_features(block), **memory)
    rows = block.geometry.kernel[0] - 1
    depth = block.taken.shape[1] * block.geometry.dilation[0] - block.geometry.extent[1]
    memory = _memory(block.taken.bits, max(depth, 1), block=block.in_block_ram)
    return _plain("parallel window", parallel_features(block), **{key: rows * one for key, one in memory.items()})


def padding_features(block: library.Pad) -> Values:
    """Return what padding is made of: counters of three kinds, two registers of a beat."""
    rows, columns, _ = block.given.shape
    return {
        "one": 1.0, "counters": _bits(rows + 1) + _bits(columns + 1) + _bits(block.taken.fold),
        "bits": float(block.taken.bits),
    }  # fmt: skip


def largest_features(block: own.Largest) -> Values:
    """Return what pooling is made of: a comparison and a register per lane, a counter."""
    return {"one": 1.0, "counter": _bits(block.taps), "bits": float(block.taken.bits)}


def weighted_features(block: own.Weighted) -> Values:
    """Return what depthwise products are made of: a multiplier, a register and an adder per lane, a counter."""
    lanes = block.taken.lanes
    return {
        "one": 1.0, "counter": _bits(block.taps),
        "products": float(lanes * block.taken.kind.bits * block.weight_bits), "sums": float(block.given.bits),
        "factors": float(lanes * (block.taken.kind.bits + block.weight_bits)),
    }  # fmt: skip


def _weighted(block: own.Weighted, dsp_cell: str) -> tuple[Resources, Values]:
    compute, features = _plain("depthwise", weighted_features(block))
    lanes = block.taken.lanes
    depth = block.weights.size // lanes
    # Block RAM has no bits that are the same in all words, as those of averages are.
    bits = lanes * block.weight_bits
    if depth >= estimate.WEIGHT_BLOCK_RAM_DEPTH:
        bits = sum(memories.varying(block.weights.reshape(-1, lanes), block.weight_bits))
    memory = bits, depth, block.density
    parts = [compute, estimate.weights(*memory)]
    return estimate.total(parts), features | estimate.named(*estimate.memory_features(*memory))


def sparse_features(block: Sparse) -> Values:
    """Return what a sparse product is made of: multipliers, trees, sums, its program, a table of banks, counters.

    A lane that multiplies with few weights takes less: of these columns of its program are constant. One that has no
    weight at all is not there.
    """
    fold, kind, bits = block.fold, block.taken.kind, block.matrix.bits
    product = kind.bits + bits - kind.signed
    tree, left = 0, block.banks
    for level in range(1, (block.banks - 1).bit_length() + 1):
        tree += left // 2 * (product + level)
        left -= left // 2
    program, logic = block.program_columns, not block.program_in_block_ram
    muxes = 0.0 if logic else memories.block_muxes(block.block_bits, block.slots)
    busy = 1 - (1 - block.matrix.products / (block.slots * fold.lanes)) ** block.slots
    values = busy * fold.lanes * kind.bits
    fewer = block.banks > fold.simd
    field = (fold.simd - 1).bit_length() + fewer
    # Of so many elements one is chosen, four to a LUT; of no more than there are beats.
    chosen = min(fold.simd, block.beats)
    crossed = fold.positions * kind.bits * math.ceil((chosen - 1) / 3) if fold.cross else 0
    return {
        "one": 1.0, "products": values * bits, "rows": busy * (fold.lanes * bits if kind.bits > 1 else 0),
        "product_bits": busy * fold.lanes * product, "tree": busy * fold.pe * tree, "sums": float(block.given.bits),
        "rom": program["rom"] if logic else muxes, "columns": program["columns"] if logic else 0.0,
        # One of several values of a word, and of several memories: four in a LUT.
        "values": values * math.ceil((fold.values - 1) / 3),
        "deep": values * fold.values * math.ceil(math.log2(max(block.bank_depth / 64, 1)) / 2),
        "queue": float(block.given.bits if block.queue else 0), "pointers": float(fold.pe if block.queue > 1 else 0),
        "table": float(math.ceil(block.beats / 64) * fold.positions * field if fold.cross else 0),
        "cross": float(crossed), "places": float(block.banks * (block.bank_depth.bit_length() - 2) if fewer else 0),
        "counters": _bits(block.slots) + _bits(block.beats),
    }  # fmt: skip


def sparse_memory(block: Sparse) -> dict[str, int]:
    """Return the cells of its memories, as keywords of `_plain`."""
    bits, pe = block.taken.kind.bits * block.fold.values, block.given.lanes
    blocks = lutram = 0
    if block.banks_in_block_ram:
        blocks = block.banks * pe * memories.block_rams(bits, block.bank_depth)
    else:
        lutram = block.banks * shared_lut_ram(bits, block.bank_depth, pe)
    if block.program_in_block_ram:
        blocks += memories.block_rams(block.block_bits, block.slots)
    if block.queue > 1:
        lutram += pe * memories.lut_ram(block.given.kind.bits, 32)
    return {"bram18": blocks, "lutram": lutram}


def shared_lut_ram(bits: int, depth: int, readers: int) -> int:
    """Return the LUTs of copies of a memory, each read by three of the `readers`: a cell has three narrow ports."""
    copies, rest = divmod(readers, 3)
    three = 4 * min(math.ceil(bits / 2) * math.ceil(depth / 32), bits * math.ceil(depth / 64))
    one = 4 if bits == 1 and depth == 128 else memories.lut_ram(bits, depth)
    two = 4 if bits == 1 and depth <= 32 else 2 * memories.lut_ram(bits, depth)
    return copies * three + (0, one, two)[rest]


def _sparse(block: Sparse, dsp_cell: str) -> tuple[Resources, Values]:
    memory = sparse_memory(block)
    return _plain("sparse", sparse_features(block) | {"memory": float(memory["lutram"])}, **memory)


def sum_features(block: own.Add) -> Values:
    """Return what a sum is made of: an addition per bit that is set in a factor, a register."""
    additions = sum(int(factor).bit_count() + (factor < 0) for factor in block.factors) - 1
    return {"one": 1.0, "adders": float(max(additions, 0) * block.given.bits), "bits": float(block.given.bits)}


def join_features(block: own.Join) -> Values:
    """Return what joining is made of: a choice among the sources, a counter."""
    return {"one": 1.0, "choice": float((len(block.parts) - 1) * block.given.bits), "counter": _bits(max(block.parts))}


def again_features(block: own.Again) -> Values:
    """Return what repeating is made of: counters, the memory's output register."""
    return {"one": 1.0, "address": _bits(block.memory), "bits": float(block.taken.bits)}


def _again(block: own.Again, dsp_cell: str) -> tuple[Resources, Values]:
    return _plain(
        "repeat", again_features(block), **_memory(block.taken.bits, block.memory, block=block.in_block_ram)
    )  # fmt: skip


def extend_features(block: own.Extend) -> Values:
    """Return what an offset is made of; without one there are only wires."""
    return {"bits": float(block.given.bits) if block.offset else 0.0}


def fork_features(block: own.Fork) -> Values:
    """Return what a fork is made of: a register per reader."""
    return {"ways": float(block.ways)}


def flip_features(block: own.Flip) -> Values:
    """Return what turned bits are made of, where they are synthesised apart from their neighbours."""
    return {"bits": float(block.parameters()["MASK"].bit_count() * block.taken.lanes)}


def _end(block: own.End, dsp_cell: str) -> tuple[Resources, Values]:
    resources, values = estimate.output_module(block.stage, block.taken.lanes, block.taken.fold)
    return resources, estimate.named(block.op, values)


def _of(kind: str, features: Callable[[Any], Values]) -> Callable[[Any, str], tuple[Resources, Values]]:
    return lambda block, dsp_cell: _plain(kind, features(block))


COSTS: dict[type[Block], Callable[[Any, str], tuple[Resources, Values]]] = {
    library.Product: _product, library.Thresholds: _thresholds, library.Converter: _converter, library.Fifo: _fifo,
    library.Windows: _windows, library.Pad: _of("padding", padding_features),
    own.Largest: _of("pool", largest_features), own.Weighted: _weighted,
    own.Fork: _of("fork", fork_features), own.Add: _of("sum", sum_features),
    own.Join: _of("concat", join_features), own.Again: _again, own.Extend: _of("extend", extend_features),
    own.Flip: _of("flip", flip_features), own.Scores: _end, own.Class: _end, Sparse: _sparse,
}  # fmt: skip
