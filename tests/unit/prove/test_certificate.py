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


def test_what_is_simulated_is_neither_proven_nor_left() -> None:
    claims = tuple(Claim(claim=word, word=word, detail="") for word in Word)
    certificate = Certificate(format=FORMAT, files={}, versions={}, claims=claims)
    assert [one.word for one in certificate.left] == [Word.NOT_PROVEN, Word.REFUTED] and not certificate.proven
    simulated = Certificate(format=FORMAT, files={}, versions={}, claims=claims[:2])
    assert not simulated.left and not simulated.proven
