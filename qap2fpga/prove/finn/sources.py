# SPDX-License-Identifier: Apache-2.0
"""Which files Yosys reads of a design whose memories have contents of their own: the Verilog, and what it names.

A certificate names every file that was read. So each `$readmemh` has to say where it reads from in one of two ways that
can be followed in the text: a parameter that is a name, or a format of a parameter and numbers. All values that the
parameter gets anywhere must be names of files that the build lists. Yosys then reads in a folder that has these alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from qap2fpga.prove.reading import SKIPPED
from qap2fpga.system.errors import QapError

HINT = "build the model again"
# Directives that read no other file and put no words together.
DIRECTIVE = re.compile(rb"`(?!(?:ifdef|ifndef|else|elsif|endif|default_nettype)\b)\w*")
READS = re.compile(rb"\$(?:readmem\w*|fopen|fread|fscanf|fgets|fgetc|sscanf|system)\b")
COMMENT = re.compile(rb'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
TEXT = rb'"((?:[^"\\])*)"'
NAMED = re.compile(rb"\$readmemh\s*\(\s*([A-Za-z_]\w*)\s*,")
FORMATTED = re.compile(rb"\$readmemh\s*\(\s*\$sformatf\s*\(\s*" + TEXT + rb"\s*,\s*([A-Za-z_]\w*)\s*(?:,\s*\w+\s*)*\)")


def memory_files(sources: Sequence[Path], listed: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the memories' files that `sources` read, all among those `listed`.

    Raises `QapError` for a source that may read another file, and for a file that is not there or not listed.
    """
    texts = [path.read_bytes() for path in sources]
    for path, text in zip(sources, texts, strict=True):
        if match := DIRECTIVE.search(SKIPPED.sub(b" ", text)):
            raise _other(path, match[0].decode(errors="replace"))
    plain = [COMMENT.sub(rb"\1 ", text) for text in texts]
    used: dict[str, None] = {}
    for path, text in zip(sources, plain, strict=True):
        for place in READS.finditer(text):
            used.update(dict.fromkeys(_names(path, text, place.start(), plain, listed)))
    folder = sources[0].parent
    missing = [name for name in used if name not in listed or not (folder / name).is_file()]
    if missing:
        raise QapError(f"{folder / missing[0]}: a source reads it as a memory, and it is not there or not listed", HINT)
    return tuple(used)


def _names(path: Path, text: bytes, at: int, texts: Sequence[bytes], listed: Sequence[str]) -> Iterator[str]:
    """Yield what the task at `at` of the source `path` may read."""
    if named := NAMED.match(text, at):
        yield from _values(path, named[1], texts)
        return
    formatted = FORMATTED.match(text, at)
    if not formatted or not formatted[1].startswith(b"%s") or set(_fields(formatted[1][2:])) - {"%0d", "%d"}:
        raise _other(path, READS.match(text, at)[0].decode())  # type: ignore[index]
    rest = "".join(r"\d+" if part in ("%0d", "%d") else re.escape(part) for part in _parts(formatted[1][2:]))
    for value in _values(path, formatted[2], texts):
        pattern = re.compile(re.escape(value) + rest)
        names = [name for name in listed if pattern.fullmatch(name)]
        if not names:
            raise QapError(f"{path}: it reads memories called {value}..., and none is listed", HINT)
        yield from names


def _parts(text: bytes) -> list[str]:
    return re.split(r"(%0?\w)", text.decode(errors="replace"))


def _fields(text: bytes) -> list[str]:
    return re.findall(r"%0?\w", text.decode(errors="replace"))


def _values(path: Path, parameter: bytes, texts: Sequence[bytes]) -> Iterator[str]:
    """Yield the values that a parameter gets anywhere, but for none; one that is no plain text is refused."""
    given = re.compile(rb"\b" + parameter + rb"\s*(?:=(?!=)|\()\s*([^,;)]*?)\s*[,;)]")
    plain = re.compile(TEXT)
    for text in texts:
        for match in given.finditer(text):
            if match[1] == parameter or match[1] == b'""':
                continue
            value = plain.fullmatch(match[1])
            name = value[1].decode(errors="replace").removeprefix("./") if value else ""
            if not re.fullmatch(r"[A-Za-z0-9_][\w.+-]*", name, re.ASCII):
                raise _other(path, f"{parameter.decode()} {match[1].decode(errors='replace')}")
            yield name


def _other(path: Path, what: str) -> QapError:
    return QapError(
        f"{path}: {what}, by which other files may be read; a certificate names every file that was",
        "memories are read by $readmemh from files whose names are texts, beside the sources",
    )
