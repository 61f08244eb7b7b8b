# SPDX-License-Identifier: Apache-2.0
"""Exact comparison of what an engine computed with what the network says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.system.errors import CheckFailed


@dataclass(frozen=True)
class Difference:
    """The first value that differs: `vector` and `channel` count from 0."""

    vector: int
    channel: int
    found: int
    expected: int

    def __str__(self) -> str:
        return f"vector {self.vector}, channel {self.channel}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class Comparison:
    """`mismatches` is the number of vectors of which at least one channel differs."""

    vectors: int
    mismatches: int
    first: Difference | None


class Mismatch(CheckFailed):
    """An engine computed other integers; `comparison` says which of its outputs."""

    def __init__(self, what: str, comparison: Comparison, hint: str = "") -> None:
        super().__init__(what, hint)
        self.comparison = comparison

    def with_reason(self, reason: str | None) -> Mismatch:
        """Return the same mismatch with what is known of its cause."""
        return self if reason is None else Mismatch(f"{self.message}; {reason}", self.comparison, self.hint)


def compare(outputs: np.ndarray, expected: np.ndarray) -> Comparison:
    """Compare integers (n, channels) with integers (n, channels). Raises `ValueError` when the shapes differ."""
    if outputs.shape != expected.shape:
        raise ValueError(f"found has shape {outputs.shape}, expected {expected.shape}")
    wrong = outputs != expected
    rows = np.flatnonzero(wrong.any(axis=1))
    if not len(rows):
        return Comparison(len(expected), 0, None)
    vector = int(rows[0])
    channel = int(np.flatnonzero(wrong[vector])[0])
    first = Difference(vector, channel, int(outputs[vector, channel]), int(expected[vector, channel]))
    return Comparison(len(expected), len(rows), first)


def require_equal(engine: str, outputs: np.ndarray, expected: np.ndarray, hint: str = "") -> Comparison:
    """`compare`, and raise `Mismatch` that names `engine` and the first difference if there is any."""
    result = compare(outputs, expected)
    if result.first is not None:
        what = f"{engine}: {result.mismatches} of {result.vectors} vectors differ; first {result.first}"
        raise Mismatch(what, result, hint)
    return result
