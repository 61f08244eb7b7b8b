# SPDX-License-Identifier: Apache-2.0
"""What other builds take: results and their files, by a digest of all that they follow from, in a folder of the user's.

An entry is a folder: `entry.json` with the result and the digests of its files, and `files/`. It is renamed into place
when it is whole, and what is not as it was left is thrown away. The entries that were taken longest ago go first.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qap2fpga.system import logs
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PLACE, sha256, write_atomically
from qap2fpga.system.reading import json_object, shown
from qap2fpga.system.versions import digest

# Environment variables: where the cache is, and how many MiB it may take.
FOLDER, LIMIT = "QAP2FPGA_CACHE", "QAP2FPGA_CACHE_MIB"
LIMIT_MIB = 2048
# Digits of a limit.
LONGEST = 9
ENTRY, FILES = "entry.json", "files"
# Of an entry that is being written.
UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Cache:
    """Entries below `folder`, of at most `limit` bytes together."""

    folder: Path
    limit: int = LIMIT_MIB << 20

    def take(self, key: str, into: Path, accept: Callable[[Path], None] = lambda files: None) -> object | None:
        """Return the result that is kept under `key`, its files now in the folder `into`; None where there is none.

        `accept` is given the folder of the files before any is copied, and may raise.
        """
        place = self._place(key)
        try:
            result, files = _read(place, key)
        except (QapError, OSError, ValueError, KeyError, TypeError, AttributeError):
            shutil.rmtree(place, ignore_errors=True)
            return None
        accept(place / FILES)
        try:
            for name in files:
                write_atomically(into / name, (place / FILES / name).read_bytes())
            os.utime(place)
        except OSError:
            return None  # another build has just made room
        return result

    def keep(self, key: str, result: object, files: Mapping[str, str], left_in: Path) -> None:
        """Keep `result` and its `files`, digests by name below `left_in`; nothing where the cache cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=self.folder, ignore_cleanup_errors=True) as name:
                unfinished = Path(name) / "entry"
                for file in files:
                    copy = unfinished / FILES / file
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(left_in / file, copy)
                record = {"key": key, "result": result, "files": files, "digest": digest(key, result, files)}
                write_atomically(unfinished / ENTRY, json.dumps(record))
                self._place(key).parent.mkdir(exist_ok=True)
                with contextlib.suppress(OSError):  # another build was first
                    unfinished.rename(self._place(key))
            self._make_room()
        except (OSError, QapError) as error:
            logs.note(f"nothing is kept in {self.folder}: {error}")

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _make_room(self) -> None:
        """Remove entries until the rest is within the limit."""
        known = sorted((path.stat().st_mtime_ns, path) for path in self.folder.glob("[0-9a-f][0-9a-f]/*"))
        sizes = {path: sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) for _, path in known}
        total = sum(sizes.values())
        for _, path in known:
            if total <= self.limit:
                return
            shutil.rmtree(path, ignore_errors=True)
            total -= sizes[path]


def users() -> Cache | None:
    """Return this user's cache: where `QAP2FPGA_CACHE` says, else below the folder for caches; None: it has no room.

    Raises `QapError` for a `QAP2FPGA_CACHE_MIB` that is no number.
    """
    limit = os.environ.get(LIMIT, str(LIMIT_MIB))
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= LONGEST):
        raise QapError(f"{LIMIT} is {shown(limit)}", f"give a number of MiB, as {LIMIT_MIB}, or 0 for no cache")
    if int(limit) == 0:
        return None
    given = os.environ.get(FOLDER)
    folder = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qap2fpga"
    return Cache(folder.absolute(), int(limit) << 20)


def _read(place: Path, key: str) -> tuple[object, dict[str, str]]:
    """Return the result and the files of an entry. Raises where anything is not as it was left."""
    record: dict[str, Any] = json_object(place / ENTRY, "")
    result, files = record["result"], record["files"]
    if record["key"] != key or record["digest"] != digest(key, result, files):
        raise ValueError(place)
    for name, known in files.items():
        if not PLACE.fullmatch(name) or sha256(place / FILES / name) != known:
            raise ValueError(name)
    return result, files
