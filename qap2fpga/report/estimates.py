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

FITS = {True: "yes", False: "no, or not surely", None: DASH}
CYCLES = ("latency_cycles", "interval_cycles")
# Of more layers the number is given.
NAMED = 8


# Measures of a layer that add up over layers: those of a table, and more where all is to be explained.
MEASURES = {"nonzeros": "non-zeros", "bops": "BOPs", "nonzero_products": "nnz·bₐ·b_w", "ebops": "EBOPs"}
ADDERS = {"signed_digits": "signed digits", "adders": "adders", "adder_bits": "adder bits"}


def complexity(layers: Mapping[str, DenseFeatures], *, explain: bool = True) -> Group:
    """What the layers that are built add up to, before any backend."""
    measures = MEASURES | (ADDERS if explain else {})
    table = headed("layer", "shape", "w bits", "a bits", *measures.values(), words=(0, 1))
    for name, one in layers.items():
        shape = f"{one.inputs} × {one.outputs}" + (f" at {one.positions}" if one.positions > 1 else "")
        numbers = [show.number(getattr(one, key)) for key in measures]
        table.add_row(escape(name), shape, str(one.weight_bits), str(one.input_bits), *numbers)
    totals = [show.number(sum(getattr(one, key) for one in layers.values())) for key in measures]
    table.add_row("together", "", "", "", *totals)
    sentence = "after compaction; BOPs of a frame by the paper's equation 1, EBOPs as HGQ's"
    sentence += ", adders of signed digits with nothing shared" * explain
    return Group(table, f"[dim]{sentence}[/]\n")


def complexity_values(layers: Mapping[str, DenseFeatures]) -> dict[str, object]:
    """The same as JSON values, with everything that is measured."""
    return {name: asdict(one) for name, one in layers.items()}


def render(estimates: Sequence[Estimate], *, explain: bool = True) -> Group:
    """One row per backend and what it makes the same of on several boards; a range is what nearly all measured designs
    stayed in. `explain`: below it, where they are estimates of C synthesis, the layers and what else is known."""
    heads = ("LUT", "of the board", "FF", "DSP", "BRAM18", "latency,\ncycles", "ns", "interval,\ncycles", "fits")
    table = headed("backend", "boards", *heads, words=(0, 1), keys=2)
    groups = _alike([one for one in estimates if not one.refused])
    for group in groups:
        table.add_row(group[0].backend, escape(_boards(group)), *_row(group))
    refused: dict[str, list[str]] = {}
    for one in estimates:
        if one.refused:
            reason = one.refused.splitlines()[0].replace(one.board.name, "BOARD")
            refused.setdefault(reason, []).append(one.board.name)
    notes: dict[tuple[str, str], list[Estimate]] = {}
    for one in estimates:
        for note in () if one.refused else _notes(one):
            notes.setdefault((one.backend, note), []).append(one)
    lines = [f"{backend}, {_boards(group)}: {note}" for (backend, note), group in notes.items()]
    lines += [reason.replace("BOARD", ", ".join(names)) for reason, names in refused.items()]
    known = [one for one in estimates if one.csynth is not None]
    if not explain:
        lines += ["--explain: what C synthesis is expected to state layer by layer, and what it rests on"] * bool(known)
        return Group(table, *(f"[dim]{escape(line)}[/]" for line in lines))
    # Boards of one family and clock have the same.
    different = [one for index, one in enumerate(known) if all(one.csynth != other.csynth for other in known[:index])]
    return Group(table, *(f"[dim]{escape(line)}[/]" for line in lines),
                 *(_csynth(one.csynth, [other.board.name for other in known if other.csynth == one.csynth])
                   for one in different if one.csynth is not None))  # fmt: skip


def _alike(estimates: Sequence[Estimate]) -> list[list[Estimate]]:
    """Return estimates that differ in nothing but the board, those of a family and clock, together."""
    groups: list[list[Estimate]] = []
    for one in estimates:
        mine = next((group for group in groups if _same(one, group[0])), None)
        if mine is None:
            groups.append([one])
        else:
            mine.append(one)
    return groups


def _same(one: Estimate, other: Estimate) -> bool:
    boards = [(each.board.family, each.board.clock_ns) for each in (one, other)]
    shown = [(each.backend, each.predictions, each.fits, _notes(each)) for each in (one, other)]
    return boards[0] == boards[1] and shown[0] == shown[1]


def _boards(group: Sequence[Estimate]) -> str:
    return ", ".join(one.board.name for one in group)


def _row(group: Sequence[Estimate]) -> list[str]:
    """What is predicted for boards of one family: cells, the part of each board's LUTs, cycles and their time."""
    one = group[0]
    cell = _number if one.csynth is None else _stated
    numbers = {name: cell(one.predictions.get(name)) for name in (*NAMES, *CYCLES)}
    latency = one.predictions.get("latency_cycles")
    time = show.nanoseconds(latency.value * one.board.clock_ns if latency else None).removesuffix(" ns")
    return [
        numbers["lut"], _of_board(group), *(numbers[name] for name in NAMES[1:]), numbers["latency_cycles"], time,
        numbers["interval_cycles"], FITS[one.fits],
    ]  # fmt: skip


def _of_board(group: Sequence[Estimate]) -> str:
    """The share of the boards' LUTs, from the largest board to the smallest; of no sum of C synthesis."""
    lut = group[0].predictions.get("lut")
    if lut is None or group[0].csynth is not None:
        return DASH
    shares = sorted(lut.value / one.board.available("lut") for one in group)
    texts = dict.fromkeys(show.percent(share, 1) for share in (shares[0], shares[-1]))
    return " to ".join(text.removesuffix(" %") if len(texts) > 1 and not index else text
                       for index, text in enumerate(texts))  # fmt: skip


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
    return DASH if interval is None else show.interval(interval, "\n")


def _stated(interval: Interval | None) -> str:
    return csynth.text(interval)


def _notes(one: Estimate) -> list[str]:
    """What is to be known of the numbers of an estimate."""
    if one.csynth is not None:
        return ["as C synthesis would state it, sums of layers, not calibrated; synthesis finds fewer LUTs"]
    outside = {text for interval in one.predictions.values() for text in interval.outside}
    notes = [] if one.calibrated else ["not calibrated: no interval"]
    # Of the kinds of parts those of products without zeros have slots.
    sparse = list(dict.fromkeys(node.layer for node in one.nodes if getattr(node, "slots", 0)))
    layers = ", ".join(sparse) if len(sparse) <= NAMED else f"{len(sparse)} layers"
    notes += [f"multiplied without their zeros: {layers}"] * bool(sparse)
    return notes + [f"outside the measured range: {', '.join(sorted(outside))}"] * bool(outside)
