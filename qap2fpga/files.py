# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or absent, and the folders that ship with the program."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from qap2fpga.errors import QapError

PACKAGE = Path(__file__).parent


def shipped(folder: str) -> Path:
    """The shipped `folder` ('boards', 'flows'): inside the installed package, or beside it in a checkout.

    Raises `QapError` when neither is there, that is when the installation is broken.
    """
    for place in (PACKAGE / folder, PACKAGE.parent / folder):
        if place.is_dir():
            return place
    raise QapError(f"the folder '{folder}' is missing from the installation", "install qap2fpga again")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `path` in one step: a reader, or a run after a kill, sees the old file or the new one."""
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def cannot_write(path: Path, error: OSError) -> QapError:
    """The `QapError` for a full disk, a read-only folder or the like."""
    return QapError(f"cannot write {path}: {error.strerror}", "make room, or choose another folder with --output")


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
