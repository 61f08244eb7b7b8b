# SPDX-License-Identifier: Apache-2.0
"""What counts as proven."""

from __future__ import annotations

import pytest

from qap2fpga.prove.certificate import FORMAT, Certificate, Claim, Word


@pytest.mark.parametrize(("words", "proven"), [
    ((Word.PROVEN, Word.PROVEN), True), ((Word.PROVEN, Word.NOT_PROVEN), False), ((Word.REFUTED, Word.PROVEN), False),
    ((), False),
])  # fmt: skip
def test_a_design_is_proven_where_every_claim_is(words: tuple[Word, ...], proven: bool) -> None:
    claims = tuple(Claim(claim="one", word=word, detail="") for word in words)
    assert Certificate(format=FORMAT, files={}, versions={}, claims=claims).proven is proven
