# SPDX-License-Identifier: Apache-2.0
"""What synthesis will make of a netlist, counted bit by bit before any synthesis.

Four things make flip-flops fewer than declared bits: dead bits go; constants need none; a bit that is held
under two names is held once; and three and more registers in a row, not read in between, become one shift
register, which is a LUT (AMD UG474, "Shift Registers"). The same bits say how long carry chains are, and how many LUTs
of six inputs the tables and the logic between them take.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise

from qap2fpga.backends.rtl.netlist.bits import CONSTANT, Bit, Bits, Carry, adds
from qap2fpga.backends.rtl.netlist.cells import Compare, Netlist

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
def expected(netlist: Netlist) -> Cells:
    """Return what is left of the module. Boards may share one."""
    module = Bits(netlist)
    read: dict[Bit, set[int]] = defaultdict(set)
    for source, delay in module.read():
        read[source].add(delay)
    flip_flops = shift_registers = 0
    for (driver, _), delays in read.items():
        # The flip-flop after a choice of a constant takes the constant by its reset, so it cannot be shifted in.
        begin = 1 if any(delays) and module.chooses(driver) else 0
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

    def __init__(self, module: Bits, read: dict[Bit, set[int]]) -> None:
        self.module = module
        # How many bits of each carry chain are needed.
        chains: dict[Carry, int] = defaultdict(int)
        bits: list[Bit] = []
        for bit in read:
            cell = module.carry(bit[0])
            if cell is None:
                bits.append(bit)
            else:
                wide = len(module.addends[cell][0]) if isinstance(cell, Compare) else bit[1] + 1
                chains[cell] = max(chains[cell], wide)
        self.kinds: dict[Bit, str] = {}
        for cell, top in chains.items():
            places: list[Bit] = [(module.number[cell.out.net], place) for place in range(module.passed_by[cell], top)]
            self.kinds |= {bit: self._kind(cell, bit[1]) for bit in places}
        bits += self.kinds
        self.inputs = {bit: module.inputs(bit) for bit in bits}
        # A bit with a register after it, or with two readers, is a LUT's or a chain's output.
        readers = Counter(bit for inputs in self.inputs.values() for bit, _ in set(inputs))
        self.inner = {
            bit for bit, count in readers.items()
            if count == 1 and read[bit] == {0} and not module.carry(bit[0]) and self.inputs[bit]
        }  # fmt: skip
        self.inner -= {bit for bit, _ in module.output()}
        self.absorbed: set[Bit] = set()
        self.leaves = {bit: self._leaves(bit) for bit in bits}

    def counts(self) -> dict[str, int]:
        """Return LUTs by kind, as `Cells` names them."""
        total = {one.name: 0 for one in fields(Cells) if one.name not in ("flip_flops", "shift_registers")}
        chains: dict[str, set[tuple[frozenset[tuple[Bit, int]], bool]]] = defaultdict(set)
        for bit, leaves in self.leaves.items():
            number = bit[0]
            cell = self.module.carry(number)
            if cell:
                # Where signs are extended, the same LUT serves several places.
                chains[self.kinds[bit]].add((frozenset(self.inputs[bit]), adds(cell)))
            elif bit not in self.absorbed and len(leaves) > 1:
                if self.module.column(number):
                    total["table_luts"] += 1 << max(0, len(leaves) - INPUTS)
                else:
                    kind = "choice_luts" if self.module.chooses(number) else "logic_luts"
                    total[kind] += -(-(len(leaves) - 1) // (INPUTS - 1))
        return total | {kind: len(places) for kind, places in chains.items() if kind in total}

    def _leaves(self, bit: Bit) -> set[tuple[Bit, int]]:
        """Return what the LUT of `bit` reads; mark what it takes in as absorbed."""
        leaves = set(self.inputs[bit])
        kind = self.kinds.get(bit)
        if kind == "carry_bits":
            return leaves
        for source, delay in self.inputs[bit]:
            if delay or source not in self.inner:
                continue
            wider = leaves - {(source, delay)} | self._leaves(source)
            if len(wider) <= INPUTS:
                leaves = wider
                self.absorbed.add(source)
                if kind:
                    # The other operand goes to the carry chain as it is.
                    break
        return leaves

    def _kind(self, cell: Carry, place: int) -> str:
        """Return what bit `place` of a carry chain is, by which of the operands are constant there."""
        ends = [self.module.source(operand[place])[0] for operand in self.module.addends[cell]]
        constants = [value for number, value in ends if number == CONSTANT]
        if not constants:
            return "compared_bits" if isinstance(cell, Compare) else "sum_bits"
        if len(constants) == 2:
            return "constant"
        return "carry_bits" if constants[0] != adds(cell) else "inverted_bits"
