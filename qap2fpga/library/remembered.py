# SPDX-License-Identifier: Apache-2.0
"""Networks that were read before, from the user's cache: a notebook that is run again, an estimate for another board.

What a model file's network is takes torch, Brevitas and a comparison of thousands of rows; what it was, none of these.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from qap2fpga.frontend.facts import Facts
from qap2fpga.frontend.modelfiles import model_digest
from qap2fpga.frontend.source import Source
from qap2fpga.ir import storage
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.system import cache, codec, versions
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256

GRAPH, LOWERED = "network.npz", "network.lowered.npz"


@dataclass(frozen=True)
class Parts:
    """What is known of a model file's network: see `Network`."""

    graph: Graph
    lowered: Graph
    facts: Facts
    comparisons: tuple[Simulation, ...]


def key(source: Source) -> str:
    """Return a digest of all that the network of `source` follows from. Raises `OSError` where a file is not there."""
    given = {**asdict(source), "path": source.path.name, "data": source.data and source.data.name}
    files = (model_digest(source.path), source.data and sha256(source.data))
    return versions.digest("read", versions.program_digest(), versions.versions(), given, files)


def take(source: Source) -> Parts | None:
    """Return what was read of `source` before; None where nothing was, or where it is not as it was left."""
    kept = cache.users()
    if kept is None:
        return None
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as name:
        try:
            result = kept.take(key(source), Path(name))
            if not isinstance(result, dict):
                return None
            return Parts(
                storage.load(Path(name) / GRAPH), storage.load(Path(name) / LOWERED),
                codec.convert(Facts, result["facts"], "", "the cache"),
                codec.convert(tuple[Simulation, ...], result["comparisons"], "", "the cache"),
            )  # fmt: skip
        except (OSError, KeyError, QapError):
            return None  # reading it says what is wrong, if anything is


def keep(source: Source, parts: Parts) -> None:
    """Keep what was read of `source`."""
    kept = cache.users()
    if kept is None:
        return
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as name:
        for graph, file in ((parts.graph, GRAPH), (parts.lowered, LOWERED)):
            storage.save(graph, Path(name) / file)
        files = {file: sha256(Path(name) / file) for file in (GRAPH, LOWERED)}
        result = {"facts": codec.encode(parts.facts), "comparisons": codec.encode(parts.comparisons)}
        kept.keep(key(source), result, files, Path(name))
