# SPDX-License-Identifier: Apache-2.0
"""A matrix of numbers from 0 to 1 as shaded squares, each with its value."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qap2fpga.system.names import printable
from qap2fpga.train.figures.image import style

# Inches of a square and beside it, and the value from which the text in it is white.
SQUARE, LEFT, TOP, BOTTOM = 0.52, 1.5, 0.25, 1.2
DARK = 0.55
LETTERS = 22


def render(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], down: str, across: str, kind: str
) -> bytes:  # fmt: skip
    """Return the picture of `values` (rows, columns) as `kind`, 'png' or 'svg'; NaN is an empty square."""
    size = LEFT + SQUARE * len(columns) + 0.2, TOP + SQUARE * len(rows) + BOTTOM
    with style():
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        place = (LEFT / size[0], BOTTOM / size[1], SQUARE * len(columns) / size[0], SQUARE * len(rows) / size[1])
        axes = figure.add_axes(place)
        axes.imshow(np.nan_to_num(values), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.grid(visible=False)
        axes.set_xticks(range(len(columns)), [_short(name) for name in columns], rotation=45, ha="right")
        axes.set_yticks(range(len(rows)), [_short(name) for name in rows])
        axes.set_xlabel(_short(across))
        axes.set_ylabel(_short(down))
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            text = "" if np.isnan(value) else f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color="white" if value > DARK else "black")
        result = io.BytesIO()
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(result, format=kind, metadata=metadata)
    return result.getvalue()


def _short(name: str) -> str:
    shown = printable(name).replace("$", r"\$")
    return shown if len(shown) <= LETTERS else f"{shown[: LETTERS - 1]}…"
