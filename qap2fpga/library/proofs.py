# SPDX-License-Identifier: Apache-2.0
"""Proofs of a finished build, again, and their certificates in lines for people."""

from __future__ import annotations

from pathlib import Path

from qap2fpga.build.proving import CERTIFICATE, LIMIT_S, again
from qap2fpga.prove.certificate import Certificate, Claim
from qap2fpga.system.progress import Progress

__all__ = ["CERTIFICATE", "LIMIT_S", "left", "lines", "prove"]


def prove(folder: Path, time_limit_s: float, *, quiet: bool) -> Certificate:
    """Prove what can be of the build in `folder`, from its files alone. Raises `QapError` where it is C++."""
    with Progress(quiet=quiet) as progress:
        return again(folder, time_limit_s, progress)


def lines(certificate: Certificate) -> list[str]:
    """Return every claim in a line, and what they rest on in one more."""
    return [*map(_line, certificate.claims), "trusted: " + "; ".join(certificate.trusted)]


def left(certificate: Certificate) -> list[str]:
    """Return the claims that were to be proven and are not."""
    return [*map(_line, certificate.left)]


def _line(one: Claim) -> str:
    return f"{one.word}: {one.claim}: {one.detail}"
