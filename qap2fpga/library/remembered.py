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
from qap2fpga.system.cache import Cache
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


@dataclass(frozen=True)
class Memory:
    """Where a network is kept: under the `key` of the files as they were before it was read."""

    cache: Cache
    key: str

    def take(self) -> Parts | None:
        """Return what was read before; None where nothing was, or where it is not as it was left."""
        with tempfile.TemporaryDirectory(prefix="qap2fpga-") as name:
            try:
                result = self.cache.take(self.key, Path(name))
                if not isinstance(result, dict):
                    return None
                return Parts(
                    storage.load(Path(name) / GRAPH), storage.load(Path(name) / LOWERED),
                    codec.convert(Facts, result["facts"], "", "the cache"),
                    codec.convert(tuple[Simulation, ...], result["comparisons"], "", "the cache"),
                )  # fmt: skip
            except (OSError, KeyError, QapError):
                return None  # reading it says what is wrong, if anything is

    def keep(self, parts: Parts) -> None:
        """Keep what was read."""
        with tempfile.TemporaryDirectory(prefix="qap2fpga-") as name:
            for graph, file in ((parts.graph, GRAPH), (parts.lowered, LOWERED)):
                storage.save(graph, Path(name) / file)
            files = {file: sha256(Path(name) / file) for file in (GRAPH, LOWERED)}
            result = {"facts": codec.encode(parts.facts), "comparisons": codec.encode(parts.comparisons)}
            self.cache.keep(self.key, result, files, Path(name))


def memory(source: Source) -> Memory | None:
    """Return where the network of `source` is kept; None without a cache, or where its files cannot be read."""
    kept = cache.users()
    if kept is None:
        return None
    try:
        return Memory(kept, key(source))
    except (OSError, QapError):
        return None  # reading it says what is wrong
