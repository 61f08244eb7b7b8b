# SPDX-License-Identifier: Apache-2.0
"""What a channel's form costs, to choose between them: LUTs of six inputs, roughly.

Yosys' figures for the same arithmetic in Verilog, since an HLS tool's are not known here: a comparison with a chosen
constant, or an adder, is one LUT a bit; a comparison with a fixed constant a fifth of one a bit that counts.
"""

from __future__ import annotations

from qap2fpga.lower.forms import Constant, Form, Piecewise, Search, Table, Target
from qap2fpga.network import width


def luts(form: Form, target: Target) -> float:
    """LUTs of `form` as the restatement of `target`."""
    if isinstance(form, Constant):
        return 0
    bits = width(target.low, target.high)
    if isinstance(form, Table):
        return max(form.results).bit_length() * max(1.0, 1.5 * 2.0 ** (width(0, len(form.results) - 1) - 6))
    if isinstance(form, Search):
        # The constants of the last comparisons are functions of more bits than one LUT takes.
        return bits / 4 + sum(0.9 * bits * max(1, 1 << max(0, known - 5)) for known in range(1, form.bits))
    return _piecewise(form, bits)


def _piecewise(form: Piecewise, bits: int) -> float:
    total = form.shift + form.out_bits
    cost = float(sum(min(bits, total) for _ in form.terms[1:]))
    if any(form.offsets):
        cost += (total - form.dropped) * (2 if form.bits >= 6 else 1)
    limits = [value for value in (form.below, form.above) if value is not None]
    cost += sum(max(0.2, (bits - _zeros(value, bits) - 1) / 5) for value in limits)
    return cost + (form.out_bits if limits else 0)


def _zeros(value: int, bits: int) -> int:
    return (value & -value).bit_length() - 1 if value else bits
