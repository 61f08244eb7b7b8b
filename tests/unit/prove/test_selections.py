# SPDX-License-Identifier: Apache-2.0
"""Cells that choose among values, over all inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qap2fpga.prove.algebra import Known
from qap2fpga.prove.cells import UNDRIVEN, NotProven, Part
from qap2fpga.prove.selections import selections

FOUR: tuple[int, ...] = (1, 0, 0, 1, 1, 1, 0, 0)
KINDS: dict[str, tuple[dict[str, tuple[int, ...]], Callable[[int], int]]] = {
    "$shiftx": ({"A": (1, 0, 0, 1, 1, 1, 0, 1), "B": (10, 11, 12), "Y": (20,)}, lambda a: 0b10111001 >> a & 1),
    "$shr": ({"A": (1, 0, 1), "B": (10, 11, 12), "Y": (20, 21)}, lambda a: 0b101 >> a & 3),
    "$shl": ({"A": (1, 1), "B": (10, 11, 12), "Y": (20, 21)}, lambda a: 3 << a & 3),
    "$sshl": ({"A": (1, 0, 1), "B": (10, 11), "Y": (20, 21)}, lambda a: 5 << (a & 3) & 3),
    "$sshr": ({"A": (1, 0, 1), "B": (10, 11, 12), "Y": (20, 21)}, lambda a: 5 >> a & 3),
    "$bmux": ({"A": FOUR, "S": (10, 11), "Y": (20, 21)}, lambda a: (1, 2, 3, 0)[a & 3]),
    "$pmux": ({"A": (1, 1), "B": (0, 0, 1, 0, 0, 1), "S": (10, 11, 12), "Y": (20, 21)},
              lambda a: (3, 0, 1, 0, 2, 0, 1, 0)[a]),
}  # fmt: skip


def value(parts: list[Part], inputs: int) -> int:
    """Return the number at the nets 20 and 21 where the nets 10 to 12 are the bits of `inputs`."""
    bits: dict[int, int | None] = {0: 0, 1: 1, **{10 + place: inputs >> place & 1 for place in range(3)}}
    for part in parts:
        assert part.fits
        operands = [[bits[bit] for bit in operand] for operand in part.operands]
        bits.update(zip(part.driven, part.evaluate(Known(), operands), strict=True))
    return sum((bits.get(20 + place) or 0) << place for place in range(2))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_over_all_inputs(kind: str) -> None:
    ports, function = KINDS[kind]
    parts = list(selections("cell", kind, {}, ports))
    assert [value(parts, inputs) for inputs in range(8)] == [function(inputs) for inputs in range(8)]


@pytest.mark.parametrize(("kind", "parameters", "ports", "error"), [
    ("$shiftx", {"A_SIGNED": "1"}, {"A": (10, 0), "B": (11,), "Y": (20,)}, NotProven),
    ("$shift", {}, {"A": (1, 0, 0), "B": tuple(range(10, 23)), "Y": (20,)}, NotProven),
    ("$bmux", {}, {"A": FOUR, "S": (10,), "Y": (20, 21)}, ValueError),
    ("$shl", {"B_SIGNED": "1"}, {"A": (1,), "B": (10, 11), "Y": (20,)}, NotProven),
    ("$pmux", {}, {"A": (1,), "B": (0,), "S": (10, 11), "Y": (20,)}, ValueError),
])  # fmt: skip
def test_what_does_not_fit_is_refused(
    kind: str, parameters: dict[str, str], ports: dict[str, tuple[int, ...]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(selections("cell", kind, parameters, ports))


def test_a_number_is_shifted_by_a_constant() -> None:
    (shift,) = selections("c", "$shr", {}, {"A": (10, 11, 12), "B": (1, 0), "Y": (20, 21, 22)})
    assert (shift.kind, shift.operands) == ("same", ((11, 12, 0),))
    (signed,) = selections("c", "$shr", {"A_SIGNED": "1"}, {"A": (10, 11), "B": (1,), "Y": (20, 21, 22)})
    assert signed.operands == ((11, 11, 0),)
    (left,) = selections(
        "c", "$sshl", {"A_SIGNED": "1", "B_SIGNED": "1"}, {"A": (10, 11), "B": (1, 0), "Y": (20, 21, 22)}
    )
    assert left.operands == ((0, 10, 11),)
    (far,) = selections("c", "$shl", {}, {"A": (10, 11), "B": (0,) * 31 + (1,), "Y": (20, 21)})
    assert far.operands == ((0, 0),)


def test_a_sign_is_shifted_in_where_the_number_has_one() -> None:
    (signed,) = selections("c", "$sshr", {"A_SIGNED": "1"}, {"A": (10, 11), "B": (1, 0), "Y": (20, 21, 22)})
    assert signed.operands == ((11, 11, 11),)
    (unsigned,) = selections("c", "$sshr", {}, {"A": (10, 11), "B": (1, 0), "Y": (20, 21)})
    assert unsigned.operands == ((11, 0),)


def test_a_vector_is_shifted_by_an_index_that_may_be_negative() -> None:
    (one, two, three) = selections("c", "$shift", {"B_SIGNED": "1"}, {"A": (10, 11), "B": (12, 13), "Y": (20, 21, 22)})
    entries = [part.operands[1] for part in (one, two, three)]
    assert entries == [(10, 11, 0, 0), (11, 0, 0, 10), (0, 0, 10, 11)]
    picked = [one.evaluate(Known(), [[place & 1, place >> 1], [5, 6, 0, 0]]) for place in range(4)]
    assert picked == [[5], [6], [0], [0]]
    (outside,) = selections("c", "$shiftx", {}, {"A": (10,), "B": (12,), "Y": (20,)})
    assert outside.operands[1] == (10, UNDRIVEN)
