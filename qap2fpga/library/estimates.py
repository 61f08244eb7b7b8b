# SPDX-License-Identifier: Apache-2.0
"""What a network is expected to take on boards, from the network alone: nothing is generated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from qap2fpga import backends
from qap2fpga.backends.api import Options
from qap2fpga.estimate.estimate import Estimate
from qap2fpga.estimate.estimate import estimate as expected_of
from qap2fpga.estimate.features import DenseFeatures, of_network
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir.graph import Graph
from qap2fpga.library import sources
from qap2fpga.library.network import Network, read
from qap2fpga.library.sources import board_of, options_of, several
from qap2fpga.library.table import Items, Table, Value, of_dicts
from qap2fpga.report import show
from qap2fpga.system.beside import Beside, has_room
from qap2fpga.system.errors import QapError

__all__ = ["Estimates", "estimate"]

CYCLES = ("latency_cycles", "interval_cycles")


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(Items[Estimate]):
    """Estimates of one network, one per backend and board; a sequence of them.

    Attributes:
        name: the model's file.
        layers: what the layers add up to before any backend: BOPs, EBOPs, adders, by layer.
        estimates: the estimates. Each has `backend`, `board`, `fits`, `calibrated` and `predictions`: for each of lut,
            ff, dsp, bram18, latency_cycles and interval_cycles a value with the lowest and highest that nearly all
            measured designs had. `fits` is None where that is not known: where it was `refused`, and of hls4ml.
    """

    name: str
    layers: Mapping[str, DenseFeatures]
    estimates: tuple[Estimate, ...]

    @property
    def items(self) -> tuple[Estimate, ...]:
        """Return the estimates."""
        return self.estimates

    @property
    def heading(self) -> str:
        """Return the estimates in one line."""
        refused = sum(bool(one.refused) for one in self.estimates)
        fits = Counter(one.fits for one in self.estimates if not one.refused)
        kinds = {"may not": fits[False], "not known": fits[None], "refused": refused}
        number = show.several(len(self.estimates), "estimate")
        known = "1 fits its board" if fits[True] == 1 else f"{fits[True]} fit their board"
        return ", ".join(
            [f"{self.name}: {number}", known, *(f"{count} {kind}" for kind, count in kinds.items() if count)]
        )

    @property
    def table(self) -> Table:
        """One row per backend and board: cells and cycles with their ranges, and why not where it was refused."""
        return of_dicts([_row(one) for one in self.estimates])


@dataclass(frozen=True)
class Targets:
    """What to estimate for: each of `options`, by backend, on each of `boards`."""

    boards: tuple[Board, ...]
    options: Mapping[str, Options]


def estimate(
    network: Network | str | Path,
    board: str | Board | Sequence[str | Board] | None = None,
    backend: str | None = None,
    **options: object,
) -> Estimates:
    """Return what `network` is expected to take, without generating anything.

    Args:
        network: what `load` gives, or a model file that says all itself.
        board: a name that `qap2fpga boards` lists, or a board's YAML file, one or several; None: every board.
        backend: 'finn', 'hls4ml' or 'rtl'; None: every backend.
        **options: options of the backends, as of `build`: `clock` in ns (rtl, hls4ml), `target_fps` (finn),
            `strategy`, `io_type`, `reuse_factor` (hls4ml). Without a `backend` each goes to those that know it.

    Returns:
        Numbers of stage 'synthesis' as Yosys counts them (of hls4ml: as C synthesis states them), with ranges where
        designs of the backend were measured on such a family: docs/calibration.

    Raises:
        QapError: an unknown board, backend or option, or a file that cannot be used. A network that a backend cannot
            build is no error: its estimate says why in `refused`.
    """
    chosen = targets(board, backend, options)
    if not isinstance(network, Network):
        wanted = sources.source(network, Widths(), None, None, (), "logits", compare=False)
        network = read(wanted, quiet=True)
    return of_targets(network, chosen)


def targets(
    board: str | Board | Sequence[str | Board] | None, backend: str | None, options: Mapping[str, object]
) -> Targets:
    """Return what to estimate for. An option that no chosen backend knows is an error; without a `backend`, one that
    only some know is for those.
    """
    chosen = [backend] if backend else backends.names()
    every = tuple(map(board_of, boards.names() if board is None else several(board)))
    given = {name: value for name, value in options.items() if value is not None}
    for name in given if backend is None else ():
        if not any(backends.get(one).knows(name) for one in chosen):
            hint = "name the backend, and what it lets its user choose is said"
            raise QapError(f"no backend has an option {backends.option(name)}", hint)
    known = {
        name: given if backend else {key: value for key, value in given.items() if backends.get(name).knows(key)}
        for name in chosen
    }
    made = {name: options_of(backends.get(name), arguments) for name, arguments in known.items()}
    return Targets(every, made)


def of_targets(network: Network, wanted: Targets) -> Estimates:
    """Return the estimates of `network` for what is wanted.

    Of several backends the first is computed beside the others.
    """
    graph, (first, *others) = network.graph, wanted.options
    with ExitStack() as stack:
        if others and first in backends.BACKENDS and has_room():
            beside = stack.enter_context(Beside(_by, first, graph, wanted))
            rest = [one for name in others for one in _by(name, graph, wanted)]
            estimates = [*beside.result(), *rest]
        else:
            estimates = [one for name in wanted.options for one in _by(name, graph, wanted)]
        return Estimates(network.facts.file, of_network(graph), tuple(estimates))


def _by(backend: str, graph: Graph, wanted: Targets) -> list[Estimate]:
    """The estimates of one backend."""
    return [expected_of(graph, backend, board, wanted.options[backend]) for board in wanted.boards]


def _row(one: Estimate) -> dict[str, Value]:
    row: dict[str, Value] = {"backend": one.backend, "board": one.board.name, "fits": one.fits}
    for name in (*NAMES, *CYCLES):
        interval = one.predictions.get(name)
        if interval is None:
            row[name] = None
            continue
        row[name] = round(interval.value)
        if interval.low != interval.high:
            row[f"{name}_low"], row[f"{name}_high"] = show.whole(interval.low, interval.high)
    return {**row, "calibrated": None if one.refused else one.calibrated, "refused": one.refused or None}
