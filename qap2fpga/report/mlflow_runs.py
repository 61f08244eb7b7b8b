# SPDX-License-Identifier: Apache-2.0
"""A study's runs in MLflow, from their records: one MLflow run each, with settings, losses, metrics and files.

A record that is there already is left as it is, so the same command adds what is new. Needs the extra `mlflow`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qap2fpga.report import show, study_folder
from qap2fpga.report.study_folder import RECORD, Entry
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

# Of an MLflow run: what it is a copy of. The digest is written last, so a run without one is not whole.
STUDY, RUN, SETTING, DIGEST = (f"qap2fpga.{name}" for name in ("study", "run", "setting", "record_sha256"))
# MLflow's limits on one request, and on the length of a parameter's value.
METRICS, PARAMETERS, VALUE = 1000, 100, 6000
# Steps of an MLflow metric: the epoch for these, by their names in a record; the pruning step for all others.
OF_AN_EPOCH = ("learning_rate", "training_loss", "validation_loss", "validation_accuracy")
HINT = "is the tracking server at that address, and of a version that the extra 'mlflow' was tested with?"


@dataclass
class Exported:
    """Names of a study's runs: written now, there already, and left out since they have not finished."""

    experiment: str
    address: str
    written: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def heading(self) -> str:
        """Return it in one line."""
        parts = [f"{len(self.written)} runs written", f"{len(self.present)} there already"]
        parts += [f"{len(self.unfinished)} not finished, left out"] if self.unfinished else []
        return f"experiment '{self.experiment}' at {self.address}: {', '.join(parts)}"


def export(folder: Path, experiment: str | None = None, address: str | None = None) -> Exported:
    """Write the finished runs and trials of the study in `folder` to MLflow, and return which.

    Args:
        folder: the study's.
        experiment: MLflow's name of it; the folder's name if not given.
        address: the tracking server or database, such as `http://host:5000`, `sqlite:///runs.db`; MLflow's own choice
            (MLFLOW_TRACKING_URI) if not given.

    Raises:
        QapError: no study, a record that cannot be read, no MLflow, or MLflow refuses.
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
        exported = Exported(name, client.tracking_uri)
        _export(client, folder, (*listed.runs, *listed.trials), exported)
    except MlflowException as error:
        raise QapError(f"MLflow: {error}", HINT) from error
    return exported


def _export(client: MlflowClient, folder: Path, entries: tuple[Entry, ...], exported: Exported) -> None:
    known = client.get_experiment_by_name(exported.experiment)
    experiment = client.create_experiment(exported.experiment) if known is None else known.experiment_id
    place = str(folder.resolve())
    digests, others = _present(client, experiment, place)
    for entry in entries:
        record: dict[str, Any] = entry.record() if entry.begun else {}
        if not record.get("finished"):
            exported.unfinished.append(entry.name)
            continue
        digest = sha256(entry.folder / RECORD)
        if digest in digests:
            exported.present.append(entry.name)
            continue
        for former in others.get(entry.name, ()):
            client.delete_run(former)
        _write(client, experiment, entry, record, {STUDY: place, RUN: entry.name, SETTING: entry.setting}, digest)
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
    begun = end - int(1000 * (show.finite(record.get("seconds")) or 0.0))
    try:
        parameters = [Param(path, value[:VALUE]) for path, value in _flat(record["config"])]
        metrics = list(_metrics(record, end))
    except (KeyError, TypeError, AttributeError) as error:
        raise QapError(f"{entry.folder / RECORD} is not a run's record: {error!r}", study_folder.HINT) from error
    run = client.create_run(experiment, start_time=begun, tags=tags, run_name=entry.name).info.run_id
    for start in range(0, len(parameters), PARAMETERS):
        client.log_batch(run, params=parameters[start : start + PARAMETERS])
    for start in range(0, len(metrics), METRICS):
        client.log_batch(run, metrics=metrics[start : start + METRICS])
    # Names of files are this folder's own: those in a record are only text.
    for path in (entry.folder / RECORD, *sorted(entry.folder.glob("*.pt"))):
        client.log_artifact(run, str(path))
    client.set_tag(run, DIGEST, digest)
    client.set_terminated(run, end_time=end)


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
