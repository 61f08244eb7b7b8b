# SPDX-License-Identifier: Apache-2.0
"""Names of integer types compared with qonnx's own, and ranges."""

from __future__ import annotations

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from qap2fpga.frontend.dialects import datatypes

NAMES = ["BINARY", "BIPOLAR", "TERNARY", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (2, 3, 8, 16, 32, 33))]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_what_it_means_to_qonnx(name: str) -> None:
    mine, theirs = datatypes.parse(name), DataType[name]
    assert mine is not None
    assert (mine.bits, mine.low, mine.high) == (theirs.bitwidth(), theirs.min(), theirs.max())
    assert mine.signed == theirs.signed()
    some = np.array([-3, -2, -1, 0, 0.5, 1, 2, 3, 127, 128, 255, 256])
    assert [mine.holds(np.array([value])) for value in some] == list(theirs.allowed(some))


@pytest.mark.parametrize(
    "name", ["", "FLOAT32", "INT1", "INT0", "UINT65", "INT-3", "INT8 ", "FIXED<4,2>", "SCALEDINT<8>"]
)
def test_another_name_is_no_integer_type(name: str) -> None:
    assert datatypes.parse(name) is None


@pytest.mark.parametrize(
    ("low", "high", "bits", "narrow"),
    [(-8, 7, 4, False), (-7, 7, 4, True), (-1, 1, 2, True), (0, 1, 1, False), (0, 14, 4, True), (0, 15, 4, False)],
)
def test_the_type_of_a_range(low: int, high: int, bits: int, narrow: bool) -> None:
    kind = datatypes.of_range(low, high)
    assert kind is not None
    assert (kind.bits, kind.narrow, kind.signed) == (bits, narrow, low < 0)


@pytest.mark.parametrize(("low", "high"), [(-8, 6), (-6, 6), (0, 13), (0, 0), (-1, 0), (1, 4), (-3, 4)])
def test_a_range_of_no_type(low: int, high: int) -> None:
    assert datatypes.of_range(low, high) is None


def test_what_is_not_finite_is_no_integer() -> None:
    assert not datatypes.unsigned(4).holds(np.array([1.0, np.nan]))
