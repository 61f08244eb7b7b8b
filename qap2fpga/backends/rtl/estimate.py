# SPDX-License-Identifier: Apache-2.0
"""What the rtl backend expects a network to cost, before and after its adders are known; the size gate."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.backends.rtl.circuit import Delays
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.board import Board
from qap2fpga.lower.forms import Constant, Form, Piecewise, Search, Table, Target
from qap2fpga.network import IntegerNetwork


@dataclass(frozen=True)
class Coefficients:
    def delays(self, family: str) -> Delays:
        return Delays(1.0, 1.3, 0.03, 1.0)

    def form(self, form: Form, target: Target) -> float:
        """LUTs of `form`."""
        if isinstance(form, Constant):
            return 0
        bits = max(-target.low, target.high).bit_length() + 1
        if isinstance(form, Table):
            out = max(1, max(form.results).bit_length())
            n = (len(form.results) - 1).bit_length()
            return out * max(1, 1.5 * 2.0 ** (n - 6))
        if isinstance(form, Search):
            return bits / 4 + sum(bits * 0.9 * max(1, 2 ** (k - 5)) for k in range(1, form.bits))
        assert isinstance(form, Piecewise)
        total = form.shift + form.out_bits
        cost = 0.0
        if any(form.offsets):
            cost += (total - form.dropped) * (2 if form.bits == 6 else 1)
        for sign, shift in form.terms[1:]:
            cost += min(bits, total)
        if form.below is not None:
            cost += compare(form.below, bits)
        if form.above is not None:
            cost += compare(form.above, bits)
        if form.below is not None or form.above is not None:
            cost += form.out_bits
        return cost


def compare(value: int, bits: int) -> float:
    zeros = (value & -value).bit_length() - 1 if value else bits - 1
    return max(0.2, (bits - zeros - 1) / 5)


def load() -> Coefficients:
    return Coefficients()


def gate(network: IntegerNetwork, board: Board, options: RtlOptions) -> None:
    return None
