# SPDX-License-Identifier: Apache-2.0
"""What a build is asked for, by the arguments of the library and of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from qap2fpga import backends
from qap2fpga.build.request import STAGES, Request, default_output
from qap2fpga.hw.boards import Board
from qap2fpga.library import sources
from qap2fpga.library.network import Network
from qap2fpga.library.sources import Bits, Interval
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import json_object


def request(
    model: Network | str | PathLike[str],
    board: str | Board,
    backend: str,
    *,
    output: str | Path | None = None,
    bits: int | None = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: int | None = None,
    input_data: str | Path | None = None,
    input_range: Interval | None = None,
    classes: Sequence[str] = (),
    model_output: str = "",
    until: str = STAGES[-1],
    vendor: Sequence[str] | None = None,
    cross_check: str = "",
    prove: bool | None = None,
    cache: bool = True,
    command: str = "",
    options: Mapping[str, object],
) -> Request:
    """Return what `build` is asked for, by the same arguments, and in which `command`.

    Nothing is read but the board and a folding.
    """
    target, chosen = sources.board_of(board), backends.get(backend)
    widths = sources.widths(bits, weight_bits, activation_bits, input_bits)
    span, data = sources.interval(input_range), None if input_data is None else Path(input_data)
    names = sources.words(classes)
    given = {**options, "folding": folding_of(options.get("folding"))}
    if isinstance(model, Network):
        if widths != sources.NO_WIDTHS or data is not None or span is not None or names or model_output:
            what = "the network was read already, with its bits, inputs, outputs and classes"
            raise QapError(what, "give these to load, or give build the model's file")
        source = model.source
        widths, data, span, names = source.widths, source.data, source.range, source.classes
        model_output = source.output
        given["output_kind"] = given.get("output_kind") or source.output_kind
    path = model.source.path if isinstance(model, Network) else sources.model_file(model)
    place = default_output(path, backend, target) if output is None else Path(output)
    steps = None if vendor is None else tuple(name for name in sources.words(vendor) if name != "none")
    if "finn" in (steps or ()) and chosen.knows("sparse"):
        # FINN's own builder has no such layers.
        given["sparse"] = given.get("sparse") or "never"
    return Request(
        path, target, backend, sources.options_of(chosen, {k: v for k, v in given.items() if v is not None}), place,
        widths, data, span, names, until, steps, cross_check, command, model_output, prove, cache,
    )  # fmt: skip


def folding_of(given: object) -> object:
    """Return the object in a JSON file that is named, anything else as it is."""
    if isinstance(given, str | Path):
        return json_object(Path(given), "take the folding.json of a build as a start")
    return given
