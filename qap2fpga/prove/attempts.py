# SPDX-License-Identifier: Apache-2.0
"""Proofs, and what comes of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.certificate import Claim, Word

Result = TypeVar("Result")


def side_by_side(works: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return what each of `works` returns, two of them at a time: most of what they do is wait for ABC.

    Raises what the first of them raises.
    """
    with ThreadPoolExecutor(2) as pool:
        return [one.result() for one in [pool.submit(work) for work in works]]


@dataclass(frozen=True)
class Attempt:
    """What came of a proof, and the seconds that it took."""

    claim: Claim
    seconds: float

    def __str__(self) -> str:
        return f"{self.claim.claim}: {self.claim.word}, {self.seconds:.1f} s: {self.claim.detail}"


def attempt(title: str, work: Callable[[], str]) -> Attempt:
    """Return what comes of the proof of the claim `title`: `work` returns the details, or raises `NotProven`."""
    begin = time.monotonic()
    try:
        word, detail = Word.PROVEN, work()
    except NotProven as error:
        word, detail = Word.REFUTED if isinstance(error, Refuted) else Word.NOT_PROVEN, str(error)
    return Attempt(Claim(claim=title, word=word, detail=detail), time.monotonic() - begin)
