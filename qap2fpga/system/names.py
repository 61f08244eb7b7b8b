# SPDX-License-Identifier: Apache-2.0
"""Names. What is generated is called by identifiers of our own; a user's name is kept beside them and only shown.

Whatever comes from a file may be any text: it never becomes source, a path or markup. `layer` and `identifier` make
every identifier. `labels` turns the names in a file into text to show, once, where the file is read; `printable` and
`cell` are the last guard where text leaves for a terminal, a page or a table of values. HTML is escaped by its
templates.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

# A longer name is shown by its ends.
LONGEST, HEAD, TAIL = 80, 40, 16
LONGEST_IDENTIFIER = 40
LONGEST_LINE = 1000
# Controls, format characters (which turn the direction of text, or are invisible), surrogates, private and unassigned
# characters, and the separators of lines and paragraphs.
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# What makes a spreadsheet take a cell for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def layer(index: int) -> str:
    """Return the identifier of the layer or operation number `index` in everything that is generated."""
    return f"l{index}"


def identifier(text: str) -> str:
    """`text` as a C identifier and part of a file's name: small ASCII letters, digits and underscores."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", text).lower()[:LONGEST_IDENTIFIER]
    return plain if re.match(r"[a-z]", plain) else f"net_{plain}"


def labels(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names as short text to show, each unlike the others."""
    taken: dict[str, None] = {}
    for name in names:
        label, number = shown(name), 1
        while label in taken:
            number += 1
            label = f"{shown(name)} ({number})"
        taken[label] = None
    return tuple(taken)


def shown(name: str) -> str:
    """Return one name as short text on one line; a shown name stays as it is."""
    text = printable(name).replace("\n", "\\n")
    if len(text) > LONGEST:
        text = f"{text[:HEAD]}…{text[-TAIL:]} ({len(name):,} characters)"
    return text if text.strip() else f"'{text}'"


def apart(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return what the names have in common, with a … in the middle, and what each has alone; whole parts of names only.

    The first is empty where they share nothing, or where there would be a name without anything left.
    """
    parts = [re.findall(r"[^/_-]*[/_-]|[^/_-]+$", name) for name in names]
    shortest = min(map(len, parts), default=0)
    first = next((place for place in range(shortest) if len({one[place] for one in parts}) > 1), shortest)
    ends = [re.findall(r"[/_-][^/_-]*|^[^/_-]+", name) for name in names]
    room = min((len(one) for one in ends), default=0)
    last = next((place for place in range(room) if len({one[-1 - place] for one in ends}) > 1), room)
    head = "".join(parts[0][:first]) if parts else ""
    tail = "".join(ends[0][len(ends[0]) - last :]) if ends else ""
    left = tuple(name[len(head) : len(name) - len(tail)] for name in names)
    if (
        len(names) < 2
        or not (head or tail)
        or not all(left)
        or any(len(head) + len(tail) >= len(name) for name in names)
    ):
        return "", tuple(names)
    return f"{head}…{tail}", left


def printable(text: str) -> str:
    """`text` with hidden characters as escapes; line feeds stay."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def message(text: str) -> str:
    """`text` for people, hidden characters as escapes; a line that is too long for anybody is shown by its ends."""
    lines = printable(text).split("\n")
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:600]}… …{line[-300:]}" for line in lines)


def indented(text: str) -> str:
    """`text` as one message on a terminal: no further line of it looks like another message."""
    first, *more = message(text).split("\n")
    return "\n".join([first, *(f"  {line.removeprefix('  ')}" for line in more)])


def cell(value: object) -> object:
    """Return `value` as a cell of CSV, which no spreadsheet takes for a formula; numbers stay what they are."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if value.startswith(FORMULA) and not _is_number(value) else text


def _escaped(letter: str) -> str:
    if letter == "\n" or unicodedata.category(letter) not in HIDDEN:
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
