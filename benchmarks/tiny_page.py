# SPDX-License-Identifier: Apache-2.0
"""The docs page of `tiny.py`: its results as tables, with all that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TITLES = {
    "kws-mlp": "keyword spotting, dense: 490-256-256-256-12",
    "autoencoder": "anomaly detection: 640-128-128-128-128-8-128-128-128-128-640",
    "kws-separable": "keyword spotting, DS-CNN: 49x10, 64 channels, four depthwise separable blocks",
    "resnet8": "image classification, ResNet-8: 32x32x3, 16, 32 and 64 channels",
    "cnv": "image classification, CNV of FINN: 32x32x3, six convolutions, three dense layers",
}
RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18"}
CYCLES = {"interval_cycles": "cycles per frame", "latency_cycles": "latency"}
INTRODUCTION = """\
# Networks of the shapes of MLPerf Tiny

What networks as large as those of [MLPerf Tiny](https://github.com/mlcommons/tiny) take on hardware. This page is
written by one command, which continues where it was stopped:

    python -m benchmarks.tiny benchmarks/tiny.jsonl --fps 1000 --measure \\
        --page docs/tiny-networks.md

- **Shapes** are those of the benchmarks, whole; the tables count what is left of them after compaction. **Weights are
  drawn**, not trained, so nothing is said of accuracy: normal ones of seed 2021, of which the stated percentage, the
  smallest of each layer, are zero. Inputs have 8 bits, weights and activations the stated bits. Every network is
  compacted first, as in every build.
- **Predicted** is what `qap2fpga estimate` says before anything is generated. Most of these networks are larger than
  those that [calibrations](calibration/finn-sparse.md) were made with.
- **Measured** are cycles in Verilator on the stated number of frames, at full speed and one at a time, equal to the
  integer network bit for bit, and cells that Yosys maps to. hls4ml's C++ is compared with the network, and no HLS tool
  measured it. No vendor's tool has seen these designs.
- **Sparse** is finn's option: `never` takes FINN's own units, which multiply zeros too; `auto`, the default, takes
  [units that skip zeros](sparse.md) where they are predicted to be better.
- **Frames per second** are what was asked for at the board's clock: finn folds, rtl shares multipliers. hls4ml has no
  such option. What rtl would have to unroll are the products that are not shared in time.
- What a backend refuses, and what did not end in its time, is in the table with the reason. 'not run' was not tried.
  Times are of a machine of two cores that did much other work: what did not end there says nothing of the network, and
  the command tries it again where it is given more with `--limit`.
"""


def page(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the page for the `lines` of the results."""
    return "\n".join([INTRODUCTION, *_networks(lines), "", *_hardware(lines), ""])


def _networks(lines: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield "## The networks"
    yield ""
    yield "| network | shape | bits | zeros | weights | not zero | products per frame | bit operations |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    rows = {}
    for line in lines:
        case, sizes = line["case"], line["facts"]
        numbers = " | ".join(_cell(sizes.get(name)) for name in ("weights", "nonzeros", "macs", "bops"))
        name = case["network"]
        rows[f"| {name} | {TITLES[name]} | {case['bits']} | {case['zeros']:g} % | {numbers} |"] = None
    yield from rows


def _hardware(lines: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    heads = [*RESOURCES.values(), *CYCLES.values(), "frames"]
    yield "## The hardware"
    yield ""
    yield f"| network | backend | sparse | board | bits | frames per second | | {' | '.join(heads)} | |"
    yield f"| --- | --- | --- | --- | ---: | ---: | --- | {' | '.join('---:' for _ in heads)} | --- |"
    for line in sorted(lines, key=_order):
        case = line["case"]
        fps = "most" if case["fps"] is None else f"{case['fps']:,g}"
        sparse = case["sparse"] or ""
        where = f"| {case['network']} | {case['backend']} | {sparse} | {case['board']} | {case['bits']} | {fps} |"
        yield f"{where} predicted {_row(line['predicted'])}"
        if "stopped" not in line["predicted"]:
            yield f"{where} measured {_row(line.get('measured', {'stopped': 'not run'}))}"


def _order(line: Mapping[str, Any]) -> tuple[int, str, str]:
    case = line["case"]
    return list(TITLES).index(case["network"]), case["backend"], case["sparse"] or ""


def _row(values: Mapping[str, Any]) -> str:
    cells = " | ".join(_cell(values.get(name)) for name in (*RESOURCES, *CYCLES, "frames"))
    reason = next(iter(values.get("stopped", "").splitlines()), "").replace("|", "/")
    return f"| {cells} | {reason} |"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
