# SPDX-License-Identifier: Apache-2.0
"""`qap2fpga estimate`: a model file to estimates for backends and boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qap2fpga import backends
from qap2fpga.backends.api import Options
from qap2fpga.estimate.estimate import Estimate, estimate
from qap2fpga.estimate.features import DenseFeatures, of_network
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw.boards import Board
from qap2fpga.system.errors import QapError


def estimate_all(
    model: Path,
    widths: Widths,
    data: Path | None,
    input_range: tuple[float, float] | None,
    backend: str | None,
    boards: Sequence[Board],
    arguments: Mapping[str, Any],
    model_output: str = "",
) -> tuple[dict[str, DenseFeatures], list[Estimate]]:
    """The complexity of `model` by layer, and estimates of it for `backend` (None: all) on each of `boards`.

    `model_output` names where the model's graph ends, if not in its outputs. `arguments` are options by name, None
    where not given; one that no chosen backend knows is an error, one that only some know is for those.
    """
    if not model.is_file():
        raise QapError(f"{model} {'is a folder' if model.is_dir() else 'does not exist'}", "check the path")
    chosen = [backend] if backend else list(backends.BACKENDS)
    options = {name: _options(name, arguments, alone=backend is not None) for name in chosen}
    from qap2fpga.frontend.prepare import Source, prepare

    source = Source(model, widths, data, input_range, compare=False, output=model_output)
    network = prepare(source, lambda line: None).network
    estimates = [estimate(network, name, board, options[name]) for name in chosen for board in boards]
    return of_network(network), estimates


def _options(name: str, arguments: Mapping[str, Any], *, alone: bool) -> Options:
    backend = backends.get(name)
    known = arguments if alone else {key: value for key, value in arguments.items() if backend.knows(key)}
    return backend.make_options(**known)
