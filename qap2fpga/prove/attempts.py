# SPDX-License-Identifier: Apache-2.0
"""Proofs one after the other, and what comes of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.certificate import Claim, Word


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
