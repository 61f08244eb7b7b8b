# SPDX-License-Identifier: Apache-2.0
"""What a design will need of the board, node by node, before it is made: the numbers the folding search uses.

DSPs are exact: they follow from mvu.sv. With W-bit narrow-range weights, A-bit activations and a multiplier
port of 25 bits (27 on DSP48E2), one DSP does ``lanes = 1 + (25 - W) // (W + A - 1)`` products of one
activation with different weights, and an MVAU has ``ceil(PE / lanes) * SIMD`` of them. (FINN's own estimate,
``ceil(PE / 4) * SIMD``, is right for 4 bits only, and it says 0 LUTs.)

LUTs and flip-flops are linear in a few features of a node that are read off its RTL (adder bits, buffer bits,
ROM columns); the coefficients are in flows/finn/estimate.yaml with the tool, number of runs and error they
were fitted with. They stand for what Yosys synthesises, not for Vivado.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import yaml

from qap2fpga.backends.finn.memories import block_rams, rom_blocks, varying, written_memory
from qap2fpga.backends.finn.output_stage import Module
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import NAMES, Resources
from qap2fpga.system.files import shipped

# From this depth on weights go to block RAM; below, to logic. Where a board's LUTs and RAMB18 are 190 to 1, 36
# columns of 128 bits cost less as a RAMB18 than as logic, of 64 bits more.
WEIGHT_BLOCK_RAM_DEPTH = 128
THRESHOLD_BLOCK_RAM_DEPTH = 512
MULTIPLIER_PORT = {"DSP48E1": 25, "DSP48E2": 27}


@dataclass(frozen=True)
class Mvau:
    """An MVAU with its weights; widths in bits, `density` the part of its weights that is not zero."""

    mw: int
    mh: int
    simd: int
    pe: int
    weight_bits: int
    input_bits: int
    accumulator_bits: int
    density: float
    dsp_cell: str

    @property
    def cycles(self) -> int:
        return (self.mw // self.simd) * (self.mh // self.pe)

    @property
    def lanes(self) -> int:
        """Products a DSP does at once."""
        spare = MULTIPLIER_PORT[self.dsp_cell] - self.weight_bits
        return 1 + max(spare, 0) // (self.weight_bits + self.input_bits - 1)

    @property
    def dsp(self) -> int:
        return math.ceil(self.pe / self.lanes) * self.simd

    @property
    def memory(self) -> tuple[int, int, float]:
        """Bits of a word of its weights, words, and the part of the weights that is not zero."""
        return self.simd * self.pe * self.weight_bits, self.cycles, self.density


@dataclass(frozen=True)
class Thresholding:
    """A Thresholding node of `channels` channels and `2**bits - 1` thresholds of `threshold_bits` bits each.

    `rows` are the thresholds (channels, 2**bits - 1), where they are known.
    """

    channels: int
    pe: int
    bits: int
    threshold_bits: int
    rows: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def cycles(self) -> int:
        return self.channels // self.pe

    def depth(self, stage: int) -> int:
        """Words of the memory that each lane has at a stage."""
        return self.cycles << stage

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """RAMB18 of the memories of each stage; 0 where they are logic."""
        return tuple(map(self._blocks, range(self.bits)))

    def _blocks(self, stage: int) -> int:
        depth = self.depth(stage)
        if depth < THRESHOLD_BLOCK_RAM_DEPTH:
            return sum(rom_blocks(bits, depth) for bits in self._varying(stage))
        return sum(block_rams(bits, depth) for bits in self._varying(stage))

    def _varying(self, stage: int) -> list[int]:
        """How many bits of a word are not the same in all words, by lane: Yosys takes the others out."""
        if self.rows is None or self.rows.shape[1] + 1 != 1 << self.bits:
            return [self.threshold_bits] * self.pe
        step = 1 << (self.bits - 1 - stage)
        words = self.rows[:, step - 1 :: 2 * step].reshape(self.cycles, self.pe, -1).swapaxes(1, 2)
        return varying(words.reshape(-1, self.pe), self.threshold_bits)


def mvau_features(node: Mvau) -> dict[str, float]:
    """What the compute part of an MVAU is made of: cross-lane corrections, adder trees, sums, the output queue."""
    fold = node.mw // node.simd
    products = node.simd * node.pe
    product = node.pe * (node.weight_bits + node.input_bits)
    levels = (node.simd - 1).bit_length()
    depth = 4 + levels + (node.simd == 1)
    queue = node.pe * node.accumulator_bits
    replay = node.simd * node.input_bits if node.mh > node.pe else 0
    return {
        "one": 1.0,
        "canaries": float(node.simd * max(node.pe - math.ceil(node.pe / node.lanes), 0)),
        "products": float(products),
        "tree_bits": float((node.simd - 1) * product),
        # Products that the last level of a tree of no power of two has no partner for wait a cycle.
        "delay_bits": float(((1 << levels) - node.simd) * product),
        "sum_bits": float(queue),
        "queue_bits": float(queue * (1 + math.ceil((depth + 1) / fold))),
        "replay_bits": float(replay),
        "counters": math.log2(fold) + math.log2(node.mh // node.pe),
    }


def mvau(node: Mvau) -> Resources:
    """The compute part of an MVAU and its weight memory."""
    values = mvau_features(node)
    memory, replay = weights(*node.memory), written_memory(round(values["replay_bits"]), node.mw // node.simd)
    return Resources(
        lut=linear("mvau", "lut", values) + known(memory.lut),
        ff=linear("mvau", "ff", values) + known(memory.ff),
        dsp=node.dsp,
        bram18=known(memory.bram18) + replay["bram18"],
        lutram=replay["lutram"],
    )


def weights_features(bits: int, depth: int, density: float) -> dict[str, float]:
    """A ROM of `depth` words of `bits`: a flip-flop a column and a LUT a column of 64 words, equal columns once."""
    columns = _distinct(bits, depth, density / 2)
    return {"one": 1.0, "columns": columns, "rom": columns * math.ceil(depth / 64)}


@cache
def _distinct(columns: int, depth: int, ones: float) -> float:
    """How many of `columns` of `depth` random bits, of which the part `ones` is set, are expected to differ.

    Columns of zeros are none. Sparse columns are often equal: with k ones there are only C(depth, k) of them.
    """
    total, left = 0.0, 1.0 - (1 - ones) ** depth
    for k in range(1, min(depth, 8) + 1):
        kinds = math.comb(depth, k)
        part = kinds * ones**k * (1 - ones) ** (depth - k)
        left -= part
        total += kinds * -math.expm1(-columns * part / kinds)
    return total + columns * max(left, 0.0)


def memory_features(bits: int, depth: int, density: float) -> tuple[str, dict[str, float]]:
    """Kind and features of a memory of weights: nothing for one word, logic when shallow, else block RAM."""
    if depth == 1 or not bits:
        return "weights", {}
    if depth >= WEIGHT_BLOCK_RAM_DEPTH:
        return "block weights", {"one": 1.0, "address": math.ceil(math.log2(depth)), "blocks": block_rams(bits, depth)}
    return "weights", weights_features(bits, depth, density)


def weights(bits: int, depth: int, density: float) -> Resources:
    """A memory of weights: logic when shallow, where zeros cost little; else block RAM."""
    kind, values = memory_features(bits, depth, density)
    if not values:
        return Resources(lut=0, ff=0, dsp=0, bram18=0)
    if kind == "block weights":
        return Resources(lut=20, ff=round(values["address"]) + 1, dsp=0, bram18=round(values["blocks"]))
    return Resources(lut=linear("weights", "lut", values), ff=linear("weights", "ff", values), dsp=0, bram18=0)


def thresholding_features(node: Thresholding) -> dict[str, float]:
    """Binary search: a stage per bit, each with its ROM, a comparison per PE, and a queue after the last."""
    logic = [node.depth(stage) for stage in range(node.bits) if node.depth(stage) > 1 and not node.blocks[stage]]
    pipe = node.pe * node.bits
    return {
        "one": 1.0,
        "rom": node.pe * node.threshold_bits * sum(map(_column, logic)),
        "compare_bits": float(pipe * node.threshold_bits),
        "result_bits": float(pipe * node.bits),
        "queue_bits": float(pipe * (node.bits + 2)),
    }


def _column(depth: int) -> float:
    """LUTs of one column of a threshold ROM, before fitting; above 64 words with the multiplexers."""
    return depth / 64 + 0.1 if depth <= 64 else depth / 64 * 1.32


def thresholding(node: Thresholding) -> Resources:
    """A Thresholding node, its thresholds included."""
    values = thresholding_features(node)
    return Resources(
        lut=linear("thresholding", "lut", values),
        ff=linear("thresholding", "ff", values),
        dsp=0,
        bram18=sum(node.blocks),
    )


def fifo_features(bits: int, depth: int) -> dict[str, float]:
    """A FIFO: counters, a memory behind a register, and a register at its output, which block RAM has inside.

    A cell is six bits by 32 words, as calibrations count them.
    """
    address = math.ceil(math.log2(max(depth - 1, 2)))
    if fifo_memory(bits, depth)["bram18"]:
        return {"one": 1.0, "address": float(address), "cells": 0.0, "bits": 0.0}
    cells = math.ceil(bits / 6) * max(1, depth // 32)
    return {"one": 1.0, "address": float(address), "cells": float(cells), "bits": float(bits)}


def fifo_memory(bits: int, depth: int) -> dict[str, int]:
    """Return the cells that a FIFO holds its words in, as keywords of `Resources`; it has as many as addresses."""
    return written_memory(bits, 1 << max(depth - 2, 0).bit_length())


def fifo(bits: int, depth: int) -> Resources:
    """A FIFO."""
    address = round(fifo_features(bits, depth)["address"])
    return Resources(lut=10 + 3 * address, ff=bits + 4 * address + 5, dsp=0, **fifo_memory(bits, depth))


def converter_features(in_bits: int, out_bits: int) -> tuple[str, dict[str, float]]:
    """Kind and features of a width converter: a shift register where one width divides the other, else a rotator.

    A narrowing one is loaded in parallel, so it costs a LUT per bit; a widening one only shifts. A rotator turns
    each input beat to its place in a buffer of both widths, in steps of their greatest common divisor.
    """
    low, high = sorted((in_bits, out_bits))
    step = math.gcd(in_bits, out_bits)
    turns = math.log2(in_bits // step)
    values = {
        "one": 1.0, "narrow": float(low), "wide": float(high), "buffer": float(low + high),
        "barrel": in_bits * turns, "places": (low + high) * turns, "mask": float((low + high) // step),
    }  # fmt: skip
    return "rotator" if high % low else "narrowing" if in_bits > out_bits else "widening", values


def width_converter(in_bits: int, out_bits: int) -> Resources:
    """What stands between two nodes; nothing between equal widths."""
    if in_bits == out_bits:
        return Resources(lut=0, ff=0, dsp=0, bram18=0)
    kind, values = converter_features(in_bits, out_bits)
    return Resources(lut=linear(kind, "lut", values), ff=linear(kind, "ff", values), dsp=0, bram18=0)


def logits_features(pe: int, fold: int, multiplier_bits: int, sum_bits: int, in_bits: int) -> dict[str, float]:
    """A conditional addition per multiplier bit, a register stage every four; with one beat per frame, of constants."""
    adders = float(pe * multiplier_bits * in_bits)
    return {
        "one": 1.0,
        "adders": adders if fold > 1 else 0.0,
        "constant_adders": adders if fold == 1 else 0.0,
        "sums": float(pe * math.ceil(multiplier_bits / 4) * sum_bits),
    }


def output_module(module: Module, pe: int, fold: int) -> tuple[Resources, dict[str, float]]:
    """Return cost and features of a module of the output stage, with `pe` lanes and `fold` beats per frame."""
    if module.kind == "qap_class":
        # A comparison and a choice per lane.
        bits = module.in_bits
        return Resources(lut=10 + 2 * pe * bits, ff=bits + 16, dsp=0, bram18=0), {
            "one": 1.0,
            "compare": pe * bits,
            "bits": bits,
        }
    values = logits_features(pe, fold, module.multiplier_bits, module.sum_bits, module.in_bits)
    return Resources(lut=linear("logits", "lut", values), ff=linear("logits", "ff", values), dsp=0, bram18=0), values


def total(parts: list[Resources]) -> Resources:
    """The sum, with what is not known counted as nothing."""
    return Resources(
        lut=sum(known(part.lut) for part in parts), ff=sum(known(part.ff) for part in parts),
        dsp=sum(known(part.dsp) for part in parts), bram18=sum(known(part.bram18) for part in parts),
        lutram=sum(known(part.lutram) for part in parts),
    )  # fmt: skip


def used(cost: Resources, board: Board) -> dict[str, float]:
    """Return the fraction of the board that `cost` takes, by kind of resource."""
    return {kind: known(getattr(cost, kind)) / float(board.available(kind)) for kind in NAMES}


def known(value: int | None) -> int:
    """Return `value`, and 0 for what is not known."""
    return value or 0


@cache
def coefficients() -> dict[str, dict[str, dict[str, float]]]:
    """Node kind -> resource -> feature -> cells a unit; read from flows/finn/estimate.yaml."""
    content = yaml.safe_load((shipped("flows") / "finn" / "estimate.yaml").read_text())
    return dict(content["coefficients"])


def linear(kind: str, resource: str, values: dict[str, float]) -> int:
    """Return the cells of `resource` that the shipped coefficients of `kind` give for the features `values`."""
    table = coefficients()[kind][resource]
    return max(0, round(sum(factor * values[feature] for feature, factor in table.items())))


def named(kind: str, values: dict[str, float]) -> dict[str, float]:
    """Return the features under names that say what they are of."""
    return {f"{kind}: {name}": round(value, 3) for name, value in values.items() if value}
