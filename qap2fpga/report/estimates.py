# SPDX-License-Identifier: Apache-2.0
"""Estimates on a terminal, and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Group
from rich.markup import escape

from qap2fpga.estimate.estimate import Estimate
from qap2fpga.estimate.features import DenseFeatures
from qap2fpga.estimate.prediction import Csynth, Interval
from qap2fpga.hw.resources import NAMES
from qap2fpga.report import csynth, show
from qap2fpga.report.show import DASH
from qap2fpga.system.codec import encode
from qap2fpga.system.tables import headed

CYCLES = ("latency_cycles", "interval_cycles")


# Measures of a layer that a table has room for, and what adds up over layers.
MEASURES = {
    "nonzeros": "non-zeros", "bops": "BOPs", "nonzero_products": "nnz·bₐ·b_w", "ebops": "EBOPs",
    "signed_digits": "signed digits", "adders": "adders", "adder_bits": "adder bits",
}  # fmt: skip


def complexity(layers: Mapping[str, DenseFeatures]) -> Group:
    """What the layers that are built add up to, before any backend."""
    table = headed("layer", "shape", "w bits", "a bits", *MEASURES.values(), words=(0, 1))
    for name, one in layers.items():
        shape = f"{one.inputs} × {one.outputs}" + (f" at {one.positions}" if one.positions > 1 else "")
        numbers = [show.number(getattr(one, key)) for key in MEASURES]
        table.add_row(escape(name), shape, str(one.weight_bits), str(one.input_bits), *numbers)
    totals = [show.number(sum(getattr(one, key) for one in layers.values())) for key in MEASURES]
    table.add_row("together", "", "", "", *totals)
    sentence = (
        "after compaction; BOPs of a frame by the paper's equation 1, EBOPs as HGQ's, adders of signed digits with "
        "nothing shared"
    )
    return Group(table, f"[dim]{sentence}[/]\n")


def complexity_values(layers: Mapping[str, DenseFeatures]) -> dict[str, object]:
    """The same as JSON values, with everything that is measured."""
    return {name: asdict(one) for name, one in layers.items()}


def render(estimates: Sequence[Estimate]) -> Group:
    """One row a backend and board; a range is what nearly all measured designs stayed in. Below it, where they are
    estimates of C synthesis, the layers and what else is known."""
    table = headed("backend", "board", "LUT", "FF", "DSP", "BRAM18", "latency", "interval", "", words=(0, 1, 8))
    for one in estimates:
        if one.refused:
            table.add_row(one.backend, escape(one.board.name), *(DASH,) * 6, escape(one.refused.splitlines()[0]))
            continue
        cell = _number if one.csynth is None else _stated
        numbers = [cell(one.predictions.get(name)) for name in (*NAMES, *CYCLES)]
        table.add_row(one.backend, escape(one.board.name), *numbers, escape(_verdict(one)))
    known = [one for one in estimates if one.csynth is not None]
    # Boards of one family and clock have the same.
    different = [one for index, one in enumerate(known) if all(one.csynth != other.csynth for other in known[:index])]
    return Group(table, *(_csynth(one.csynth, [other.board.name for other in known if other.csynth == one.csynth])
                          for one in different if one.csynth is not None))  # fmt: skip


def with_nodes(estimates: Sequence[Estimate]) -> list[dict[str, object]]:
    """Return the same as JSON values, with what is expected of every node: folding, adders, requantizers, queues."""
    return [encode(one.record) | {"nodes": [encode(node) for node in one.nodes]} for one in estimates]


def _csynth(estimate: Csynth, boards: Sequence[str]) -> Group:
    """The dense layers, and what was only observed."""
    title = (
        f"\nhls4ml on {escape(', '.join(boards))}: what C synthesis is expected to state; synthesis finds fewer LUTs"
    )
    table = headed("layer", "LUT", "FF", "DSP", "BRAM18", "", words=(0, 5))
    for one in estimate.layers:
        numbers = [_stated(one.predictions.get(name)) for name in NAMES]
        table.add_row(escape(one.layer), *numbers, f"outside: {', '.join(one.outside)}" if one.outside else "")
    return Group(title, table, *(f"[dim]{escape(text)}[/]" for text in csynth.remarks(estimate)))


def _number(interval: Interval | None) -> str:
    if interval is None:
        return DASH
    if interval.low == interval.high:
        return f"{interval.value:,.0f}"
    return f"{interval.value:,.0f} ({interval.low:,.0f}–{interval.high:,.0f})"


def _stated(interval: Interval | None) -> str:
    return csynth.text(interval)


def _verdict(one: Estimate) -> str:
    if one.csynth is not None:
        return "by C synthesis, sums of layers, not calibrated"
    sentence = "fits" if one.fits else "does not fit, or may not"
    if not one.calibrated:
        sentence += "; not calibrated: no interval"
    outside = {text for interval in one.predictions.values() for text in interval.outside}
    return sentence + (f"; outside the measured range: {', '.join(sorted(outside))}" if outside else "")
