# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or absent, and the folders that ship with the program."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qap2fpga.system.errors import QapError

PACKAGE = Path(__file__).parent.parent
SCRATCH = ".scratch-"
# A file below a folder of ours, with a name of our own.
PLACE = re.compile(r"[A-Za-z0-9_][\w.+-]*(/[A-Za-z0-9_][\w.+-]*)*", re.ASCII)


def shipped(folder: str) -> Path:
    """Return the shipped `folder` ('boards', 'flows'): inside the installed package, or beside it in a checkout.

    Raises `QapError` when neither is there, that is when the installation is broken.
    """
    for place in (PACKAGE / folder, PACKAGE.parent / folder):
        if place.is_dir():
            return place
    raise QapError(f"the folder '{folder}' is missing from the installation", "install qap2fpga again")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `path` in one step: a reader, or a run after a kill, sees the old file or the new one.

    Raises `QapError` for a device or a pipe, which must not be replaced by a file.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise QapError(f"{path} is a device or a pipe", "name a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_encoded(content))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_where_asked(path: Path, content: bytes | str) -> None:
    """Write a file that the user named: in one step, but through a link, and into a device or a pipe, never over it."""
    if not path.is_symlink() and (path.is_file() or not path.exists()):
        write_atomically(path, content)
        return
    try:
        with path.open("wb") as stream:
            stream.write(_encoded(content))
    except OSError as error:
        raise cannot_write(path, error) from error


def _encoded(content: bytes | str) -> bytes:
    """The bytes of `content`. A path may hold bytes that are no UTF-8, and stand in a page."""
    return content.encode(errors="backslashreplace") if isinstance(content, str) else content


def append_json(path: Path, value: object) -> None:
    """Add `value` to the JSON lines of `path`; a line that a kill cut off does not take this one with it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                whole = stream.read() == b"\n"
                stream.write(b"" if whole else b"\n")
            stream.write(json.dumps(value).encode() + b"\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def read_json_lines(path: Path) -> list[Any]:
    """Return the values of the JSON lines in `path`, none if it is not there, without a line that a kill cut off."""
    records = []
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def cannot_write(path: Path, error: OSError) -> QapError:
    """Return the `QapError` for a full disk, a read-only folder or the like."""
    return QapError(f"cannot write {path}: {error.strerror}", "make room, or choose another folder")


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new folder inside `folder`, gone in the end; what is to stay is moved out of it, each file in one step.

    Nobody else knows its name: what a process of another run may still write is not taken for this run's. What a
    killed run left is removed.
    """
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder, ignore_cleanup_errors=True) as name:
        yield Path(name)
