# SPDX-License-Identifier: Apache-2.0
"""What a user says of a model file beside its name, and rows of real inputs from any array."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from qap2fpga.backends.api import Backend, Options
    from qap2fpga.frontend.source import Source
    from qap2fpga.ir.graph import Graph
    from qap2fpga.ir.shown import Frame

Bits = int | Sequence[int] | None
Interval = tuple[float, float]
NO_WIDTHS = Widths()


def widths(bits: int | None, weight_bits: Bits, activation_bits: Bits, input_bits: int | None) -> Widths:
    """Return the bit widths that a user gave; `bits` stands for both kinds that were not given."""
    both = () if bits is None else (bits,)
    return Widths(_numbers(weight_bits) or both, _numbers(activation_bits) or both, input_bits)


def require_file(path: Path | None) -> None:
    """Raise `QapError` where `path` is given and is no file."""
    if path is not None and not path.is_file():
        raise QapError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}", "check the path")


def interval(given: Interval | None) -> Interval | None:
    """Return the range of inputs that a user gave. Raises `QapError` for what is no interval with positive numbers."""
    if given is None:
        return None
    low, high = given
    if not low < high or high <= 0 or not math.isfinite(low) or not math.isfinite(high):
        raise QapError(f"--input-range is '{low:g},{high:g}'", "LOW must be below HIGH, and HIGH above 0")
    return float(low), float(high)


def model_file(given: object) -> Path:
    """Return the path of a model file. Raises `QapError` for what is none, as a module that was not saved."""
    if isinstance(given, str | PathLike):
        return Path(given)
    module = hasattr(given, "state_dict") or isinstance(given, Mapping)
    hint = "save it first: qap2fpga.save(module, X, 'model.pt')" if module else "give the path of a model file"
    raise QapError(f"the model is a {type(given).__name__}, not a file", hint)


def several(given: object) -> tuple[Any, ...]:
    """Return what may be given as one thing, which a text is, or as several."""
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | PathLike) else (given,)


def words(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return what may be given as texts or, as on the command line, as one with commas between them."""
    return tuple(given.split(",") if given else ()) if isinstance(given, str) else tuple(given)


def board_of(board: str | Board) -> Board:
    """Return a board that is given by its name, its YAML file or as it is."""
    return board if isinstance(board, Board) else boards.load(str(board))


def options_of(backend: Backend[Any], given: Mapping[str, object]) -> Options:
    """Return the options of `backend` from those `given` by name, None where not. A hint lists all that it has."""
    options: Options = backend.make_options(**{**dict.fromkeys(backend.option_names), **given})
    return options


def source(
    path: str | Path,
    chosen: Widths,
    data: str | Path | None,
    input_range: Interval | None,
    classes: Sequence[str],
    output_kind: str,
    model_output: str = "",
    *,
    compare: bool,
) -> Source:
    """Return what is to be read. Raises `QapError` for files that are not there and values out of range."""
    from qap2fpga.frontend.source import Source
    from qap2fpga.ir.outputs import check_output_kind

    rows = None if data is None else Path(data)
    file = model_file(path)
    require_file(file)
    require_file(rows)
    check_output_kind(output_kind)
    span, names = interval(input_range), words(classes)
    return Source(file, chosen, rows, span, names, compare, output_kind, model_output)


def integers(network: Graph, frame: Frame | None, X: ArrayLike, *, quantized: bool) -> np.ndarray:
    """Return the input integers (n, inputs) of rows `X` (n, ...), as the model takes them.

    `X` is any array: numpy, torch, a data frame. `quantized`: they are integers of the input quantizer already.
    Raises `QapError` for another shape, for what are no finite numbers, and for integers out of range.
    """
    import numpy as np

    from qap2fpga.system import arrays

    rows = np.asarray(X.detach().cpu() if hasattr(X, "detach") else X)  # of torch, perhaps with a gradient
    if rows.dtype.kind not in "biuf" or rows.ndim < 2 or math.prod(rows.shape[1:]) != network.inputs:
        taken = f"(n, {network.inputs})" if frame is None else frame.row
        raise QapError(f"X has shape {rows.shape} and type {rows.dtype}", f"the network takes rows of numbers {taken}")
    arrays.require_finite("X", rows)
    flat = rows.reshape(len(rows), -1) if frame is None else frame.frames(rows)
    if not quantized:
        return network.input.quantize(flat.astype(np.float32))
    if flat.dtype.kind not in "iu" or not network.input.gives(flat):
        each = ", or less per input" if network.input.ends else ""
        span = f"integers from {network.input.low} to {network.input.high}{each}"
        raise QapError(f"X is said to be quantized, and has other values than {span}",
                       "leave quantized=True out for real inputs")  # fmt: skip
    return flat.astype(np.int64)


def _numbers(bits: Bits) -> tuple[int, ...]:
    return () if bits is None else (bits,) if isinstance(bits, int) else tuple(bits)
