# SPDX-License-Identifier: Apache-2.0
"""What the memories of a folded design must hold: the network's weights and thresholds, in the order of FINN's RTL.

Weights (mvu_vvu_axi.sv, replay_buffer.sv). A layer of MW inputs and MH outputs takes SIMD inputs per beat, SF = MW /
SIMD beats, and these NF = MH / PE times. With each comes the next word of weights. So the word at address `n * SF + s`
is used with inputs `s * SIMD ...` for outputs `n * PE ...`: its bits from `(p * SIMD + i) * WEIGHT_WIDTH` up are the
weight of input `s * SIMD + i` and output `n * PE + p`. Nothing is turned round.

Kernels per channel (qap_dw.sv). A beat has a tap of PE channels, TAPS beats for these, then the next ones: the word at
address `n * TAPS + t` has in place p the weight of tap t and channel `n * PE + p`.

Sparse units (qap_sparse.sv). Which weight goes to which input and output is a program: `sparse.py`.

Thresholds (thresholding.sv). A value of channel `c * PE + p` is compared in M stages, with one threshold in each: the
count of thresholds reached is found bit by bit, the highest first. Lane p's memory of stage s has at address
`c * 2**s + b`, where b are the s bits so far, threshold number `b * 2**(M-s) + 2**(M-s-1)`, the first one being 1. What
the memory has beyond N thresholds is out of scope, which is a bit that stays 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import numpy as np

from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.finn.memories import Instance
from qap2fpga.prove.finn.sparse import SPARSE, Unit

MVU, KERNELS, THRESHOLDS, WEIGHTS = "mvu_vvu_axi", "qap_dw", "thresholding_axi", "qap_weights"
# By instance, the node of the network that it is of: a hint, on which no proof rests.
Hints = Mapping[str, str]
N = TypeVar("N", bound=Node)
# A threshold above all sums.
NEVER = 1 << 62


def weights(network: Graph, every: Mapping[str, Instance], hints: Hints) -> str:
    """Prove that the memories of weights hold the network's. Raises `NotProven`, naming node, address and values."""
    wanted = {node.name: node for node in network.nodes if isinstance(node, Linear | Depthwise)}
    count = words = 0
    for one in every.values():
        if one.kind == SPARSE:
            node, unit = _take(wanted, hints, one), Unit(one)
            if not isinstance(node, Linear):
                raise NotProven(f"{one.name}: a {one.kind} for node {node.name} ({node.kind})")
            _compare_matrix(node, unit.matrix())
            count, words = count + node.weights.size, words + len(unit.program.bits)
        elif one.kind in (MVU, KERNELS):
            node = _take(wanted, hints, one)
            memory = _memory_of(one, every)
            kind, dense = (Linear, True) if one.kind == MVU else (Depthwise, False)
            if not isinstance(node, kind):
                raise NotProven(f"{one.name}: a {one.kind} for node {node.name} ({node.kind})")
            expected = (_dense if dense else _kernels)(one, node.weights)
            size = one.number("WEIGHT_WIDTH" if dense else "WEIGHT_BITS")
            words_of = memory.memory(rom(memory))
            if len(words_of.bits) != len(expected):
                raise NotProven(f"node {node.name}: its memory has {len(words_of.bits)} words, not {len(expected)}")
            _compare(node, words_of.fields(expected.shape[1], size, signed=True), expected, "weight")
            count, words = count + node.weights.size, words + len(expected)
    _require_all(wanted)
    return f"{count:,} weights in {words:,} words: every address, in the order of FINN's RTL"


def thresholds(network: Graph, every: Mapping[str, Instance], hints: Hints, *, last: bool) -> str:
    """Prove that the memories of thresholds hold the network's, as far as a sum within its range can tell.

    `last`: whether those of the network's end are in the design, too. Raises `NotProven`, naming node, channel and
    values.
    """
    wanted = {node.name: node for node in network.nodes if isinstance(node, Requantizer)
              and isinstance(node.function, Step) and (last or node.name != network.output)}  # fmt: skip
    count = 0
    for one in every.values():
        if one.kind == THRESHOLDS:
            node = _take(wanted, hints, one)
            low, high = _ends(network, node, one)
            expected, rows = _expected(network, node, len(low)), _in_order(one)
            more = rows.shape[1] - expected.shape[1]
            if more < 0:
                raise NotProven(f"node {node.name}: {rows.shape[1]} thresholds, not {expected.shape[1]}")
            # Those that are not the network's may never be reached.
            expected = np.concatenate([expected, np.repeat(high[:, None] + 1, more, axis=1)], axis=1)
            actual, expected = (np.clip(each, low[:, None], high[:, None] + 1) for each in (rows, expected))
            different = np.argwhere(actual != expected)
            if len(different):
                channel, number = map(int, different[0])
                values = f"{int(rows[channel, number])}, not {int(expected[channel, number])}"
                where = _address(one, channel, number)
                raise Refuted(f"node {node.name}: channel {channel}, threshold {number + 1}, {where} is {values}")
            count += rows.size
    _require_all(wanted)
    return f"{count:,} thresholds: every address, for all sums within their ranges" if count else "there are none"


def _take(wanted: dict[str, N], hints: Hints, one: Instance) -> N:
    """Return the node that `one` is of, which is then no other's."""
    name = hints.get(one.name, "")
    if name not in wanted:
        raise NotProven(f"{one.name}: no node of the network is known to be it, or another instance is too")
    return wanted.pop(name)


def _require_all(left: Collection[str]) -> None:
    if left:
        raise NotProven(f"node {next(iter(left))}: nothing in the design is known to be it")


def _memory_of(one: Instance, every: Mapping[str, Instance]) -> Instance:
    """Return the instance whose stream goes into the port of weights of `one`."""
    streams = [memory for memory in every.values() if memory.kind == WEIGHTS
               and memory.nets["out0_V_TDATA"] == one.nets["in1_V_TDATA"]]  # fmt: skip
    if len(streams) != 1:
        raise NotProven(f"{one.name}: its weights come from {len(streams)} memories")
    return streams[0]


def rom(memory: Instance) -> str:
    """Return the name of the memory in an instance that gives weights."""
    if memory.number("DEPTH") == 1:
        return "gen_constant.rom"
    return "gen_cycle.gen_block.rom" if memory.number("BLOCK") else "gen_cycle.gen_logic.rom"


def _dense(one: Instance, matrix: np.ndarray) -> np.ndarray:
    """Return the words (addresses, PE * SIMD) of a layer with the weights `matrix` (inputs, outputs).

    Inputs and outputs that the network does not have, after its own, have weights of zero.
    """
    one.require(IS_MVU=1, PUMPED_COMPUTE=0)
    inputs, outputs, simd, pe = map(one.number, ("MW", "MH", "SIMD", "PE"))
    if inputs < matrix.shape[0] or outputs < matrix.shape[1] or inputs % max(simd, 1) or outputs % max(pe, 1):
        raise NotProven(f"{one.name}: a layer of {inputs} x {outputs} in folds of {simd} x {pe}")
    whole = np.pad(matrix, ((0, inputs - matrix.shape[0]), (0, outputs - matrix.shape[1])))
    folds = whole.reshape(inputs // simd, simd, outputs // pe, pe)
    return folds.transpose(2, 0, 3, 1).reshape(-1, pe * simd)


def _kernels(one: Instance, kernels: np.ndarray) -> np.ndarray:
    """Return the words (addresses, PE) of kernels (taps, channels)."""
    taps, pe = one.number("TAPS"), one.number("PE")
    if taps != kernels.shape[0] or kernels.shape[1] % max(pe, 1):
        raise NotProven(f"{one.name}: kernels of {taps} taps in lanes of {pe}")
    return kernels.reshape(taps, -1, pe).transpose(1, 0, 2).reshape(-1, pe)


def _compare(node: Node, actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    different = np.argwhere(actual != expected)
    if len(different):
        address, place = map(int, different[0])
        values = f"{int(actual[address, place])}, not {int(expected[address, place])}"
        raise Refuted(f"node {node.name}: address {address}, {what} {place} of the word is {values}")


def _compare_matrix(node: Linear, actual: np.ndarray) -> None:
    if actual.shape != node.weights.shape:
        raise NotProven(f"node {node.name}: a program of {actual.shape} weights, not {node.weights.shape}")
    different = np.argwhere(actual != node.weights)
    if len(different):
        element, output = map(int, different[0])
        values = f"{int(actual[element, output])}, not {int(node.weights[element, output])}"
        raise Refuted(f"node {node.name}: the program's weight of input {element} and output {output} is {values}")


def _ends(network: Graph, node: Node, one: Instance) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest sums (channels,) that `one` sees.

    Channels that the network does not have, after its own, have sums of 0: their weights are zero.
    """
    ends, bits, signed = network.node_ranges[node.sources[0]], one.number("WI"), one.number("SIGNED")
    more = one.number("C") - len(ends.low)
    if more < 0:
        raise NotProven(f"{one.name}: {one.number('C')} channels for node {node.name}")
    low, high = (np.pad(np.asarray(end, np.int64), (0, more)) for end in (ends.low, ends.high))
    top = 1 << bits - signed
    if low.min() < (-top if signed else 0) or high.max() >= top:
        raise NotProven(f"{one.name}: {bits} bits do not hold {low.min()} to {high.max()}")
    return low, high


def _expected(network: Graph, node: Node, channels: int) -> np.ndarray:
    """Return the network's thresholds (channels, count).

    A level that is more than one above the one before takes that many thresholds; at the network's end levels are
    counted. Channels that the network does not have count none: their sums are 0.
    """
    assert isinstance(node, Requantizer) and isinstance(node.function, Step)
    step = node.function
    rows = step.thresholds if node.name == network.output else np.repeat(step.thresholds, step.step, axis=1)
    return np.pad(rows, ((0, channels - len(rows)), (0, 0)), constant_values=1)


def _in_order(one: Instance) -> np.ndarray:
    """Return the thresholds that `one` compares with (channels, 2**M - 1), in the order of their numbers."""
    one.require(SETS=1, FPARG=0, BIAS=0, USE_AXILITE=0)
    count, channels, lanes, size = map(one.number, ("N", "C", "PE", "WT"))
    if not lanes or channels % lanes:
        raise NotProven(f"{one.name}: {channels} channels in {lanes} lanes")
    stages, folds = count.bit_length(), channels // lanes
    rows = np.empty((folds, lanes, (1 << stages) - 1), np.int64)
    for stage in range(stages):
        # The thresholds of a stage lie so far apart; so many of them are out of scope.
        apart = 1 << stages - stage
        outside = (apart // 2 + (1 << stages) - 1 - count) // apart
        for lane in range(lanes):
            memory = one.memory(_tree(stage, lane))
            words = memory.fields(1, size, signed=bool(one.number("SIGNED")))
            if len(words) != folds << stage:
                raise NotProven(f"{memory.name} has {len(words)} words, not {folds << stage}")
            reached = words.reshape(folds, 1 << stage)
            reached[:, (1 << stage) - outside :] = NEVER
            rows[:, lane, apart // 2 - 1 :: apart] = reached
    return _narrowed(one, rows.reshape(channels, -1))


def _tree(stage: int, lane: int) -> str:
    return f"genStages[{stage}].genPE[{lane}].blkThresh.Threshs"


def _address(one: Instance, channel: int, number: int) -> str:
    """Return the word that a threshold lies in, for people."""
    stages, lanes = one.number("N").bit_length(), one.number("PE")
    stage = stages - 1 - ((number + 1) & -(number + 1)).bit_length() + 1
    address = (channel // lanes << stage) + ((number + 1) >> stages - stage)
    return f"address {address} of lane {channel % lanes}, stage {stage},"


def _narrowed(one: Instance, rows: np.ndarray) -> np.ndarray:
    """Return thresholds as they act on sums of more bits, which are cut off at the ends of the thresholds' type."""
    bits, signed = one.number("WT"), one.number("SIGNED")
    if one.number("WI") <= bits:
        return rows
    return np.where(rows == (-(1 << bits - 1) if signed else 0), -NEVER, rows)
