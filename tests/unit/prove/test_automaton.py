# SPDX-License-Identifier: Apache-2.0
"""Automata of what can be seen of streams: explored, made small, searched for circles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qap2fpga.prove import automaton
from qap2fpga.prove.automaton import Automaton, Move, Seen, Token, circle, explored, smallest
from qap2fpga.prove.cells import NotProven

NOTHING, FIRST = Seen(0, 0, None), Seen(1, 0, Token(0, 0))


def counting(state: int) -> Iterator[tuple[bool, tuple[Seen, ...], int]]:
    """Count to 3, and begin again."""
    yield state == 0, ((FIRST if state == 0 else NOTHING),), (state + 1) % 4


def test_states_are_found_from_the_first_on() -> None:
    own, states = explored(0, counting)
    assert states == [0, 1, 2, 3] and own[3] == (Move(False, (NOTHING,), 0),)


def test_too_many_states_are_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automaton, "MOST_STATES", 3)
    with pytest.raises(NotProven, match="more than 3 states"):
        explored(0, counting)


def test_states_of_which_the_same_is_seen_are_one() -> None:
    twice: Automaton = [(Move(True, (FIRST,), 1),), (Move(False, (NOTHING,), 2),), (Move(True, (FIRST,), 3),),
                        (Move(False, (NOTHING,), 0),)]  # fmt: skip
    assert smallest(twice) == [(Move(True, (FIRST,), 1),), (Move(False, (NOTHING,), 0),)]
    other = [*twice[:3], (Move(False, (NOTHING,), 3),)]
    assert len(smallest(other)) == 4


def test_a_choice_stays_one() -> None:
    own: Automaton = [(Move(True, (FIRST,), 1), Move(False, (NOTHING,), 0)), (Move(False, (NOTHING,), 0),)]
    assert smallest(own) == own


def test_a_circle_in_which_something_waits_is_found() -> None:
    own: Automaton = [(Move(True, (FIRST,), 1),), (Move(False, (NOTHING,), 2), Move(False, (NOTHING,), 1)),
                      (Move(False, (NOTHING,), 0),)]  # fmt: skip
    assert circle(own, lambda state: state > 0)
    assert not circle(own, lambda state: state != 1)
    assert not circle([own[0], own[1][:1], own[2]], lambda state: True)
