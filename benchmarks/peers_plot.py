# SPDX-License-Identifier: Apache-2.0
"""The figure of `peers_page.py`: fronts of test accuracy against LUTs, as an SVG that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from benchmarks.peers_front import Line, front
from qap2fpga.report import plots
from qap2fpga.report.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale

COLOURS = ("#0057b8", "#c2410c", "#4d7c0f", "#7e22ce")
LEGEND_STEP = 16.0
FEWEST = 150  # LUTs: smaller networks hardly tell classes apart, and would take all of the height


def shown(lines: Sequence[Line]) -> list[Line]:
    """Return what the figure shows of a front."""
    return [line for line in front(lines) if line["lut"] >= FEWEST]


def svg(sides: Mapping[str, Mapping[int, Sequence[Line]]]) -> str:
    """Return the figure: a dot per candidate of a front and a line per seed, a colour per side."""
    fronts = {name: {seed: shown(lines) for seed, lines in seeds.items()} for name, seeds in sides.items()}
    every = [line for seeds in fronts.values() for lines in seeds.values() for line in lines]
    x, y = plots.scales([line["lut"] for line in every], [line["test"] for line in every])
    return "\n".join([*_frame(x, y), *_series(fronts, x, y), *_legend(list(fronts)), "</svg>", ""])


def _frame(x: Scale, y: Scale) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" font-family="sans-serif" '
        'font-size="11" role="img" aria-label="test accuracy against LUTs">'
    )
    yield f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" fill="#fff"/>'
    for tick in plots.cost_ticks(x):
        yield f'<path d="M{tick.at:g} {TOP:g}V{BOTTOM:g}" stroke="#ddd"/>'
        yield f'<text x="{tick.at:g}" y="{BOTTOM + 16:g}" text-anchor="middle">{escape(tick.text)}</text>'
    for tick in plots.percent_ticks(y):
        yield f'<path d="M{LEFT:g} {tick.at:g}H{RIGHT:g}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 5:g}" y="{tick.at + 4:g}" text-anchor="end">{escape(tick.text)}</text>'
    yield f'<path d="M{LEFT:g} {TOP:g}V{BOTTOM:g}H{RIGHT:g}" fill="none" stroke="#333"/>'
    yield f'<text x="10" y="{TOP - 12:g}">test accuracy, %</text>'
    across = "LUTs (logarithmic)" if x.log else "LUTs"
    yield f'<text x="{(LEFT + RIGHT) / 2:g}" y="{HEIGHT - 8:g}" text-anchor="middle">{across}</text>'


def _series(fronts: Mapping[str, Mapping[int, Sequence[Line]]], x: Scale, y: Scale) -> Iterator[str]:
    for number, (name, seeds) in enumerate(fronts.items()):
        colour = COLOURS[number % len(COLOURS)]
        for seed, lines in sorted(seeds.items()):
            places = [(x.place(line["lut"]), y.place(line["test"]), line) for line in lines]
            if len(places) > 1:
                path = "L".join(f"{at:g} {up:g}" for at, up, _ in places)
                yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>'
            for at, up, line in places:
                title = escape(f"{name}, seed {seed}: {100 * line['test']:.2f} %, {line['lut']:,} LUTs")
                yield f'<circle cx="{at:g}" cy="{up:g}" r="3" fill="{colour}"><title>{title}</title></circle>'


def _legend(names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        at = BOTTOM - 12 - LEGEND_STEP * (len(names) - 1 - number)
        yield f'<circle cx="{RIGHT - 130:g}" cy="{at - 4:g}" r="4" fill="{COLOURS[number % len(COLOURS)]}"/>'
        yield f'<text x="{RIGHT - 120:g}" y="{at:g}">{escape(name)}</text>'
