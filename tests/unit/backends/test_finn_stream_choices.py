# SPDX-License-Identifier: Apache-2.0
"""Which foldings are worth a closer look."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.backends.finn.stream.choices import Choice, promising
from qap2fpga.backends.finn.stream.draw import Lanes


def choice(pe: int, cycles: int, lut: float, dsp: float = 0.0) -> Choice:
    """A folding of `pe` lanes with these parts of a board."""
    return Choice(Lanes(pe=pe), cycles, np.array([lut, 0.0, dsp, 0.0]))


@pytest.mark.parametrize(("at_best", "worth"), [
    (choice(2, 10, 0.5), False),  # as fast as the known one, and dearer
    (choice(2, 9, 0.5), True),
    (choice(2, 10, 0.2), True),
    (choice(2, 20, 0.4), False),
])  # fmt: skip
def test_what_another_one_beats_is_not_looked_at(at_best: Choice, worth: bool) -> None:
    assert bool(promising([choice(1, 10, 0.3)], [at_best], lambda one: one)) is worth


def test_what_is_cheaper_once_a_resource_is_short_is_looked_at() -> None:
    mostly_dsp, mostly_lut = choice(1, 10, 0.1, 0.2), choice(2, 10, 0.35)
    assert promising([mostly_dsp], [mostly_lut], lambda one: one) == [mostly_lut]
    assert promising([mostly_dsp, choice(3, 10, 0.34)], [mostly_lut], lambda one: one) == []


def test_what_turns_out_slower_beats_nothing() -> None:
    """The second is looked at, since the first is not what it could have been; the order stays."""
    possible = [choice(2, 10, 0.3), choice(1, 10, 0.2)]
    exactly = {1: choice(1, 15, 0.2), 2: possible[0]}
    found = promising([], possible, lambda one: exactly[one.lanes.pe])
    assert found == [exactly[2], exactly[1]]
    assert promising([], possible, lambda one: one) == [possible[1]]
