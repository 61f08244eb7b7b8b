# SPDX-License-Identifier: Apache-2.0
"""What is to be explored: every checkpoint, by every backend, on every board, in every folding."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qap2fpga import backends
from qap2fpga.backends.api import Options
from qap2fpga.estimate.calibration import GENERATORS
from qap2fpga.frontend.modelfiles import model_digest
from qap2fpga.hw.boards import Board
from qap2fpga.report import studies, study_folder
from qap2fpga.report.study_means import FLOAT_BITS
from qap2fpga.report.summary import CHECKPOINT, Summary
from qap2fpga.system import versions as stamps
from qap2fpga.system.errors import QapError

HINT = "give a folder that `qap2fpga study` wrote, model files, or the STUDY.yaml to train first"
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

    @property
    def is_float(self) -> bool:
        """Whether its study trained it as floats."""
        return self.summary.weight_bits == FLOAT_BITS


@dataclass(frozen=True)
class Target:
    """One backend on one board. `varied` are the options that were asked for, `options` the backend's own object."""

    backend: str
    board: Board
    options: Options
    varied: dict[str, Any] = field(default_factory=dict)

    @property
    def clock_ns(self) -> float:
        """The clock that hardware is made for."""
        return self.options.clock_ns(self.board)


@dataclass(frozen=True)
class Candidate:
    """One network on one target. `key` is a digest of all that its estimate depends on, `name` that of its folder."""

    name: str
    key: str
    network: Network
    target: Target


@dataclass(frozen=True)
class Networks:
    """The networks in what the user named, each once; `left_out` says what could not be used, and why."""

    networks: tuple[Network, ...]
    left_out: tuple[str, ...]


def require(place: Path) -> None:
    """Raise `QapError` for a place that is neither a study nor a file."""
    if not place.exists():
        raise QapError(f"{place} does not exist", HINT)
    if place.is_dir() and not study_folder.is_study(place):
        raise QapError(f"{place} is not a study: there is no study.json in it", HINT)


def find(places: Sequence[Path]) -> Networks:
    """The networks in `places`, which `require` let pass. Raises `QapError` if there is none."""
    summaries: list[tuple[Summary, Path]] = []
    left_out: list[str] = []
    for place in places:
        if study_folder.is_study(place):
            study = studies.load(str(place), place)
            summaries += [(one, Path(one.folder) / str(one.model)) for one in study.checkpoints]
            left_out += [f"{place}: the record of run {name} cannot be read" for name in study.unreadable]
        else:
            summaries.append((Summary(CHECKPOINT, place.stem, str(place.parent), place.name), place))
    networks: dict[str, Network] = {}
    for summary, path in summaries:
        if path.is_file():
            digest = model_digest(path)
            networks.setdefault(digest, Network(path, digest, summary))
        else:
            left_out.append(f"{summary.name}: there is no {path}")
    if not networks:
        raise QapError(f"there is no checkpoint in {', '.join(map(str, places))}", "; ".join(left_out) or HINT)
    return Networks(tuple(networks.values()), tuple(left_out))


def targets(chosen: Sequence[str], boards: Sequence[Board], arguments: Mapping[str, Sequence[Any]]) -> list[Target]:
    """Every backend of `chosen` (none: all that can be) on every board in every variant.

    `arguments` are values of options by name; a backend takes those that it knows, each value a variant. Raises
    `QapError` for a backend whose synthesis is not predicted, for a value that it refuses, and for an unknown option.
    """
    names = list(dict.fromkeys(chosen)) or list(GENERATORS)
    for name in names:
        if backends.get(name) and name not in GENERATORS:
            what = f"what synthesis will find of the {name} backend's code is not predicted, so it cannot be compared"
            raise QapError(what, f"known: {', '.join(GENERATORS)}")
    for key, values in arguments.items():
        if values and not any(backends.get(name).knows(key) for name in names):
            backends.get(names[0]).make_options(**{**dict.fromkeys(arguments), key: values[0]})
    return [
        Target(name, board, options, varied)
        for name in names
        for varied, options in _variants(name, arguments)
        for board in boards
    ]


def candidates(networks: Sequence[Network], on: Sequence[Target]) -> list[Candidate]:
    """Every network on every target."""
    program = stamps.digest(stamps.program_digest(), stamps.versions())
    slugs = _slugs(networks)
    result = []
    for network, target in itertools.product(networks, on):
        key = stamps.digest(program, network.sha256, target.backend, asdict(target.board), asdict(target.options))
        more = [f"{option.replace('_', '-')}-{value:g}" for option, value in target.varied.items()]
        name = "-".join([slugs[network.sha256], target.backend, target.board.name, *more])
        result.append(Candidate(name, key, network, target))
    return result


def _variants(name: str, arguments: Mapping[str, Sequence[Any]]) -> list[tuple[dict[str, Any], Any]]:
    """(what is varied, options object) of a backend."""
    backend = backends.get(name)
    known = {key: list(dict.fromkeys(values)) for key, values in arguments.items() if values and backend.knows(key)}
    combined = (dict(zip(known, values, strict=True)) for values in itertools.product(*known.values()))
    return [(varied, backend.make_options(**varied)) for varied in combined]


def _slugs(networks: Sequence[Network]) -> dict[str, str]:
    """By digest, a name for a folder; where two networks have the same one, with the start of the digest."""
    plain = {one.sha256: re.sub(r"[^\w.]+", "-", one.name).strip("-.")[:LONGEST_NAME] for one in networks}
    names = list(plain.values())
    return {digest: name if names.count(name) == 1 else f"{name}-{digest[:8]}" for digest, name in plain.items()}
