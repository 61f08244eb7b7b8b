# SPDX-License-Identifier: Apache-2.0
"""What synthesis will make of a module, read off its Verilog bit by bit, before any synthesis.

Four things make flip-flops fewer than declared bits: bits that nobody reads go; constants need none; a bit that is held
under two names is held once; and three and more registers in a row, with nobody reading in between, become one shift
register, which is a LUT (AMD UG474, "Shift Registers"). The same bits say how long carry chains are, and how many LUTs
of six inputs the tables and the logic between them take.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise

from qap2fpga.backends.rtl.text import COMPARED, Bit, Module

# Yosys' xilinx_srl makes a shift register of so many registers in a row, and not of fewer.
SHORTEST_SHIFT = 3

# Inputs of a LUT.
INPUTS = 6


@dataclass(frozen=True)
class Cells:
    """Flip-flops; and LUTs, by kind: shift registers, tables, logic between single bits, and bits of sums.

    Where one operand is constant the carry chain takes the other's bit as it is (`carry_bits`), or `inverted_bits`.
    """

    flip_flops: int
    shift_registers: int
    table_luts: int
    choice_luts: int
    logic_luts: int
    sum_bits: int
    compared_bits: int
    carry_bits: int
    inverted_bits: int


@lru_cache(maxsize=64)
def expected(text: str) -> Cells:
    """What is left of the module that `text` describes, as `Circuit.verilog` writes it. Boards may share one."""
    module = Module(text)
    read: dict[Bit, set[int]] = defaultdict(set)
    for source, delay in module.read():
        read[source].add(delay)
    flip_flops = shift_registers = 0
    for source, delays in read.items():
        # The flip-flop behind a choice of a constant takes the constant by its reset, so it can not be shifted in.
        begin = 1 if any(delays) and module.chooses(source) else 0
        flip_flops += begin
        for first, last in pairwise([begin, *sorted(delay for delay in delays if delay > begin)]):
            if last - first >= SHORTEST_SHIFT:
                shift_registers += 1
            else:
                flip_flops += last - first
    luts = _Luts(module, read)
    return Cells(flip_flops, shift_registers, **luts.counts())


class _Luts:
    """What is read of a module, covered with LUTs: logic that one LUT's inputs suffice for is part of what reads it."""

    def __init__(self, module: Module, read: dict[Bit, set[int]]) -> None:
        self.module = module
        self.sums: dict[str, int] = defaultdict(int)
        for name, place in read:
            if module.operands_of_sum(name):
                wide = len(module.addends(name)[0]) if COMPARED in module.values[name] else place + 1
                self.sums[name] = max(self.sums[name], wide)
        bits = [bit for bit in read if bit[0] not in self.sums]
        bits += [(name, place) for name, top in self.sums.items() for place in range(module.passed_by(name), top)]
        self.kinds = {bit: self._kind(*bit) for bit in bits if bit[0] in self.sums}
        self.inputs = {bit: module.inputs(*bit) for bit in bits}
        # A bit with a register behind it, or with two readers, is a LUT's or a chain's output.
        readers = Counter(bit for inputs in self.inputs.values() for bit, _ in set(inputs))
        self.inner = {
            bit for bit, count in readers.items()
            if count == 1 and read[bit] == {0} and bit[0] not in self.sums and self.inputs[bit]
        }  # fmt: skip
        self.inner -= {bit for bit, _ in map(module.source, module.bits(module.output))}
        self.absorbed: set[Bit] = set()
        self.leaves = {bit: self._leaves(bit) for bit in bits}

    def counts(self) -> dict[str, int]:
        """LUTs by kind, as `Cells` names them."""
        found = {one.name: 0 for one in fields(Cells) if one.name not in ("flip_flops", "shift_registers")}
        chains: dict[str, set[tuple[frozenset[tuple[Bit, int]], bool]]] = defaultdict(set)
        for bit, leaves in self.leaves.items():
            if bit[0] in self.sums:
                # Where signs are extended, the same LUT serves several places.
                chains[self.kinds[bit]].add((frozenset(self.inputs[bit]), " + " in self.module.values[bit[0]]))
            elif bit not in self.absorbed and len(leaves) > 1:
                if bit[0].endswith("]"):
                    found["table_luts"] += 1 << max(0, len(leaves) - INPUTS)
                else:
                    kind = "choice_luts" if self.module.chooses(bit) else "logic_luts"
                    found[kind] += -(-(len(leaves) - 1) // (INPUTS - 1))
        return found | {kind: len(places) for kind, places in chains.items() if kind in found}

    def _leaves(self, bit: Bit) -> set[tuple[Bit, int]]:
        """What the LUT of `bit` reads; marks what it takes in as absorbed."""
        leaves = set(self.inputs[bit])
        chain = bit[0] in self.sums
        if chain and self.kinds[bit] == "carry_bits":
            return leaves
        for source, delay in self.inputs[bit]:
            if delay or source not in self.inner:
                continue
            wider = leaves - {(source, delay)} | self._leaves(source)
            if len(wider) <= INPUTS:
                leaves = wider
                self.absorbed.add(source)
                if chain:
                    # The other operand goes to the carry chain as it is.
                    break
        return leaves

    def _kind(self, name: str, place: int) -> str:
        """What bit `place` of a sum is, by which of the operands are constant there."""
        ends = [self.module.source(operand[place])[0] for operand in self.module.addends(name)]
        constants = [one[1] for one in ends if not one[0]]
        if not constants:
            return "compared_bits" if COMPARED in self.module.values[name] else "sum_bits"
        if len(constants) == 2:
            return "constant"
        added = " + " in self.module.values[name]
        return "carry_bits" if constants[0] != added else "inverted_bits"
