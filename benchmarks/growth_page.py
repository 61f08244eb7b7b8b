# SPDX-License-Identifier: Apache-2.0
"""The docs page of `growth.py`: its results as tables and a figure, with the exponents that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.system.files import write_atomically

Line = Mapping[str, Any]
NONZEROS, LAYERS = "weights, rtl", "layers, rtl"
IMAGES_RTL, IMAGES_FINN = "images, rtl", "images, finn"
WIDE_RTL, WIDE_FINN = "digits, rtl", "digits, finn"
CNV = "CNV, finn's estimate"
DESIGNS, REPORTS = "designs explored", "builds in a report"

# Of each family: what its size is, what grows with it (the name of a value of a line), and in words.
FAMILIES = {
    NONZEROS: ("zeros, %", "nonzeros", "weights that are not zero"),
    LAYERS: ("layers", "size", "layers"),
    WIDE_RTL: ("neurons", "nonzeros", "weights that are not zero"),
    WIDE_FINN: ("neurons", "nonzeros", "weights that are not zero"),
    IMAGES_RTL: ("pixels a side", "positions", "pixels"),
    IMAGES_FINN: ("pixels a side", "positions", "pixels"),
    CNV: ("channels", "weights", "weights"),
    DESIGNS: ("networks", "size", "networks"),
    REPORTS: ("builds", "size", "builds"),
}
WHAT = {
    NONZEROS: "16-64-32-32-5 at 6 bits, built by rtl with all checks and proofs; less and less of it pruned.",
    LAYERS: "Layers of 32 neurons at 4 bits, 80 % pruned, built by rtl.",
    WIDE_RTL: "784-n-n-10 at 4 bits, 90 % pruned, built by rtl: every weight an adder of its own.",
    WIDE_FINN: "The same networks built by finn (`--sparse never`) for 250,000 frames per second.",
    IMAGES_RTL: "Two convolutions of 4 channels, two pools and a dense layer at 4 bits, built by rtl.",
    IMAGES_FINN: "The same networks built by finn (`--sparse never`), as fast as it can.",
    CNV: "`qap2fpga estimate --backend finn` of networks of CNV's shape at 2 bits, for 1,000 frames per second.",
    DESIGNS: "16-16-8-5 at 4 bits: `qap2fpga explore --build 0`, each network read, lowered and estimated.",
    REPORTS: "`qap2fpga report builds --html all.html`, over copies of one build.",
}
# Why it grows as it does.
CAUSES = {
    NONZEROS: "logic: Yosys, the proofs and the compiler go through every adder",
    LAYERS: "logic: every layer is mapped, simulated and proven once; LUTs grow faster than layers here",
    WIDE_RTL: "logic, as above; from 100,000 LUTs on netlists are simulated instead, which takes more memory",
    WIDE_FINN: "logic, which folding keeps small; the rest is the same for all sizes",
    IMAGES_RTL: "logic, since the last pool keeps a quarter of the image, times cycles; from 10 million LUTs times"
    " pixels on netlists are simulated instead of proven",
    IMAGES_FINN: "cycles that are simulated; the hardware hardly grows",
    CNV: "reading the weights; the search tries foldings of each layer, whatever its size",
    DESIGNS: "each network is read, lowered and estimated once",
    REPORTS: "each report is read once",
}
INTRODUCTION = """\
# How time and memory grow

This page is written by one command, which continues where it was stopped:

    python -m benchmarks.growth benchmarks/growth.jsonl --page docs/growth.md

- Networks are Brevitas modules with drawn weights, so others get the same. Each line is one command as a user starts
  it, without the cache of builds, for a zcu102.
- *Computing* is what the command and all that it starts took of two processors, in seconds; *time* is on the clock of a
  machine that did other work too, at some points more than at others. *Memory* is the largest process.
- A column with a stage's name is its time on that clock. Stages run side by side.
- The *exponent* is the slope of logarithms over the three largest sizes: 1 is as the size, 2 is as its square. *By
  LUTs* it is that of computing against the LUTs that came out.
"""
# Points of a fit: small sizes are mostly what every command takes.
LAST = 3
COLUMNS = {"cpu": "computing, s", "wall": "time, s", "mib": "memory, MiB"}


def write(lines: Sequence[Line], path: Path) -> None:
    """Write the page and its figure, which has the page's name."""
    known = {name: [_sized(one) for one in lines if one["family"] == name] for name in FAMILIES}
    shown = {name: sorted(some, key=_size) for name, some in known.items() if some}
    figure = path.with_suffix(".svg")
    _plot(shown, figure)
    parts = [INTRODUCTION, *_summary(shown), "", f"![computing and memory against size]({figure.name})", ""]
    for name, some in shown.items():
        parts += [*_family(name, some), ""]
    write_atomically(path, "\n".join(parts))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the slope of the logarithms over the last points; None where there are too few."""
    if len(sizes) < LAST:
        return None
    slope = np.polyfit(np.log(sizes[-LAST:]), np.log(values[-LAST:]), 1)[0]
    return round(float(slope), 2) + 0.0  # no -0.00


def _sized(line: Line) -> Line:
    """Return the line with what follows from its size."""
    channels = line["size"]
    convolutions = 9 * channels * (3 + channels * (1 + 2 + 4 + 8 + 16))
    return {
        **line,
        "positions": line["size"] ** 2,
        "weights": convolutions + channels * (32 * channels + 64 * channels + 80),
    }


def _size(line: Line) -> float:
    """What the line is sorted by: pruned networks by what is left."""
    return -float(line["size"]) if line["family"] == NONZEROS else float(line["size"])


def _ended(lines: Sequence[Line]) -> list[Line]:
    return [one for one in lines if "stopped" not in one]


def _slope(sizes: Sequence[float], values: Sequence[float]) -> str:
    slope = exponent(sizes, values)
    return "" if slope is None else f"{slope:.2f}"


def _summary(shown: Mapping[str, Sequence[Line]]) -> Iterable[str]:
    yield "| | against | sizes | exponent of computing | by LUTs | of memory | cause |"
    yield "| --- | --- | --- | ---: | ---: | ---: | --- |"
    for name, lines in shown.items():
        ended = _ended(lines)
        if not ended:
            continue
        key, words = FAMILIES[name][1:]
        sizes, luts = ([one.get(size, 0) for one in ended] for size in (key, "lut"))
        computing, memory = (_slope(sizes, [one[what] for one in ended]) for what in ("cpu", "mib"))
        by_luts = _slope(luts, [one["cpu"] for one in ended]) if max(luts) >= 2 * max(1, min(luts)) else ""
        extent = f"{sizes[0]:,} to {sizes[-1]:,}"
        yield f"| {name} | {words} | {extent} | {computing} | {by_luts} | {memory} | {CAUSES[name]} |"


def _family(name: str, lines: Sequence[Line]) -> Iterable[str]:
    size, key, words = FAMILIES[name]
    ended = _ended(lines)
    stages = [
        stage for stage in dict.fromkeys(stage for one in ended for stage in one["stages"]) if stage != "certificate"
    ]
    more = [words] if key != "size" else []
    luts = ["LUT"] if any("lut" in one for one in ended) else []
    yield f"## {name[0].upper()}{name[1:]}"
    yield ""
    yield WHAT[name]
    yield ""
    heads = [size, *more, *luts, *COLUMNS.values(), *stages]
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---:' for _ in heads)} |"
    for one in lines:
        if "stopped" in one:
            yield f"| {one['size']:,} | {one['stopped'].removeprefix('qap2fpga: ')} {'| ' * (len(heads) - 1)}|"
            continue
        cells = [f"{one['size']:,}", *(f"{one[key]:,}" for _ in more), *(f"{one['lut']:,}" for _ in luts)]
        cells += [f"{one[column]:,.0f}" if column == "mib" else f"{one[column]:,.1f}" for column in COLUMNS]
        cells += [f"{one['stages'][stage]:,.1f}" if stage in one["stages"] else "" for stage in stages]
        yield f"| {' | '.join(cells)} |"
    failed = sorted({check for one in ended for check in one.get("failed", ())})
    if failed:
        yield ""
        yield f"Checks that failed: {', '.join(failed)}."


def _plot(shown: Mapping[str, Sequence[Line]], path: Path) -> None:
    """Draw computing and memory against size."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "qap2fpga", "svg.fonttype": "none"}):
        figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.5))
        for panel, key, label in zip(panels, ("cpu", "mib"), ("computing, s", "memory, MiB"), strict=True):
            for name, lines in shown.items():
                ended = _ended(lines)
                panel.loglog(
                    [one[FAMILIES[name][1]] for one in ended], [one[key] for one in ended], "o-", ms=3, label=name
                )
            panel.set(xlabel="size: weights, layers, pixels, networks or builds", ylabel=label)
            panel.grid(visible=True, which="major", color="0.9")
        panels[1].legend(fontsize="small")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
