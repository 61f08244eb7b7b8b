# SPDX-License-Identifier: Apache-2.0
"""The folder of one run: its record, its checkpoints, and what a resumed run needs.

`state.pt` is written after the step's checkpoint and holds the whole record, so it is the truth of an unfinished
run; `record.json` is for readers, and the truth of a finished one.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import cast

import torch

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.locks import locked
from qap2fpga.system.reading import json_object
from qap2fpga.train.config import to_dict
from qap2fpga.train.schema import Record
from qap2fpga.train.settings import RunConfig

SCHEMA = 1
LOCK = ".lock"
# What torch raises on a file that is not there, or is none of its own.
DAMAGES = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, pickle.UnpicklingError,
)  # fmt: skip


class RunFolder:
    """One run's folder, locked while it is open. Raises `QapError` if another run uses it or has filled it."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path, self.config = path, to_dict(config)
        self.held = ExitStack()

    def __enter__(self) -> RunFolder:
        if self.path.exists() and not self.path.is_dir():
            raise QapError(f"{self.path} is a file", "choose another folder")
        with ExitStack() as stack:
            stack.enter_context(locked(self.path, file=LOCK, other="another run"))
            self._check()
            self.held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held.close()

    def _check(self) -> None:
        stored = self.record()
        if stored is None:
            others = [path.name for path in self.path.iterdir() if not path.name.startswith(".")]
            if others:
                raise QapError(f"{self.path} holds something else than a run: {others[0]}", "choose another folder")
        elif stored.get("config") != self.config:
            changed = _first_difference(stored.get("config"), self.config)
            raise QapError(f"{self.path} holds a run with another {changed}", "choose another folder, or delete it")

    def record(self) -> Record | None:
        """Return what `record.json` holds, if it is there."""
        path = self.path / "record.json"
        if not path.exists():
            return None
        stored = json_object(path, "delete the folder, and run again")
        if stored.get("schema") != SCHEMA:
            raise QapError(f"{path} is no record of this version", "choose another folder")
        return cast(Record, stored)

    def write_record(self, record: Record) -> None:
        """Replace `record.json`."""
        write_atomically(self.path / "record.json", json.dumps(record, indent=1) + "\n")

    def state(self) -> dict[str, object] | None:
        """Return what `save_state` stored last. A damaged file is as good as none: the run starts again."""
        return read_tensors(self.path / "state.pt")

    def save_state(self, state: dict[str, object]) -> None:
        """Store tensors and plain values, in one step."""
        write_atomically(self.path / "state.pt", _bytes(state))

    def finish(self, record: Record) -> None:
        """Write the last record, and take the state away."""
        self.write_record(record)
        (self.path / "state.pt").unlink(missing_ok=True)


def write_tensors(path: Path, content: Mapping[str, object]) -> None:
    """Write what `torch.save` makes of `content` in one step."""
    write_atomically(path, _bytes(content))


def read_tensors(path: Path) -> dict[str, object] | None:
    """Return what `write_tensors` wrote to `path`; None where there is nothing of the kind."""
    try:
        state = torch.load(path, weights_only=True)
    except DAMAGES:
        return None
    return state if isinstance(state, dict) else None


def _bytes(content: Mapping[str, object]) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _first_difference(one: object, other: object, path: str = "") -> str:
    """The dotted path of the first setting that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in other:
            if one.get(key) != other[key]:
                return _first_difference(one.get(key), other[key], f"{path}.{key}" if path else key)
    return path or "configuration"
