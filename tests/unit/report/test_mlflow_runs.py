# SPDX-License-Identifier: Apache-2.0
"""A study's runs in MLflow's own database: all of them once, whole, and only what has finished."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qap2fpga.report import mlflow_runs
from qap2fpga.system.errors import QapError
from tests.support import studies
from tests.support.command import run as command

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STEPS = len(studies.SPARSITIES)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """MLflow keeps its files in the working folder, and asks nobody outside; what it warns of is its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    """One database, whose tables take seconds to make; each test has an experiment of its own in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/runs.db")


def runs(client: MlflowClient, name: str) -> dict[str, Any]:
    return {run.info.run_name: run for run in client.search_runs([client.get_experiment_by_name(name).experiment_id])}


def edit(path: Path, **changes: Any) -> None:
    studies.dump(path, {**json.loads(path.read_text()), **changes})


def test_runs_and_trials_arrive_whole_and_once(tmp_path: Path, client: MlflowClient) -> None:
    configs = [studies.configure(bits=bits) for bits in (6, 4)]
    folder = studies.write(tmp_path / "bits", configs, studies.trials()[:1])
    (folder / "runs" / "run-000" / "step0.pt").write_bytes(b"weights")
    # One that is not done yet, and one that diverged: its loss is no number.
    edit(folder / "runs" / "run-001" / "record.json", finished=False)
    record = json.loads((folder / "runs" / "run-000" / "record.json").read_text())
    record["steps"][0]["epochs"][1]["validation_loss"] = float("nan")
    studies.dump(folder / "runs" / "run-000" / "record.json", record)

    first = mlflow_runs.export(folder, address=client.tracking_uri)
    assert (first.written, first.present, first.unfinished) == (["run-000", "trial-000"], [], ["run-001"])
    there = runs(client, "bits")["run-000"]
    assert there.data.params["model.weight_bits"] == "6" and there.data.params["pruning.schedule"] == "fine_tuning"
    assert there.data.params["fold"] == "null" and there.info.status == "FINISHED"
    assert there.info.end_time - there.info.start_time == 1000
    history = {name: client.get_metric_history(there.info.run_id, name) for name in ("validation_loss", "zeros")}
    epochs = sum(len(step["epochs"]) for step in record["steps"])
    assert sorted(one.step for one in history["validation_loss"]) == [0, *range(2, epochs)]
    assert [one.value for one in history["zeros"]] == list(studies.SPARSITIES)
    assert there.data.metrics["test_accuracy"] == record["steps"][-1]["metrics"]["test"]["accuracy"]
    assert {one.path for one in client.list_artifacts(there.info.run_id)} == {"record.json", "step0.pt"}

    edit(folder / "runs" / "run-001" / "record.json", finished=True)
    second = mlflow_runs.export(folder, address=client.tracking_uri)
    assert (second.written, second.present) == (["run-001"], ["run-000", "trial-000"])
    assert second.heading.endswith("1 run written, 2 there already")


def test_a_changed_record_and_an_interrupted_export_replace_what_was_there(
    tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    folder = studies.write(tmp_path / "changed", [studies.configure(bits=6)])

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", refuse)
        assert mlflow_runs.export(folder, address=client.tracking_uri).failed == {"run-000": "the disk is full"}
    (broken,) = runs(client, "changed").values()
    assert broken.info.status == "FAILED"
    mlflow_runs.export(folder, address=client.tracking_uri)
    (whole,) = runs(client, "changed").values()
    assert whole.info.run_id != broken.info.run_id
    edit(folder / "runs" / "run-000" / "record.json", seconds=2.0)
    assert mlflow_runs.export(folder, address=client.tracking_uri).written == ["run-000"]
    (newer,) = runs(client, "changed").values()
    assert newer.info.end_time - newer.info.start_time == 2000


def test_one_run_that_does_not_go_through_stops_no_other(tmp_path: Path, client: MlflowClient) -> None:
    folder = studies.write(tmp_path / "odd", [studies.configure(bits=bits) for bits in (2, 3, 4, 5, 6)])
    records = [folder / "runs" / f"run-{number:03}" / "record.json" for number in range(5)]
    record = json.loads(records[0].read_text())
    record["steps"][0]["step"] = 2**63
    studies.dump(records[0], record)
    records[1].write_text("[")
    edit(records[2], config={"a;b": {"": 1}})
    (folder / "runs" / "run-003").rename(tmp_path / "elsewhere")
    (folder / "runs" / "run-003").symlink_to(tmp_path / "elsewhere")
    (folder / "runs" / "run-004" / "step0.pt").symlink_to("/etc/hostname")
    edit(records[4], seconds=1e300)
    exported = mlflow_runs.export(folder, address=client.tracking_uri)
    assert exported.written == ["run-004"] and set(exported.failed) == {f"run-00{number}" for number in range(4)}
    assert "outside" in exported.failed["run-003"] and exported.heading.endswith("4 failed")
    with pytest.raises(QapError, match="run run-000: "):
        exported.check()
    kept = next(run for run in runs(client, "odd").values() if run.info.status == "FINISHED")
    assert [one.path for one in client.list_artifacts(kept.info.run_id)] == ["record.json"]
    # Beside the database, not in the working folder.
    assert not list(tmp_path.glob("mlruns")) and "/mlruns" in kept.info.artifact_uri
    database = Path(client.tracking_uri.removeprefix("sqlite:///"))
    assert kept.info.artifact_uri.startswith(database.parent.as_uri())


def test_a_password_is_not_shown() -> None:
    assert mlflow_runs._without_password("http://me:secret@host:5000/x refused") == "http://host:5000/x refused"


def test_more_metrics_than_one_request_takes(
    tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = studies.write(tmp_path / "many", [studies.configure(bits=6)])
    monkeypatch.setattr(mlflow_runs, "METRICS", 50)
    monkeypatch.setattr(mlflow_runs, "PARAMETERS", 3)
    mlflow_runs.export(folder, address=client.tracking_uri)
    (run,) = runs(client, "many").values()
    assert len(client.get_metric_history(run.info.run_id, "zeros")) == STEPS and len(run.data.params) > 10


def test_the_command_and_what_it_refuses(tmp_path: Path, client: MlflowClient) -> None:
    folder = studies.write(tmp_path / "s", [studies.configure(bits=6)])
    address = client.tracking_uri
    result = command("mlflow", folder, "--experiment", "jets", "--address", address)
    assert result.code == 0
    assert " ".join(result.out.split()) == f"experiment 'jets' at {address}: 1 run written, 0 there already"
    assert "is not a study" in command("mlflow", tmp_path).err
    result = command("mlflow", folder, "--address", "gopher://nowhere")
    assert result.code == 2 and "MLflow: " in result.err and "tracking server" in result.err
    edit(folder / "runs" / "run-000" / "record.json", steps=[{}])
    result = command("mlflow", folder, "--address", address)
    assert result.code == 2 and "record.json is not a run's record: KeyError('metrics')" in " ".join(result.err.split())
    assert "1 failed" in result.out


def test_without_mlflow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = studies.write(tmp_path / "s", [studies.configure(bits=6)])
    monkeypatch.setitem(__import__("sys").modules, "mlflow.exceptions", None)
    with pytest.raises(QapError, match="MLflow is not installed") as caught:
        mlflow_runs.export(folder)
    assert "qap2fpga[mlflow]" in str(caught.value.hint)
