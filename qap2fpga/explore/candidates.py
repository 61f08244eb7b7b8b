# SPDX-License-Identifier: Apache-2.0
"""What is to be explored: every checkpoint, by every backend, on every board, in every folding."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qap2fpga import backends, stages
from qap2fpga.board import Board
from qap2fpga.errors import QapError
from qap2fpga.files import sha256
from qap2fpga.predict.calibration import GENERATORS
from qap2fpga.report import studies
from qap2fpga.report.summary import CHECKPOINT, Summary

CURE = "give a folder that `qap2fpga study` wrote, model files, or the STUDY.yaml to train first"
LONGEST_NAME = 120


@dataclass(frozen=True)
class Network:
    """A trained network: its model file and what is known of it before it is lowered.

    Of a study's checkpoint `summary` has the accuracy and more; of a model file, for the time being, the name alone.
    """

    path: Path
    sha256: str
    summary: Summary

    @property
    def name(self) -> str:
        """As it is shown."""
        return self.summary.name


@dataclass(frozen=True)
class Candidate:
    """One network by one backend on one board. `varied` are the options that were asked for, `options` the object.

    `key` is a digest of all that its estimate depends on. `name` is short, and that of the folder of its build.
    """

    name: str
    key: str
    network: Network
    backend: str
    board: Board
    options: Any
    varied: dict[str, Any] = field(default_factory=dict)

    @property
    def clock_ns(self) -> float:
        """The clock that it is made for."""
        return float(getattr(self.options, "clock", None) or self.board.clock_ns)


@dataclass(frozen=True)
class Found:
    """The networks in what the user named, each once; `left_out` says what could not be used, and why."""

    networks: tuple[Network, ...]
    left_out: tuple[str, ...]


def find(places: Sequence[Path]) -> Found:
    """The networks in study folders and model files. Raises `QapError` if there is none."""
    summaries: list[tuple[Summary, Path]] = []
    left_out: list[str] = []
    for place in places:
        if studies.is_study(place):
            study = studies.load(str(place), place)
            summaries += [(one, Path(one.folder) / str(one.model)) for one in study.checkpoints]
            left_out += [f"{place}: the record of run {name} cannot be read" for name in study.unreadable]
        elif place.is_dir():
            raise QapError(f"there is no checkpoint in {place}", CURE)
        elif not place.is_file():
            raise QapError(f"{place} does not exist", CURE)
        else:
            summaries.append((Summary(CHECKPOINT, place.stem, str(place.parent), place.name), place))
    networks: dict[str, Network] = {}
    for summary, path in summaries:
        if path.is_file():
            digest = sha256(path)
            networks.setdefault(digest, Network(path, digest, summary))
        else:
            left_out.append(f"{summary.name}: there is no {path}")
    if not networks:
        raise QapError(f"there is no checkpoint in {', '.join(map(str, places))}", "; ".join(left_out) or CURE)
    return Found(tuple(networks.values()), tuple(left_out))


def candidates(
    networks: Sequence[Network],
    chosen: Sequence[str],
    boards: Sequence[Board],
    given: Mapping[str, Sequence[Any]],
) -> list[Candidate]:
    """Every network by every backend of `chosen` (none: all that predict) on every board in every variant.

    `given` are values of options by name; a backend takes those that it knows, each value a variant. Raises `QapError`
    for a backend that predicts nothing, for a value that it refuses, and for an option that none of them knows.
    """
    names = list(dict.fromkeys(chosen)) or list(GENERATORS)
    for name in names:
        if backends.get(name) and name not in GENERATORS:
            raise QapError(f"sizes of the {name} backend can not be predicted", f"known: {', '.join(GENERATORS)}")
    for key, values in given.items():
        if values and not any(backends.get(name).knows(key) for name in names):
            backends.get(names[0]).make_options(names[0], **{**dict.fromkeys(given), key: values[0]})
    variants = [(name, *variant) for name in names for variant in _variants(name, given)]
    program = stages.digest(stages.program_digest(), stages.versions())
    slugs = _slugs(networks)
    found = []
    for network, (name, varied, options), board in itertools.product(networks, variants, boards):
        key = stages.digest(program, network.sha256, name, asdict(board), asdict(options))
        more = [f"{key.replace('_', '-')}-{value:g}" for key, value in varied.items()]
        label = "-".join([slugs[network.sha256], name, board.name, *more])
        found.append(Candidate(label, key, network, name, board, options, varied))
    return found


def _variants(name: str, given: Mapping[str, Sequence[Any]]) -> list[tuple[dict[str, Any], Any]]:
    """(what is varied, options object) of a backend."""
    backend = backends.get(name)
    known = {key: list(dict.fromkeys(values)) for key, values in given.items() if values and backend.knows(key)}
    combined = (dict(zip(known, values, strict=True)) for values in itertools.product(*known.values()))
    return [(varied, backend.make_options(name, **varied)) for varied in combined]


def _slugs(networks: Sequence[Network]) -> dict[str, str]:
    """By digest, a name for a folder; where two networks have the same one, with the start of the digest."""
    plain = {one.sha256: re.sub(r"[^\w.]+", "-", one.name).strip("-.")[:LONGEST_NAME] for one in networks}
    names = list(plain.values())
    return {digest: name if names.count(name) == 1 else f"{name}-{digest[:8]}" for digest, name in plain.items()}
