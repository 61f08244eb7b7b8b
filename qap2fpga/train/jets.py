# SPDX-License-Identifier: Apache-2.0
"""Simulated 1 TeV jets of five classes, with the features of the hls4ml LHC jet data.

A graviton resonance of 2 TeV, made in 13 TeV proton collisions, decays to a pair of gluons, light quarks,
tops, W or Z bosons (Pythia 8.3, arXiv:2203.11601); bosons decay to quarks. Visible particles with |eta| < 4
are clustered into anti-kT jets of radius 0.8 (FastJet, arXiv:1111.6097). A jet with a pT of 920 to 1080 GeV
and |eta| < 1.5 is kept, at most one an event, so that no two jets are related. Grooming is the modified mass
drop tagger (Dasgupta et al. 2013, arXiv:1307.0007) with z_cut = 0.1 on a Cambridge/Aachen tree, following the
harder branch.

There is no detector simulation, and the generator differs from that of the hls4ml data: accuracies measured
here compare networks with each other, not with published ones.

Generation is cut into chunks. A chunk depends on nothing but its recipe (class, number, seed, settings,
versions), whose hash is in its file name: a run that was stopped goes on where it was, and chunks of two
recipes never mix.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.processes import each
from qap2fpga.train.clustering import JET_ETA, JET_PT, PARTICLE_ETA, RADIUS, Z_CUT, one_jet
from qap2fpga.train.features import FEATURES, FloatArray, leading

CLASSES = ("g", "q", "t", "w", "z")

COMMON_SETTINGS = (
    "Print:quiet = on",
    "Beams:eCM = 13000.",
    "ExtraDimensionsG*:all = on",
    "5100039:m0 = 2000",
    "5100039:mWidth = 20",
    "5100039:mMin = 1900",
    "5100039:mMax = 2200",
    "5100039:doForceWidth = on",
    "5100039:onMode = off",
    "23:onMode = off",
    "23:onIfAny = 1 2 3 4 5",
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
)
DECAYS = {
    "g": "5100039:onIfMatch = 21 21",
    "q": "5100039:onIfAny = 1 2 3",
    "t": "5100039:onIfMatch = 6 -6",
    "w": "5100039:onIfMatch = 24 -24",
    "z": "5100039:onIfMatch = 23 23",
}
TESTED_VERSION = "install the tested version: pip install 'qap2fpga[simulate]'"
# Pythia's seeds end at 900,000,000: 1,800 seeds of ours, 5 classes, 100,000 chunks.
CHUNKS_A_CLASS = 100_000
SEEDS = 1_800


@dataclass(frozen=True)
class JetConfig:
    """What to simulate and where to put it.

    `folder` keeps the chunks; `output` is the merged npz: X (N, 16) float32 raw features, y (N,) int64,
    features, classes, recipe (JSON). Rows are chunk by chunk, the classes taking turns.
    With `constituents` there is also `particles` (N, constituents, 3) float32, see `features.leading`.
    """

    output: Path
    folder: Path
    jets_a_class: int = 4800
    chunk: int = 200
    seed: int = 1
    processes: int | None = None  # None: one per core
    constituents: int = 0  # of each jet, the hardest


@dataclass(frozen=True)
class Chunk:
    """One unit of work: `size` jets of class `name`, a function of these values alone."""

    name: str
    number: int
    size: int
    seed: int
    constituents: int = 0

    def recipe(self) -> dict[str, object]:
        """Everything that decides the content, as plain JSON values."""
        particles = {"constituents": self.constituents} if self.constituents else {}
        return {
            "class": self.name,
            "chunk": self.number,
            "jets": self.size,
            "seed": self.seed,
            "settings": [*COMMON_SETTINGS, DECAYS[self.name]],
            "cuts": [RADIUS, PARTICLE_ETA, JET_ETA, *JET_PT, Z_CUT],
            "features": list(FEATURES),
            "versions": versions(),
            **particles,
        }

    def path(self, folder: Path) -> Path:
        """Return the file of this chunk; another recipe gives another name."""
        digest = hashlib.sha256(json.dumps(self.recipe()).encode()).hexdigest()[:12]
        return folder / f"{self.name}-{self.number:05d}-{digest}.npy"

    def pythia_seed(self) -> int:
        """Different for every (seed, class, number), within Pythia's 1..900,000,000."""
        return 1 + (self.seed * len(CLASSES) + CLASSES.index(self.name)) * CHUNKS_A_CLASS + self.number


JetSource = Callable[[Chunk], NDArray[np.float32]]


def versions() -> dict[str, str]:
    """Versions of the simulation programs. Raises `QapError` if one is not installed."""
    try:
        return {name: importlib.metadata.version(name) for name in ("pythia8mc", "fastjet")}
    except importlib.metadata.PackageNotFoundError as error:
        raise QapError(f"simulating jets needs {error.name}", "pip install 'qap2fpga[simulate]'") from error


def generate(config: JetConfig, report: Callable[[str], None]) -> Path:
    """Simulate the chunks that are not there yet, on all cores, merge them and return `config.output`.

    Raises `QapError` for a missing extra or numbers out of range, before any work.
    """
    _check(config)
    versions()
    folder, chunks = config.folder, list(chunks_of(config))
    missing = [chunk for chunk in chunks if not chunk.path(folder).exists()]
    report(f"{len(chunks) - len(missing)} of {len(chunks)} chunks are there")
    written = len(chunks) - len(missing)

    def ended(chunk: Chunk, path: Path | None) -> None:
        nonlocal written
        if path is None:
            raise QapError(f"the process of {chunk} died, perhaps for want of memory", "give fewer --processes")
        written += 1
        report(f"chunk {written} of {len(chunks)}")

    each(partial(_write_silently, folder=folder), missing, config.processes or os.cpu_count() or 1, ended)
    merge(config)
    return config.output


def chunks_of(config: JetConfig) -> Iterator[Chunk]:
    """All chunks in merging order: first chunk of each class, second chunk of each class, and so on."""
    for number, start in enumerate(range(0, config.jets_a_class, config.chunk)):
        for name in CLASSES:
            yield Chunk(name, number, min(config.chunk, config.jets_a_class - start), config.seed, config.constituents)


def write_chunk(chunk: Chunk, folder: Path, source: JetSource | None = None) -> Path:
    """Simulate one chunk and write it whole; `source` replaces the simulation in tests."""
    content = io.BytesIO()
    np.save(content, (source or simulate)(chunk))
    path = chunk.path(folder)
    write_atomically(path, content.getvalue())
    return path


def merge(config: JetConfig) -> None:
    """Write all chunks into `config.output`. Raises `QapError` if one is not there."""
    rows, labels = [], []
    for chunk in chunks_of(config):
        path = chunk.path(config.folder)
        if not path.exists():
            raise QapError(f"chunk {path} is missing", "run the generation again: it goes on where it was")
        rows.append(np.load(path))
        labels.append(np.full(chunk.size, CLASSES.index(chunk.name), np.int64))
    recipe = {
        "jets_a_class": config.jets_a_class,
        "chunk": config.chunk,
        "seed": config.seed,
        "settings": list(COMMON_SETTINGS),
        "decays": DECAYS,
        "cuts": {
            "radius": RADIUS,
            "particle_eta": PARTICLE_ETA,
            "jet_eta": JET_ETA,
            "jet_pt": JET_PT,
            "z_cut": Z_CUT,
        },
        "versions": versions(),
    }
    jets = np.concatenate(rows)
    particles: dict[str, Any] = {}
    if config.constituents:
        recipe["constituents"] = config.constituents
        particles["particles"] = jets[:, len(FEATURES) :].reshape(len(jets), config.constituents, 3)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        X=jets[:, : len(FEATURES)],
        y=np.concatenate(labels),
        features=np.array(FEATURES),
        classes=np.array(CLASSES),
        recipe=np.array(json.dumps(recipe)),
        **particles,
    )
    write_atomically(config.output, content.getvalue())


def simulate(chunk: Chunk) -> NDArray[np.float32]:
    """Return `chunk.size` simulated jets, one per row: 16 features, then three numbers of each constituent.

    Raises `QapError` for a missing extra.
    """
    pythia = _load("pythia8mc").Pythia("", False)
    fastjet = _load("fastjet")
    seeds = ("Random:setSeed = on", f"Random:seed = {chunk.pythia_seed()}")
    for setting in (*COMMON_SETTINGS, DECAYS[chunk.name], *seeds):
        if not pythia.readString(setting):
            raise QapError(f"Pythia does not know '{setting}'", TESTED_VERSION)
    if not pythia.init():
        raise QapError("Pythia does not start with our settings", TESTED_VERSION)
    chance = np.random.default_rng(chunk.pythia_seed())
    rows: list[FloatArray] = []
    while len(rows) < chunk.size:
        if not pythia.next():
            continue
        jet = one_jet(fastjet, pythia.event, int(chance.integers(2)))
        if jet is not None:
            rows.append(np.concatenate([jet.features, leading(jet.constituents, chunk.constituents).reshape(-1)]))
    return np.array(rows, np.float32)


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise QapError(f"simulating jets needs {name}", "pip install 'qap2fpga[simulate]'") from error


def _write_silently(chunk: Chunk, folder: Path) -> Path:
    """Write `chunk` in a process of its own, whose standard output goes nowhere: FastJet prints a banner from C++."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return write_chunk(chunk, folder)


def _check(config: JetConfig) -> None:
    if config.jets_a_class < 1 or config.chunk < 1:
        raise QapError("jets and chunk size must be at least 1", "ask for one jet or more")
    if config.constituents < 0:
        raise QapError(f"{config.constituents} constituents", "give how many of each jet to keep, or leave it out")
    if not 0 <= config.seed < SEEDS:
        raise QapError(f"seed {config.seed} is out of range", f"choose 0 to {SEEDS - 1}")
    if (config.jets_a_class - 1) // config.chunk >= CHUNKS_A_CLASS:
        raise QapError("too many chunks", "choose larger chunks")
    if config.processes is not None and config.processes < 1:
        raise QapError("processes must be at least 1", "leave it out to use all cores")
