# SPDX-License-Identifier: Apache-2.0
"""What can be seen move by move of streams of positions, whatever comes in: a small automaton.

A state has moves. Each says whether a frame begins with it, what is seen of every stream, and the state after it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from qap2fpga.prove.cells import NotProven

MOST_STATES = 40_000
S = TypeVar("S", bound=Hashable)


class Token(NamedTuple):
    """A position of a frame: how many frames have begun after it, and which position of it."""

    age: int
    place: int


class Seen(NamedTuple):
    """The two bits beside a stream's data, and the position of a frame that passes by."""

    valid: int
    flush: int | None
    token: Token | None


class Move(NamedTuple):
    """A move: whether a frame begins, what is seen of the streams, and the next state."""

    begins: bool
    seen: tuple[Seen, ...]
    after: int


Automaton = list[tuple[Move, ...]]


def explored(first: S, moves: Callable[[S], Iterable[tuple[bool, tuple[Seen, ...], S]]]) -> tuple[Automaton, list[S]]:
    """Return the automaton of all states that can be reached from `first`, which is its state 0, and these states."""
    numbers, states = {first: 0}, [first]
    automaton: Automaton = []
    while len(automaton) < len(states):
        own = []
        for begins, seen, after in moves(states[len(automaton)]):
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            own.append(Move(begins, seen, numbers[after]))
        automaton.append(tuple(own))
        if len(states) > MOST_STATES:
            raise NotProven(f"the control has more than {MOST_STATES:,} states")
    return automaton, states


def smallest(automaton: Automaton) -> Automaton:
    """Return the automaton with states of which the same can be seen for ever taken for one."""
    block, count = [0] * len(automaton), 1
    while True:
        keys: dict[Hashable, int] = {}
        finer = [
            keys.setdefault((block[state], frozenset((*move[:2], block[move.after]) for move in moves)), len(keys))
            for state, moves in enumerate(automaton)
        ]
        if len(keys) == count:
            break
        block, count = finer, len(keys)
    # State 0 is met first, so that it stays the first one.
    merged: dict[int, tuple[Move, ...]] = {}
    for own, moves in zip(block, automaton, strict=True):
        merged.setdefault(own, tuple(dict.fromkeys(move._replace(after=block[move.after]) for move in moves)))
    return [merged[number] for number in range(count)]


def circle(automaton: Sequence[tuple[Move, ...]], waits: Callable[[int], bool]) -> bool:
    """Return whether moves with which no frame begins lead in a circle through states that `waits`."""

    def following(state: int) -> Iterator[int]:
        return (move.after for move in automaton[state] if not move.begins and waits(move.after))

    left = {state: 0 for state in range(len(automaton)) if waits(state)}
    for state in left:
        for after in following(state):
            left[after] += 1
    ready = [state for state, before in left.items() if not before]
    done = 0
    while ready:
        done += 1
        for after in following(ready.pop()):
            left[after] -= 1
            if not left[after]:
                ready.append(after)
    return done < len(left)
