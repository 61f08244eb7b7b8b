# SPDX-License-Identifier: Apache-2.0
"""A study's runs in MLflow, from their records: one MLflow run each, with settings, losses, metrics and files.

A record that is there already is left as it is, so the same command adds what is new. Needs the extra `mlflow`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qap2fpga.report import show, study_folder
from qap2fpga.report.study_folder import RECORD, Entry
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256
from qap2fpga.system.reading import line

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

# Of an MLflow run: what it is a copy of. The digest is written last, so a run without one is not whole.
STUDY, RUN, SETTING, DIGEST = (f"qap2fpga.{name}" for name in ("study", "run", "setting", "record_sha256"))
# MLflow's limits on one request, and on the length of a parameter's value.
METRICS, PARAMETERS, VALUE = 1000, 100, 6000
# Steps of an MLflow metric: the epoch for these, by their names in a record; the pruning step for all others.
OF_AN_EPOCH = ("learning_rate", "training_loss", "validation_loss", "validation_accuracy")
# Where a run began is before where it ended by at most ten years.
MOST_SECONDS = 3e8
SQLITE = "sqlite:///"
HINT = "is the tracking server at that address, and of a version that the extra 'mlflow' was tested with?"


@dataclass
class Exported:
    """Names of a study's runs: written now, there already, and left out since they have not finished.

    `failed` are those that MLflow or their record did not let through, with the reason. `address` has no password.
    """

    experiment: str
    address: str
    written: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """Return it in one line."""
        parts = [f"{show.several(len(self.written), 'run')} written", f"{len(self.present)} there already"]
        parts += [f"{len(self.unfinished)} not finished, left out"] if self.unfinished else []
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        return f"experiment '{self.experiment}' at {self.address}: {', '.join(parts)}"

    def check(self) -> None:
        """Raise `QapError` with the reasons, where a run has failed."""
        if self.failed:
            raise QapError("; ".join(f"run {name}: {why}" for name, why in self.failed.items()), "the others are there")


def export(folder: Path, experiment: str | None = None, address: str | None = None) -> Exported:
    """Write the finished runs and trials of the study in `folder` to MLflow, and return which.

    Args:
        folder: the study's.
        experiment: MLflow's name of it; the folder's name if not given.
        address: the tracking server or database, such as `http://host:5000`, `sqlite:///runs.db`; MLflow's own choice
            (MLFLOW_TRACKING_URI) if not given. Files of runs in a SQLite database go to `mlruns` beside it.

    Raises:
        QapError: no study, no MLflow, or MLflow refuses. A single run that does not go through is in `failed`.
    """
    listed = study_folder.load(folder)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise QapError("MLflow is not installed", "pip install 'qap2fpga[mlflow]'") from error
    name = experiment or folder.resolve().name
    try:
        client = MlflowClient(tracking_uri=address)
        exported = Exported(name, _without_password(client.tracking_uri))
        _export(client, folder, (*listed.runs, *listed.trials), exported, _files_of(address))
    except MlflowException as error:
        raise QapError(f"MLflow: {_without_password(line(error))}", HINT) from error
    return exported


def _files_of(address: str | None) -> str | None:
    """Where runs in a SQLite database have their files: beside it. MLflow's own place is the working folder."""
    if address is None or not address.startswith(SQLITE):
        return None
    return (Path(address.removeprefix(SQLITE)).resolve().parent / "mlruns").as_uri()


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


def _export(
    client: MlflowClient, folder: Path, entries: tuple[Entry, ...], exported: Exported, files: str | None
) -> None:  # fmt: skip
    known = client.get_experiment_by_name(exported.experiment)
    experiment = client.create_experiment(exported.experiment, files) if known is None else known.experiment_id
    place = str(folder.resolve())
    digests, others = _present(client, experiment, place)
    for entry in entries:
        try:
            record: dict[str, Any] = entry.record() if entry.begun else {}
        except QapError as error:
            exported.failed[entry.name] = error.message
            continue
        if not entry.folder.resolve().is_relative_to(folder.resolve()):
            exported.failed[entry.name] = "its folder lies outside of the study's"
            continue
        if not record.get("finished"):
            exported.unfinished.append(entry.name)
            continue
        digest = sha256(entry.folder / RECORD)
        if digest in digests:
            exported.present.append(entry.name)
            continue
        for former in others.get(entry.name, ()):
            client.delete_run(former)
        tags = {STUDY: place, RUN: entry.name, SETTING: entry.setting}
        try:
            _write(client, experiment, entry, record, tags, digest)
        except QapError as error:
            exported.failed[entry.name] = error.message
        except Exception as error:  # noqa: BLE001 - whatever MLflow, or its database, raises for odd values
            exported.failed[entry.name] = _without_password(line(error))
        else:
            exported.written.append(entry.name)


def _present(client: MlflowClient, experiment: str, study: str) -> tuple[set[str], dict[str, list[str]]]:
    """Return the digests of all records that are there, and by name the MLflow runs of `study`, whole or not."""
    digests: set[str] = set()
    by_name: dict[str, list[str]] = {}
    token: str | None = None
    while True:
        runs = client.search_runs([experiment], page_token=token)
        for run in runs:
            if DIGEST in run.data.tags:
                digests.add(run.data.tags[DIGEST])
            if run.data.tags.get(STUDY) == study:
                by_name.setdefault(run.data.tags.get(RUN, ""), []).append(run.info.run_id)
        token = runs.token
        if not token:
            return digests, by_name


def _write(
    client: MlflowClient, experiment: str, entry: Entry, record: Mapping[str, Any], tags: dict[str, str], digest: str
) -> None:  # fmt: skip
    from mlflow.entities import Param

    end = int((entry.folder / RECORD).stat().st_mtime * 1000)
    begun = end - int(1000 * min(show.finite(record.get("seconds")) or 0.0, MOST_SECONDS))
    try:
        parameters = [Param(path, value[:VALUE]) for path, value in _flat(record["config"])]
        metrics = list(_metrics(record, end))
    except (KeyError, TypeError, AttributeError) as error:
        raise QapError(f"{entry.folder / RECORD} is not a run's record: {error!r}", study_folder.HINT) from error
    run = client.create_run(experiment, start_time=begun, tags=tags, run_name=entry.name).info.run_id
    try:
        _fill(client, run, parameters, metrics, entry.folder)
    except Exception:
        client.set_terminated(run, "FAILED", end)
        raise
    client.set_tag(run, DIGEST, digest)
    client.set_terminated(run, end_time=end)


def _fill(
    client: MlflowClient, run: str, parameters: Sequence[Param], metrics: Sequence[Metric], folder: Path
) -> None:  # fmt: skip
    for start in range(0, len(parameters), PARAMETERS):
        client.log_batch(run, params=parameters[start : start + PARAMETERS])
    for start in range(0, len(metrics), METRICS):
        client.log_batch(run, metrics=metrics[start : start + METRICS])
    # Names of files are this folder's own: those in a record are only text.
    for path in (folder / RECORD, *sorted(folder.glob("*.pt"))):
        if path.is_file() and not path.is_symlink():
            client.log_artifact(run, str(path))


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings by dotted path, as a study's file names them."""
    if isinstance(value, Mapping) and (value or not path):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _metrics(record: Mapping[str, Any], time: int) -> Iterator[Metric]:
    from mlflow.entities import Metric

    epoch = 0
    for step in record["steps"]:
        for one in (*(step.get("epochs") or ()), *(step.get("tuning_epochs") or ())):
            yield from (Metric(name, value, time, epoch) for name, value in _known(one, OF_AN_EPOCH))
            epoch += 1
        test = step["metrics"]["test"]
        values = {
            "test_accuracy": test.get("accuracy"), "test_loss": test.get("loss"), "test_mean_auc": test.get("mean_auc"),
            "zeros": step.get("integer_sparsity", step.get("mask_sparsity")),
            "bops": step["bops"].get("paper"), "estimated_luts": (step.get("estimate") or {}).get("lut"),
        }  # fmt: skip
        yield from (Metric(name, value, time, step["step"]) for name, value in _known(values, tuple(values)))


def _known(values: Mapping[str, object], names: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Yield the numbers under `names`; a loss that diverged is none."""
    for name in names:
        value = show.finite(values.get(name))
        if value is not None:
            yield name, value
