# SPDX-License-Identifier: Apache-2.0
"""Proofs one after the other, and what comes of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def attempts(works: Mapping[str, Callable[[], str]], say: Callable[[str], None]) -> Iterator[Claim]:
    """Yield what comes of each proof: a function by its claim, which returns the details or raises `NotProven`."""
    for title, work in works.items():
        begin = time.monotonic()
        try:
            word, detail = Word.PROVEN, work()
        except NotProven as error:
            word, detail = Word.REFUTED if isinstance(error, Refuted) else Word.NOT_PROVEN, str(error)
        say(f"{title}: {word}, {time.monotonic() - begin:.1f} s: {detail}")
        yield Claim(claim=title, word=word, detail=detail)
