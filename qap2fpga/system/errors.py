# SPDX-License-Identifier: Apache-2.0
"""Errors meant for people: what happened, where, and what to do about it.

A `QapError` is a user's mistake or a missing tool (exit code 2); a `CheckFailed` is hardware, or a number,
that does not agree with the network (exit code 1). Anything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from qap2fpga.system.names import message


class QapError(Exception):
    """The input or the machine does not allow this; printed without a traceback."""

    exit_code = 2

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.what = message(what)
        self.cure = message(cure)

    def __str__(self) -> str:
        return f"{self.what}\n  {self.cure}" if self.cure else self.what


class ConstantNetwork(QapError):
    """Pruning has left nothing: whatever goes in, the same comes out."""


class CheckFailed(QapError):
    """Something that was measured or simulated differs from what the network says."""

    exit_code = 1


def nearest(name: str, legal: Iterable[str]) -> str:
    """A half-sentence that lists the legal names, the nearest one first if there is one."""
    names = sorted(legal)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(names)}"
