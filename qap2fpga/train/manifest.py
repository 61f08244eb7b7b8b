# SPDX-License-Identifier: Apache-2.0
"""`study.json`: what a study is and how far each of its runs got; and the records of the runs themselves."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from qap2fpga.system import versions as stamps
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.reading import json_object
from qap2fpga.train import config as configs
from qap2fpga.train import plan
from qap2fpga.train.predict import predicted
from qap2fpga.train.schema import Record
from qap2fpga.train.settings import RunConfig

SCHEMA = 1
WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"
PACKAGES = ("distributed", "ax-platform")


@dataclass(frozen=True)
class Status:
    """How far one run is, and with which message it failed."""

    status: str
    message: str | None = None


class Manifest:
    """`study.json`, written anew at every change."""

    def __init__(self, folder: Path, study: plan.Study) -> None:
        self.folder, self.study = folder, study
        self.failed = _failed(folder / "study.json")
        self.statuses = {run.name: self._status_of(run) for run in study.runs}
        # Runs begin in Dask's thread and end in the main one.
        self.lock = threading.Lock()
        self.write()

    def set(self, name: str, status: str, message: str | None = None) -> None:
        """Note that the run `name` is now `status`."""
        with self.lock:
            self.statuses[name] = Status(status, message)
            self.write()

    def begun(self, name: str) -> None:
        """Note that a worker said something about `name`, which may be a trial, or be over already."""
        with self.lock:
            if name in self.statuses and self.statuses[name].status == WAITING:
                self.statuses[name] = Status(RUNNING)
                self.write()

    def stopped(self) -> None:
        """Note that nothing runs any more."""
        with self.lock:
            for name, known in self.statuses.items():
                if known.status == RUNNING:
                    self.statuses[name] = Status(WAITING)
            self.write()

    def write(self) -> None:
        """Write the file in one step."""
        runs = [
            {
                "name": run.name,
                "experiment": run.experiment,
                "varied": run.varied,
                "fold": None if run.config.fold is None else list(run.config.fold),
                "folder": f"runs/{run.name}",
                "status": self.statuses[run.name].status,
                "message": self.statuses[run.name].message,
            }
            for run in self.study.runs
        ]
        content = {"schema": SCHEMA, "config": self.study.tree, "versions": _versions(), "runs": runs}
        write_atomically(self.folder / "study.json", json.dumps(content, indent=1))

    def _status_of(self, run: plan.Run) -> Status:
        """What an earlier call left. Raises `QapError` for a run of the same name and other settings."""
        record = read_record(run_folder(self.folder, run.name))
        if record is not None and record["config"] != settings(run.config):
            what = f"{self.folder} holds a run '{run.name}' with other settings"
            raise QapError(what, "choose another folder with --output, or take that run's folder away")
        if record is not None and record["finished"] and (predicted(record) or not run.predict_luts):
            return Status(FINISHED)
        return Status(FAILED, self.failed[run.name]) if run.name in self.failed else Status(WAITING)


def run_folder(folder: Path, name: str) -> Path:
    """Return a run's folder in the study's, as every worker sees it."""
    return folder.absolute() / "runs" / name


def settings(config: RunConfig) -> dict[str, object]:
    """Return a run's configuration as plain values, with the data where every worker finds it."""
    if config.data.source not in plan.NAMED_SOURCES:
        data = replace(config.data, source=str(Path(config.data.source).absolute()))
        config = replace(config, data=data)
    return configs.to_dict(config)


def read_record(folder: Path) -> Record | None:
    """Return a run's record; None when it has none yet. Raises `QapError` for a file that is something else."""
    path = folder / "record.json"
    if not path.exists():
        return None
    record = json_object(path, "take that run's folder away")
    if not {"finished", "config", "steps"} <= set(record) or not isinstance(record["steps"], list):
        raise QapError(f"{path} is not the record of a run", "take that run's folder away")
    return cast(Record, record)


def _failed(path: Path) -> dict[str, str]:
    """The messages of the runs that an earlier call noted as failed; whatever else is in the file is made anew."""
    if not path.exists():
        return {}
    try:
        content: dict[str, Any] = json_object(path, "choose another folder with --output")
        return {run["name"]: run["message"] for run in content["runs"] if run["status"] == FAILED}
    except (KeyError, TypeError) as error:
        raise QapError(f"{path} is not that of a study: {error}", "choose another folder with --output") from error


def _versions() -> dict[str, str | None]:
    installed: dict[str, str | None] = dict(stamps.versions())
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = None
    return installed
