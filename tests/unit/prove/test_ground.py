# SPDX-License-Identifier: Apache-2.0
"""Logic seen from results in it: what hints say of these never becomes what is proven."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.ir.functions import Step
from qap2fpga.prove import located
from qap2fpga.prove.cells import NotProven, Part
from qap2fpga.prove.ground import Ground, Result, hidden
from qap2fpga.prove.linear import Value
from qap2fpga.prove.located import Sums, locate
from qap2fpga.prove.signatures import Guess

VALUES = (Value((10, 11, 12), True, -4, 3), Value((13, 14, 15), True, -4, 3))
# The sum of both, and what is at least 2 of it: 21 + 22 where it has no sign, made twice.
PARTS = [
    Part("sum", "sum", ((10, 11, 12, 12), (13, 14, 15, 15)), (20, 21, 22, 23)),
    Part("plus", "not", ((23,),), (30,)),
    Part("any", "any", ((21, 22),), (31,)),
    Part("result", "and", ((30,), (31,)), (32,)),
    Part("none", "not", ((32,),), (33,)),
    Part("read", "xor", ((33,), (10,)), (34,)),
]
SUMS = Sums("fc", VALUES, np.array([[1], [1]]), np.zeros(1, np.int64), Step(np.array([[2]])), ("0",), {})


def located_in(parts: list[Part], monkeypatch: pytest.MonkeyPatch, guess: Guess | None = None) -> Result:
    if guess is not None:
        monkeypatch.setattr(located, "guesses", lambda *given: [guess])
    ((result,), _) = locate(Ground(parts, []), SUMS, [], (32,))
    return result


def test_a_result_is_located(monkeypatch: pytest.MonkeyPatch) -> None:
    result = located_in(PARTS, monkeypatch)
    assert result.missing is None and result.value.bits == (32,) and (result.value.low, result.value.high) == (0, 1)


@pytest.mark.parametrize("guess", [
    Guess(((31, False),), False), Guess(((30, False),), False), Guess(((32, True),), False),
    Guess(((33, False),), False), Guess(((10, False),), False), Guess(((0, False),), False),
    Guess(((32, False),), True), Guess(((32, False),), False, 1), Guess(((32, False), (31, False)), False),
])  # fmt: skip
def test_a_wrong_hint_proves_nothing(guess: Guess, monkeypatch: pytest.MonkeyPatch) -> None:
    result = located_in(PARTS, monkeypatch, guess)
    assert result.missing is not None and str(result.missing).startswith("layer fc, channel 0: ")
    # It is any integer of its range, on bits that nothing reads.
    assert (result.value.low, result.value.high) == (0, 1) and min(result.value.bits) > 1 << 50


def test_a_hint_that_an_inverse_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    guess = Guess(((33, True),), False)
    monkeypatch.setattr(located, "guesses", lambda *given: [guess])
    ground = Ground(PARTS, [])
    ((result,), _) = locate(ground, SUMS, [], (34,))
    assert result.missing is None and result.value.bits[0] > 1 << 50
    # What reads the wire reads the result now, and what reads others is not reached.
    assert (ground.derived[33].kind, ground.derived[33].operands) == ("not", (result.value.bits,))
    assert {33, 32} <= ground.reached([result.value], []) and 34 not in ground.reached([result.value], [])


def test_a_proof_ends_when_its_time_is_over() -> None:
    with pytest.raises(NotProven, match="layer fc, channel 0: no answer in the time"):
        locate(Ground(PARTS, [], until=0.0), SUMS, [], (32,))


def test_a_result_on_one_wire_is_a_sum_of_its_bits() -> None:
    value = Value((7, 8, 7, 1), True, -3, 5)
    assert Result(value, 2, 3).split() == (2 - 24, [(15, Value((7,), False, 0, 1)), (6, Value((8,), False, 0, 1))])
    plain = Value((7, 8, 1), False, 4, 7)
    assert Result(plain, 2, 3).split() == (2, [(3, plain)])


def test_integers_on_no_wires_are_told_apart() -> None:
    ground = Ground([], [])
    first, second, other = ground.hide(-3, 3), ground.hide(0, 9), hidden(1 << 40, 0, 1)
    assert len({*first.bits, *second.bits, *other.bits}) == 3 + 4 + 1
    assert (first.signed, second.signed, second.high) == (True, False, 9)
