# SPDX-License-Identifier: Apache-2.0
"""What a channel's implementation costs in LUTs, to choose between them: features, and coefficients fitted to Yosys.

The coefficients are those of our own Verilog (`flows/open/requantizers.yaml`). For an HLS tool's hardware, whose
figures are not known here, the same arithmetic is taken to cost the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml

from qap2fpga.exact.integers import width
from qap2fpga.requant.implementations import Constant, Implementation, Piecewise, Search, Table, Target
from qap2fpga.system.files import shipped


@dataclass(frozen=True)
class Prices:
    """`coefficients`: kind of implementation -> feature -> LUTs a unit."""

    coefficients: dict[str, dict[str, float]]

    def luts(self, implementation: Implementation, target: Target) -> float:
        """LUTs of `implementation` as the restatement of `target`; fits the `Cost` of `lower.requantize`."""
        kind = type(implementation).__name__.lower()
        return sum(self.coefficients[kind][name] * value for name, value in features(implementation, target).items())


@lru_cache(maxsize=1)
def load() -> Prices:
    """The shipped coefficients."""
    return Prices(yaml.safe_load((shipped("flows") / "open" / "requantizers.yaml").read_text())["coefficients"])


def features(implementation: Implementation, target: Target) -> dict[str, float]:
    """What the cost of `implementation` depends on; a constant has no cost."""
    bits = width(min(target.low, -1), target.high)
    if isinstance(implementation, Constant):
        return {}
    if isinstance(implementation, Table):
        return {
            "functions": _functions(
                len(implementation.results), width(min(implementation.results), max(implementation.results))
            )
        }
    if isinstance(implementation, Search):
        later = [bits * max(1.0, 2.0 ** (known - 5)) for known in range(1, implementation.bits)]
        return {"first_bits": bits, "compare_bits": sum(later)}
    return _piecewise(implementation, bits)


def _piecewise(implementation: Piecewise, bits: int) -> dict[str, float]:
    total = implementation.shift + implementation.out_bits
    offset = total - implementation.dropped if any(implementation.offsets) else 0
    wide = implementation.shift - implementation.dropped if implementation.bits == 6 else 0
    lift = max(0, *(shift for _, shift in implementation.terms))
    term = max(0, min(bits + implementation.terms[0][1], total) - lift) * (len(implementation.terms) - 1)
    ends = [end for end in (implementation.below, implementation.above) if end is not None]
    limits = implementation.out_bits + sum(_comparison(end, bits) for end in ends) if ends else 0.0
    return {"offset_bits": offset, "wide_bits": wide, "term_bits": term, "limits": limits}


def _functions(entries: int, bits: int) -> float:
    inputs = (entries - 1).bit_length()
    # A 7-input function is two 6-input LUTs and what chooses between them.
    return bits * (1.0 if inputs <= 6 else 3.0 * 2 ** (inputs - 7))


def _comparison(constant: int, bits: int) -> float:
    """LUTs of a comparison with a constant: its trailing zeros take no part."""
    zeros = (constant & -constant).bit_length() - 1 if constant else bits - 1
    return max(0.2, (bits - zeros - 1) / 5)
