# SPDX-License-Identifier: Apache-2.0
"""Errors meant for people: what happened, where, and what to do about it.

A `QapError` is a user's mistake or a missing tool (exit code 2); a `CheckFailed` is hardware, or a number,
that does not agree with the network (exit code 1). Anything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from qap2fpga.system import names


class QapError(Exception):
    """The input or the machine does not allow this; printed without a traceback."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = names.message(message)
        self.hint = names.message(hint)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class ConstantNetwork(QapError):
    """Pruning has left nothing: whatever goes in, the same comes out."""


class CheckFailed(QapError):
    """Something that was measured or simulated differs from what the network says."""

    exit_code = 1


def nearest(name: str, legal: Iterable[str]) -> str:
    """Return a half-sentence that lists the legal names, the nearest one first if there is one."""
    choices = sorted(legal)
    lower = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean '{lower[close[0]]}'? " if close else ""
    return f"{hint}known: {', '.join(choices)}"
