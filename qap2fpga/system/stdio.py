# SPDX-License-Identifier: Apache-2.0
"""Standard output and error as they are: encodings without our signs, and pipes that are not read to their end."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys

# What stands for our signs where the terminal's encoding has none of them.
SIGNS = {
    "✓": "ok", "✗": "x", "–": "-", "—": "-", "…": "...", "→": "->", "≠": "!=", "×": "x", "·": "*", "±": "+-",
    "ₐ": "a", "⠋": "*",
}  # fmt: skip
HANDLER = "qap2fpga.signs"


def prepare() -> None:
    """Let everything be printed, whatever the encoding of standard output and error: decided before any work."""
    _open_missing()
    codecs.register_error(HANDLER, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def _open_missing() -> None:
    """Open what a caller closed, as `>&-` does: else the next file gets its number, and tools print into that file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            os.set_inheritable(number, True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """The ASCII in place of the first character that cannot be encoded; a byte of a file name shows as one."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    lone = 0xDC80 <= ord(character) <= 0xDCFF
    return SIGNS.get(character, f"\\x{ord(character) - 0xDC00:02x}" if lone else "?"), error.start + 1


def closed() -> bool:
    """Return whether nobody can read standard output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def discard() -> None:
    """Print no more: standard output is closed at its other end, of which the interpreter would tell when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
