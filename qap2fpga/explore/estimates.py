# SPDX-License-Identifier: Apache-2.0
"""The estimates of all candidates: networks lowered once each, results kept as JSON lines, so that a run resumes.

OUTPUT/networks/ID.npz, ID.json    a lowered network and its key numbers, or why there is none
OUTPUT/estimates.jsonl             a line per candidate, as it is ready
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qap2fpga.estimate.prediction import Estimated
from qap2fpga.explore.candidates import Candidate, Network
from qap2fpga.report import show, studies, summary
from qap2fpga.report.schema.network import Model
from qap2fpga.report.summary import Value
from qap2fpga.system.codec import Record, decode, encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import append_json, read_json_lines, write_atomically
from qap2fpga.system.reading import json_object
from qap2fpga.system.versions import digest, program_digest
from qap2fpga.system.workers import Workers

LINES = "estimates.jsonl"
DIED = "its process ended, perhaps for want of memory"
Say = Callable[[str], None]
# What is known of a network, by the names of a `Summary`.
Known = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Line(Record):
    """A candidate's `estimate`, or why there is none: it was `refused`, or it `failed`."""

    key: str
    name: str
    estimate: Estimated | None = None
    refused: str | None = None
    failed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Lowered(Record):
    """What a network's file says of it, or why it could not be lowered."""

    model: Mapping[str, str | int | float | None] | None = None
    refused: str | None = None
    failed: str | None = None


# A study's baseline, trained as floats, has no integers.
FLOAT = Lowered(refused="a float network: there is nothing to build")


@dataclass(frozen=True)
class Estimates:
    """`lines` by the candidate's key, `models` by the network's SHA-256: empty where it could not be lowered."""

    lines: dict[str, Line]
    models: dict[str, Known]


def estimate_all(candidates: Sequence[Candidate], folder: Path, workers: Workers, say: Say) -> Estimates:
    """Estimate what `folder` has no line of. What was refused is final; what failed is tried again."""
    by_key = {one.key: one for one in candidates}
    known = (decode(Line, one, "", str(folder / LINES)) for one in read_json_lines(folder / LINES))
    lines = {one.key: one for one in known if one.key in by_key and one.failed is None}
    networks = {one.network.sha256: one.network for one in candidates if not one.network.is_float}
    places = _lower_all(list(networks.values()), folder, workers, say)
    models = {sha256: _lowered(place.with_suffix(".json")) for sha256, place in places.items()}

    def ended(line: Line) -> None:
        append_json(folder / LINES, encode(line))
        lines[line.key] = line
        say(f"{len(lines)} of {len(candidates)} estimated")

    jobs = []
    for candidate in candidates:
        if candidate.key in lines:
            continue
        sha256 = candidate.network.sha256
        lowered = FLOAT if candidate.network.is_float else models[sha256]
        if lowered.model is not None:
            jobs.append((candidate, places[sha256]))
        else:
            ended(_line(candidate, refused=lowered.refused, failed=lowered.failed))
    workers.each(_estimate, jobs, lambda job, line: ended(line or _line(job[0], failed=DIED)))
    return Estimates(lines, {sha256: one.model or {} for sha256, one in models.items()})


def _lower_all(networks: Sequence[Network], folder: Path, workers: Workers, say: Say) -> dict[str, Path]:
    """Lower the networks that are not there, and return, by SHA-256, where each is."""
    program = program_digest()
    places = {one.sha256: folder / "networks" / f"{digest(program, one.sha256)[:16]}.npz" for one in networks}
    count = 0

    def ended(job: tuple[Path, Path], lowered: Lowered | None) -> None:
        nonlocal count
        count += 1
        write_atomically(job[1].with_suffix(".json"), json.dumps(encode(lowered or Lowered(failed=DIED))))
        say(f"{count} of {len(jobs)} networks lowered")

    jobs = [(one.path, places[one.sha256]) for one in networks if not _there(places[one.sha256])]
    workers.each(_lower, jobs, ended)
    return places


def _there(place: Path) -> bool:
    try:
        lowered = _lowered(place.with_suffix(".json"))
    except QapError:
        return False
    return lowered.refused is not None or (lowered.model is not None and place.is_file())


def _lowered(path: Path) -> Lowered:
    """What is kept of a network that was lowered."""
    lowered: Lowered = decode(Lowered, json_object(path, "explore again"), "", str(path))
    return lowered


def _lower(job: tuple[Path, Path]) -> Lowered:
    """In a process of its own: lower the model file into the `.npz`, and say what is known of it."""
    from qap2fpga.frontend.checkpoint.widths import Widths
    from qap2fpga.frontend.prepare import Source, prepare
    from qap2fpga.ir import storage

    path, place = job
    try:
        prepared = prepare(Source(path, Widths(), compare=False), lambda line: None)
        storage.save(prepared.network, place)
        facts = decode(Model, {**prepared.facts.record(), "file": path.name}, "model", str(path))
        model = summary.values(summary.of_model(path.stem, path.parent, facts))
        known = {name: value for name, value in model.items() if value is not None}
        return Lowered(model={**known, **_recorded_accuracy(path)})
    except Exception as error:  # one network must not stop the others
        refused, failed = _reason(error)
        return Lowered(refused=refused, failed=failed)


def _recorded_accuracy(path: Path) -> Known:
    """What the training that wrote a `model.pt` found on its test set, which is more than the rows in the file."""
    from qap2fpga.frontend.checkpoint import model_file as file
    from qap2fpga.frontend.checkpoint.widths import Widths

    if path.suffix == ".onnx":
        return {}
    provenance = file.read_any(path, Widths()).provenance
    # Of a file of qap2fpga.save the provenance is whatever its user put there.
    metrics: Any = provenance.get("metrics")
    data: Any = provenance.get("data")
    accuracy = show.finite(metrics.get("test_accuracy")) if isinstance(metrics, dict) else None
    if accuracy is None or not isinstance(data, dict):
        return {}
    where = {"accuracy_rows": data.get("test_rows"), "accuracy_data": data.get("sha256") or data.get("name")}
    return {"accuracy": accuracy, "accuracy_from": studies.TEST_SET, **where}


def _estimate(job: tuple[Candidate, Path]) -> Line:
    """In a process of its own: the line of a candidate whose network lies at the path."""
    from qap2fpga.estimate.estimate import estimate
    from qap2fpga.ir import storage

    candidate, place = job
    try:
        estimated = estimate(
            storage.load(place), candidate.target.backend, candidate.target.board, candidate.target.options
        )
    except Exception as error:  # one candidate must not stop the others
        refused, failed = _reason(error)
        return _line(candidate, refused=refused, failed=failed)
    if estimated.refused:
        return _line(candidate, refused=estimated.refused)
    return _line(candidate, estimate=estimated.record)


def _line(
    candidate: Candidate, *, estimate: Estimated | None = None, refused: str | None = None, failed: str | None = None
) -> Line:
    return Line(key=candidate.key, name=candidate.name, estimate=estimate, refused=refused, failed=failed)


def _reason(error: Exception) -> tuple[str | None, str | None]:
    """(refused, failed): input that cannot be used stays so however often it is tried; anything else may have been an
    accident."""
    if isinstance(error, QapError) and error.exit_code == QapError.exit_code:
        return error.message, None
    return None, error.message if isinstance(error, QapError) else f"{type(error).__name__}: {error}"
