# SPDX-License-Identifier: Apache-2.0
"""How alike the layers of two networks are in what they see of the same inputs: SVCCA.

Raghu et al. 2017, "SVCCA: Singular Vector Canonical Correlation Analysis" (arXiv 1706.05806). Two layers are alike
where one's activations are a linear function of the other's, whatever neurons they are spread over: so a pruned network
can be compared with the one that it was made of, and a network of few bits with one of many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.library.table import Table, Tabular, Value, of_dicts
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically

if TYPE_CHECKING:
    from qap2fpga.library.network import Network

__all__ = ["Similarity"]

# The share of the variance of a layer's activations that is kept, as in the paper.
KEPT = 0.99


@dataclass(frozen=True, eq=False, repr=False)
class Similarity(Tabular):
    """The similarity of every layer of one network and every layer of another, 0 to 1; `Network.similarity` gives it.

    Attributes:
        first, second: what the networks are called, and `rows` and `columns` their layers.
        values: (rows, columns) mean canonical correlations of the directions that hold 99 % of each layer's variance;
            NaN where a layer always has the same result.
        samples: rows of inputs, times positions where layers of images have as many of them.
    """

    first: str
    second: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    samples: int

    @property
    def heading(self) -> str:
        """Return the comparison in one line."""
        return f"{self.first} (down) and {self.second} (across), {self.samples:,} rows of inputs"

    @property
    def table(self) -> Table:
        """One row per layer of the first network, one column per layer of the second."""
        rows: list[dict[str, Value]] = []
        for name, values in zip(self.rows, self.values.tolist(), strict=True):
            known = [None if np.isnan(value) else value for value in values]
            rows.append({"layer": name, **dict(zip(self.columns, known, strict=True))})
        return of_dicts(rows)

    def figure(self, path: str | Path) -> Path:
        """Draw the similarities as shaded squares with their values into `path`, a .png or .svg, and return it.

        Raises:
            QapError: `path` ends otherwise, or matplotlib is not installed.
        """
        path = Path(path)
        if path.suffix not in (".png", ".svg"):
            raise QapError(f"a figure is a .png or an .svg, not {path.name!r}", "name it figure.png")
        try:
            from qap2fpga.train.figures.squares import render
        except ImportError as error:
            raise QapError("matplotlib is not installed", "pip install 'qap2fpga[train]'") from error
        write_atomically(path, render(self.values, self.rows, self.columns, self.first, self.second, path.suffix[1:]))
        return path


def similarity(first: Network, second: Network, traces: tuple[Mapping[str, np.ndarray], ...]) -> Similarity:
    """Return the similarity of the nodes of two networks, whose results for the same inputs are in `traces`.

    Of a layer what leaves its requantizer counts.
    """
    names = [_layers(one) for one in (first, second)]
    results = [[trace[name] for name in chosen] for trace, chosen in zip(traces, names, strict=True)]
    values = np.array([[svcca(a, b) for b in results[1]] for a in results[0]], float)
    samples = len(results[0][0])
    return Similarity(first.facts.file, second.facts.file, tuple(names[0]), tuple(names[1]), values, samples)


def svcca(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean canonical correlation of two layers' activations, NaN where one of them is constant.

    Args:
        first, second: (n, channels) or (n, height, width, channels) for the same n inputs. Positions are samples where
            both have as many rows and columns of them, else their mean is one.

    Raises:
        QapError: fewer samples than would tell a correlation from chance.
    """
    left, right = _samples(first, second)
    a, b = _directions(left), _directions(right)
    if not a.shape[1] or not b.shape[1]:
        return float("nan")
    if len(a) <= a.shape[1] + b.shape[1]:
        # So many directions fit any others exactly.
        raise QapError(
            f"{len(a)} rows are too few to compare layers of {a.shape[1]} and {b.shape[1]} directions",
            f"give more than {a.shape[1] + b.shape[1]}, better ten times as many",
        )
    # Both are orthonormal: the singular values of their product are the canonical correlations.
    correlations = np.linalg.svd(np.tensordot(a, b, ((0,), (0,))), compute_uv=False)
    return float(np.clip(correlations, 0, 1).mean())


def _layers(network: Network) -> list[str]:
    """Return the nodes that compute something whose result no requantizer alone reads, which stands for both then."""
    readers: dict[str, list[str]] = {}
    for row in network.nodes:
        for source in str(row["takes"]).split(", "):
            readers.setdefault(source, []).append(str(row["kind"]))
    return [
        str(row["name"])
        for row in network.nodes
        if row["takes"] and readers.get(str(row["name"])) != ["requantize"]
    ]  # fmt: skip


def _samples(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.ndim == second.ndim == 4 and first.shape[:3] == second.shape[:3]:
        return first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1])
    means = (one.mean(axis=(1, 2)) if one.ndim == 4 else one for one in (first, second))
    left, right = means
    return left, right


def _directions(values: np.ndarray) -> np.ndarray:
    """Return orthonormal directions (n, k) that hold `KEPT` of the variance of `values`, the largest first."""
    centred = values.astype(float) - values.mean(axis=0)
    directions, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    shares = np.cumsum(sizes**2)
    if not len(shares) or shares[-1] <= 0:
        return directions[:, :0]
    kept = int(np.searchsorted(shares, KEPT * shares[-1])) + 1
    return directions[:, :kept]
