# SPDX-License-Identifier: Apache-2.0
"""Bit operations (BOPs) of one frame, per node or summed, in the variants that are in use.

For a dense layer of n inputs, m outputs, weights of b_w and inputs of b_a bits, Hawks et al. 2021, "Ps and Qs",
equation 1 (after Baskin et al. 2018): `m n ((1 - f_p) b_a b_w + b_a + b_w + log2 n)`, f_p the fraction pruned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

PAPER_CODE_INPUT_BITS = 32


@dataclass(frozen=True)
class Bops:
    """BOPs of one node, or summed.

    - `paper`: equation 1, pruned weights counted after integer rounding, the real input width.
    - `paper_code`: what the paper's own code computes: 32-bit inputs to the first layer, and the fraction
      pruned over weights and biases together, of the stored floats.
    - `paper_code_rounded`: 32-bit inputs too, but the fraction pruned over weights alone, after integer rounding.
    - `nonzero_products`: sum of b_a b_w over the non-zero weights, as `qonnx.util.inference_cost` gives it
      with `discount_sparsity=True`.
    """

    paper: float = 0.0
    paper_code: float = 0.0
    paper_code_rounded: float = 0.0
    nonzero_products: int = 0

    def __add__(self, other: Bops) -> Bops:
        return Bops(
            self.paper + other.paper,
            self.paper_code + other.paper_code,
            self.paper_code_rounded + other.paper_code_rounded,
            self.nonzero_products + other.nonzero_products,
        )

    def __rmul__(self, positions: int) -> Bops:
        """Return those of as many positions."""
        return Bops(
            positions * self.paper,
            positions * self.paper_code,
            positions * self.paper_code_rounded,
            positions * self.nonzero_products,
        )


@dataclass(frozen=True)
class Sizes:
    """The bits of each weight of a layer, and of what it takes, both in the weights' shape, where they differ."""

    inputs: np.ndarray
    weights: np.ndarray

    def means(self, weights: np.ndarray) -> tuple[float, float]:
        """Return (input bits, weight bits) of one product of a `weights` (inputs, outputs) that is not 0: the mean of
        the inputs' bits, and what makes the sum over all such products exact.
        """
        kept = weights != 0
        products = int((self.inputs * np.where(kept, self.weights, 0)).sum())
        bits = float(self.inputs.mean())
        return bits, products / (bits * max(int(kept.sum()), 1))


def equation(inputs: int, outputs: int, density: float, input_bits: float, weight_bits: float) -> float:
    """Return equation 1 with `density` = 1 - f_p."""
    per_weight = density * input_bits * weight_bits + input_bits + weight_bits + math.log2(inputs)
    return outputs * inputs * per_weight


def of_counts(
    inputs: int,
    outputs: int,
    nonzero: int,
    stored_density: float | None,
    *,
    weight_bits: float,
    input_bits: float,
    first: bool,
) -> Bops:
    """Return the BOPs of a dense layer of which `nonzero` integer weights are not 0.

    `stored_density` is the share of the stored floats, weights and biases together, that are not 0, and None where
    it is that of the integers; `first` says whether it is the network's first layer.
    """
    code_bits = PAPER_CODE_INPUT_BITS if first else input_bits
    density = nonzero / (inputs * outputs)
    stored = density if stored_density is None else stored_density
    return Bops(
        paper=equation(inputs, outputs, density, input_bits, weight_bits),
        paper_code=equation(inputs, outputs, stored, code_bits, weight_bits),
        paper_code_rounded=equation(inputs, outputs, density, code_bits, weight_bits),
        nonzero_products=round(nonzero * input_bits * weight_bits),
    )


def total(nodes: Iterable[Bops]) -> Bops:
    """Return the sum over nodes."""
    return sum(nodes, start=Bops())
