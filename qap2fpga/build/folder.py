# SPDX-License-Identifier: Apache-2.0
"""A build folder that resumes: every finished stage leaves one small file, written last and in one step.

The file holds the stage's result and the key that it was made under, a digest of everything that goes in:
the model's bytes, the options, the program's own sources, the tools' versions, and the stages before it. It also holds
digests of the result and of the files that the stage left: what is not as it was left is made again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from qap2fpga.report import history
from qap2fpga.report.history import LOG, PAGE
from qap2fpga.system import locks, logs
from qap2fpga.system import programs as tools
from qap2fpga.system.cache import Cache
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import cannot_write, sha256, write_atomically
from qap2fpga.system.progress import Progress
from qap2fpga.system.reading import json_object
from qap2fpga.system.versions import digest

MARK = ".qap2fpga"
BUILD_AGAIN = "build the model again"


def stored(folder: Path, name: str, hint: str = BUILD_AGAIN) -> Any:
    """What stage `name` of the build in `folder` left. Raises `QapError` where there is no sound record of it."""
    path = folder / MARK / f"{name}.json"
    if not (folder / MARK).is_dir():
        raise QapError(f"there is no build of a model in {folder}/", hint)
    if not path.exists():
        left = f"{folder}: the build ended before its stage '{name}'"
        raise QapError(left, "call it again without --until: it goes on")
    record = json_object(path, hint)
    if "result" not in record:
        raise QapError(f"{path} is no record of a stage", hint)
    return record["result"]


@dataclass(frozen=True)
class Shared:
    """Other builds may have done the same work: `key` is a digest of all that its result and files follow from.

    `accept` is given the folder of files that are there already, and raises where this build refuses them. `keeps` says
    of a result whether others may take it: not what another machine, or more time, would have changed.
    """

    key: str
    accept: Callable[[Path], None] = lambda folder: None
    keeps: Callable[[Any], bool] = lambda result: True


class BuildFolder:
    """One build's folder, locked while it is open. A folder that the run made and left empty is taken away.

    `cache` holds what other builds have done; None: nothing.
    """

    def __init__(self, path: Path, progress: Progress, cache: Cache | None = None) -> None:
        self.path, self.progress, self.cache = path, progress, cache
        self.lock: IO[str] | None = None
        self.made: list[Path] = []

    def __enter__(self) -> BuildFolder:
        if self.path.exists() and not self.path.is_dir():
            raise QapError(f"{self.path} is a file", "choose another folder with --output")
        try:
            if self.path.exists() and any(self.path.iterdir()) and not (self.path / MARK).is_dir():
                raise QapError(f"{self.path} holds something else than a build", "choose another folder with --output")
            self.made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.lock = locks.acquire(self.path / MARK / "lock")
        except BlockingIOError as error:
            raise QapError(
                f"another build is writing {self.path}", "wait for it, or choose another folder with --output"
            ) from error
        except OSError as error:
            self._take_away()
            raise cannot_write(self.path, error) from error
        tools.locks.add(self.lock.fileno())
        self.log = logs.into(self.path / LOG)
        self.log.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            logs.note(f"{type(error).__name__}: {error}", logging.ERROR)
        self.log.__exit__(None, None, None)
        if kind is not None and not list((self.path / MARK).glob("*.json")):
            self._take_away()
        if self.lock is not None:
            tools.locks.discard(self.lock.fileno())
            self.lock.close()

    def forget(self, name: str) -> None:
        """A stage calls this before it writes: what changes must not stand beside a report of how it was."""
        for stale in (self.path / MARK / f"{name}.json", self.path / "report.json", self.path / PAGE):
            stale.unlink(missing_ok=True)

    def _take_away(self) -> None:
        """Remove the folder if this run made it, and those above it that it made and that are empty."""
        if self.made:
            shutil.rmtree(self.path, ignore_errors=True)
            with contextlib.suppress(OSError):
                for folder in self.made[1:]:
                    folder.rmdir()

    def has(self, name: str) -> bool:
        """Return whether there is a record of stage `name`, sound or not."""
        return (self.path / MARK / f"{name}.json").is_file()

    def result(self, name: str, key: str) -> Any | None:
        """The stored result of stage `name` if it was made under `key`, and it and its files are as they were left."""
        try:
            record: dict[str, Any] = json_object(self.path / MARK / f"{name}.json", BUILD_AGAIN)
            kept, result, files = (record[part] for part in ("key", "result", "files"))
            whole = kept == key and record["digest"] == digest(kept, result, files)
            whole = whole and all(sha256(self.path / file) == one for file, one in files.items())
        except (QapError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return result if whole else None

    def stage(
        self,
        name: str,
        title: str,
        key: str,
        work: Callable[[Callable[[str], None]], Any],
        files: Iterable[str] | Callable[[Any], Iterable[str]] = (),
        *,
        forgets: bool = False,
        shared: Callable[[], Shared] | None = None,
    ) -> Any:
        """The JSON-like result of `work`, run only if it is not there already under this `key`, with its `files`.

        `files` are names of files or folders that `work` leaves in the build's folder, perhaps told from its result.
        `forgets`: `work` calls `forget` itself, when it has something to write. `shared`: how the cache knows it.
        """
        stored = self.result(name, key)
        if stored is not None:
            self.progress.reused(title)
            return stored
        begin = time.monotonic()
        other = shared() if shared and self.cache else None
        taken = self._taken(name, other)
        if taken is not None:
            result = taken
            self.progress.reused(title, "from the cache")
        else:
            if not forgets:
                self.forget(name)
            with self.progress.stage(title) as say:
                result = json.loads(json.dumps(work(say), default=_plain))
        history.ended(self.path, name, title, time.monotonic() - begin)
        left = self._digests(files(result) if callable(files) else files)
        record = {"key": key, "result": result, "files": left, "digest": digest(key, result, left)}
        write_atomically(self.path / MARK / f"{name}.json", json.dumps(record, indent=1))
        if other and self.cache and taken is None and other.keeps(result):
            self.cache.keep(other.key, result, left, self.path)
        return result

    def _taken(self, name: str, shared: Shared | None) -> Any | None:
        """Return what another build left of stage `name`, its files now here; None: nothing."""
        if shared is None or self.cache is None:
            return None

        def accept(files: Path) -> None:
            shared.accept(files)
            self.forget(name)

        return self.cache.take(shared.key, self.path, accept)

    def _digests(self, names: Iterable[str]) -> dict[str, str]:
        """The digest of each file in `names`, and of each file below a folder there, by its name in this folder."""
        places = [self.path / name for name in names]
        every = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*")))]
        return {path.relative_to(self.path).as_posix(): sha256(path) for path in every if path.is_file()}


def _plain(value: Any) -> Any:
    """Paths as text, numpy numbers as numbers."""
    return value.item() if hasattr(value, "item") else str(value)
