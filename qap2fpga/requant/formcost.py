# SPDX-License-Identifier: Apache-2.0
"""What a channel's form costs in LUTs, to choose between forms: features, and coefficients fitted to Yosys.

The coefficients are those of our own Verilog (`flows/open/formcost.yaml`). For an HLS tool's hardware, whose figures
are not known here, the same arithmetic is taken to cost the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml

from qap2fpga.exact.integers import width
from qap2fpga.requant.forms import Constant, Form, Piecewise, Search, Table, Target
from qap2fpga.system.files import shipped


@dataclass(frozen=True)
class FormCost:
    """`coefficients`: kind of form -> feature -> LUTs a unit."""

    coefficients: dict[str, dict[str, float]]

    def luts(self, form: Form, target: Target) -> float:
        """LUTs of `form` as the restatement of `target`; fits the `Cost` of `lower.requantize`."""
        kind = type(form).__name__.lower()
        return sum(self.coefficients[kind][name] * value for name, value in features(form, target).items())


@lru_cache(maxsize=1)
def load() -> FormCost:
    """The shipped coefficients."""
    return FormCost(yaml.safe_load((shipped("flows") / "open" / "formcost.yaml").read_text())["coefficients"])


def features(form: Form, target: Target) -> dict[str, float]:
    """What the cost of `form` depends on; a constant has no cost."""
    bits = width(min(target.low, -1), target.high)
    if isinstance(form, Constant):
        return {}
    if isinstance(form, Table):
        return {"functions": _functions(len(form.results), width(min(form.results), max(form.results)))}
    if isinstance(form, Search):
        later = [bits * max(1.0, 2.0 ** (known - 5)) for known in range(1, form.bits)]
        return {"first_bits": bits, "compare_bits": sum(later)}
    return _piecewise(form, bits)


def _piecewise(form: Piecewise, bits: int) -> dict[str, float]:
    total = form.shift + form.out_bits
    offset = total - form.dropped if any(form.offsets) else 0
    wide = form.shift - form.dropped if form.bits == 6 else 0
    lift = max(0, *(shift for _, shift in form.terms))
    term = max(0, min(bits + form.terms[0][1], total) - lift) * (len(form.terms) - 1)
    ends = [end for end in (form.below, form.above) if end is not None]
    limits = form.out_bits + sum(_comparison(end, bits) for end in ends) if ends else 0.0
    return {"offset_bits": offset, "wide_bits": wide, "term_bits": term, "limits": limits}


def _functions(entries: int, bits: int) -> float:
    inputs = (entries - 1).bit_length()
    # A 7-input function is two 6-input LUTs and what chooses between them.
    return bits * (1.0 if inputs <= 6 else 3.0 * 2 ** (inputs - 7))


def _comparison(constant: int, bits: int) -> float:
    """LUTs of a comparison with a constant: its trailing zeros take no part."""
    zeros = (constant & -constant).bit_length() - 1 if constant else bits - 1
    return max(0.2, (bits - zeros - 1) / 5)
