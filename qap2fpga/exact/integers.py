# SPDX-License-Identifier: Apache-2.0
"""Integer arithmetic of arrays that never wraps: whoever claims to be exact multiplies, sums and shifts with this.

Every function bounds its result and all that is computed on the way before it starts. A matrix product below 2**24 is
taken in float32 and one below 2**53 in float64, fast and exact there; anything below 2**63 in int64; the rest in
Python's integers. Results are int64 arrays. One that does not fit is refused by the `name` of what it is of, never cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qap2fpga.system.errors import QapError

# Below these every integer is exact in float32 and float64, and fits in int64.
FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
INT64_LIMIT = 1 << 63
# What numpy makes of a longer shift of an int64 is not defined; this one leaves the sign alone.
LONGEST_SHIFT = 63

Terms = Sequence[tuple[int, int]]


def width(low: int, high: int) -> int:
    """Bits of the smallest integer type that holds `low..high`: unsigned if `low >= 0`, else two's complement."""
    if low >= 0:
        return max(1, high.bit_length())
    return max((-low - 1).bit_length(), max(high, 0).bit_length()) + 1


def signed_widths(values: np.ndarray) -> np.ndarray:
    """Return the bits of the smallest two's complement that holds each of integer `values`."""
    return np.array([width(min(int(value), -1), max(int(value), 0)) for value in values.flat]).reshape(values.shape)


def magnitude(values: np.ndarray) -> int:
    """Return the largest absolute value of integer `values`; 0 where there are none."""
    if values.size == 0:
        return 0
    return max(abs(int(values.min())), abs(int(values.max())))


def array(values: Sequence[int], name: str) -> np.ndarray:
    """Return the Python integers `values` as an int64 array."""
    return _narrow(np.array(values, object), name)


def for_products(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return integer `values` in the type in which their products with columns of `weights` add up fastest, exactly.

    `matmul` and `weighted_sums` take floats as being of that kind: who reads a value many times converts it once.
    """
    bound = magnitude(values) * _largest_column(weights)
    kinds = ((FLOAT32_EXACT, np.float32), (FLOAT64_EXACT, np.float64), (INT64_LIMIT, np.int64))
    kind = next((kind for limit, kind in kinds if bound < limit), object)
    return np.asarray(values.astype(kind, copy=False))


def matmul(left: np.ndarray, right: np.ndarray, name: str) -> np.ndarray:
    """`left @ right` of integers (n, inputs) or (inputs,), and (inputs, outputs)."""
    operand = left if left.dtype.kind == "f" else for_products(left, right)
    product = np.asarray(operand @ right.astype(operand.dtype))
    return _narrow(product, name) if product.dtype == object else product.astype(np.int64)


def matmul_range(low: np.ndarray, high: np.ndarray, weights: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sum (outputs,) of `x @ weights` (inputs, outputs) when x[i] lies in `low[i]..high[i]`."""
    signed = np.concatenate([np.maximum(weights, 0), np.minimum(weights, 0)])
    return (
        matmul(np.concatenate([low, high]), signed, name),
        matmul(np.concatenate([high, low]), signed, name),
    )


def weighted_sums(taps: Sequence[np.ndarray], weights: np.ndarray, name: str) -> np.ndarray:
    """The sums (..., channels) of the `taps` (..., channels), each times its row of `weights` (taps, channels)."""
    operands = taps if taps[0].dtype.kind == "f" else for_products(np.stack(taps), weights)
    rows = weights.astype(operands[0].dtype)
    total = operands[0] * rows[0]
    for tap, row in zip(operands[1:], rows[1:], strict=True):
        total += tap * row
    return _narrow(total, name) if total.dtype == object else np.asarray(total.astype(np.int64))


def multiply_add(
    values: np.ndarray, factor: np.ndarray | int, addend: np.ndarray | int, name: str, shift: int = 0
) -> np.ndarray:
    """`(values * factor + addend) >> shift`, element by element, as numpy broadcasts; the shift is arithmetic."""
    operands = [_integers(one) for one in (values, factor, addend)]
    sizes = [magnitude(one) for one in operands]
    if max(sizes[0] * sizes[1] + sizes[2], *sizes) < INT64_LIMIT:
        x, a, b = (one.astype(np.int64, copy=False) for one in operands)
        return np.asarray((x * a + b) >> min(shift, LONGEST_SHIFT))
    wide, factors, addends = (one.astype(object) for one in operands)
    return _narrow((wide * factors + addends) >> shift, name)


def quotients(values: np.ndarray, factor: int, addend: int, divisor: int, name: str) -> np.ndarray:
    """`(values * factor + addend) // divisor`, element by element, rounded down."""
    if magnitude(values) * abs(factor) + abs(addend) < INT64_LIMIT and abs(divisor) < INT64_LIMIT:
        return np.asarray((values.astype(np.int64) * factor + addend) // divisor)
    return _narrow((values.astype(object) * factor + addend) // divisor, name)


def shifted(values: np.ndarray, shift: int, name: str) -> np.ndarray:
    """`values << shift`; to the right, dropping bits, where `shift` is negative."""
    if 0 <= shift < LONGEST_SHIFT and magnitude(values) << shift < INT64_LIMIT:
        return np.asarray(values.astype(np.int64, copy=False) << shift)
    return multiply_add(values, 1 << max(shift, 0), 0, name, max(-shift, 0))


def terms(parts: Terms, values: np.ndarray, name: str, addend: np.ndarray | int = 0, shift: int = 0) -> np.ndarray:
    """`(addend + sum of sign * (values << left)) >> shift` over the `parts` (sign, left); a negative left is a shift
    to the right that drops bits.
    """
    addends, size = _integers(addend), magnitude(values)
    bound = magnitude(addends) + sum((size << max(left, 0)) + 1 for _, left in parts)
    wide = bound >= INT64_LIMIT
    kind = np.dtype(object if wide else np.int64)
    x = values.astype(kind, copy=False)
    total: np.ndarray = np.zeros(x.shape, kind) + addends.astype(kind, copy=False)
    for sign, left in parts:
        moved = x << left if left >= 0 else x >> min(-left, LONGEST_SHIFT)
        total = total + moved if sign > 0 else total - moved
    if wide:
        return _narrow(total >> shift, name)
    return np.asarray(total >> min(shift, LONGEST_SHIFT))


def terms_of_each(parts: Sequence[Terms], values: np.ndarray, name: str, addends: np.ndarray) -> np.ndarray:
    """Return what `terms` gives of `values` (n,) for each of several `parts` with its row of `addends` (parts, n)."""
    lefts = np.zeros((len(parts), max(map(len, parts), default=0), 1), np.int64)
    signs = np.zeros_like(lefts)
    for row, one in enumerate(parts):
        for place, (sign, left) in enumerate(one):
            signs[row, place], lefts[row, place] = sign, left
    size = magnitude(values)
    bound = magnitude(addends) + sum((size << max(int(column.max()), 0)) + 1 for column in lefts.swapaxes(0, 1))
    if bound >= INT64_LIMIT or addends.dtype == object:
        return np.array([terms(one, values, name, row) for one, row in zip(parts, addends, strict=True)])
    total = addends.astype(np.int64)
    for factors, shifts in zip(signs.swapaxes(0, 1), lefts.swapaxes(0, 1), strict=True):
        total += factors * (values << np.maximum(shifts, 0) >> np.clip(-shifts, 0, LONGEST_SHIFT))
    return total


def coefficients(inputs: int, sums: Sequence[tuple[tuple[int, int], tuple[int, int]]], name: str) -> np.ndarray:
    """Return the coefficients (nodes, inputs) of inputs, and of `sums` of two nodes before them, each (node, factor).

    The inputs are the first nodes.
    """
    bounds = [1] * inputs
    for (left, one), (right, other) in sums:
        bounds.append(abs(one) * bounds[left] + abs(other) * bounds[right])
    wide = max(bounds) >= INT64_LIMIT
    rows = np.zeros((len(bounds), inputs), object if wide else np.int64)
    np.fill_diagonal(rows, 1)
    for node, ((left, one), (right, other)) in enumerate(sums, start=inputs):
        rows[node] = rows[left] * one + rows[right] * other
    return _narrow(rows, name) if wide else rows


def column_sums(values: np.ndarray, name: str) -> np.ndarray:
    """Return the sum (columns,) of each column of `values` (rows, columns)."""
    if len(values) * magnitude(values) < INT64_LIMIT:
        return np.asarray(values.sum(axis=0, dtype=np.int64))
    return _narrow(values.astype(object).sum(axis=0), name)


def _largest_column(values: np.ndarray) -> int:
    """The largest sum of absolute values of a column of `values` (rows, columns)."""
    if len(values) * magnitude(values) < INT64_LIMIT:
        return int(np.abs(values).sum(axis=0, dtype=np.int64).max(initial=0))
    return max(sum(abs(int(value)) for value in column) for column in values.T)


def _integers(values: np.ndarray | int) -> np.ndarray:
    """An array of `values`: int64 where they fit, else Python's integers."""
    if isinstance(values, np.ndarray):
        return values
    return np.array(values, np.int64 if -INT64_LIMIT <= values < INT64_LIMIT else object)


def _narrow(values: np.ndarray, name: str) -> np.ndarray:
    """Python integers `values` as int64; refused where one does not fit."""
    if values.size:
        low, high = int(values.min()), int(values.max())
        if low < -INT64_LIMIT or high >= INT64_LIMIT:
            raise QapError(
                f"{name}: integers of {width(low, high)} bits are too wide; 64 bits is the most",
                "use fewer bits for weights or activations, or scales that are less far apart",
            )
    return values.astype(np.int64)
