# SPDX-License-Identifier: Apache-2.0
"""The report of one build on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from qap2fpga.report import cells, check, csynth, routed, side_by_side, summary
from qap2fpga.report.gather import Gathered
from qap2fpga.report.headed import headed
from qap2fpga.report.show import DASH, not_used, output
from qap2fpga.report.show import number as _number


def render(reports: list[tuple[str, dict[str, Any]]], console: Console) -> None:
    """Print the one (name, report) in full, or several side by side."""
    if len(reports) == 1:
        console.print(_one(*reports[0]))
    elif reports:
        summaries = [summary.of_build(name, Path(name), report) for name, report in reports]
        console.print(side_by_side.builds([name for name, _ in reports], summaries))


def render_all(gathered: Gathered, console: Console) -> None:
    """Print everything that was found: studies first, then the builds."""
    for study in gathered.studies:
        console.print(side_by_side.study(study))
    render([(build.name, build.report) for build in gathered.builds], console)


def _one(name: str, report: dict[str, Any]) -> RenderableType:
    model, board = report["model"], report["board"]
    clock = DASH if board["clock_ns"] is None else f"{board['clock_ns']:g} ns"
    head = [f"[bold]{escape(name)}[/]"]
    if model is not None:
        head.append(f"model   {escape(model['file'])}, {model['inputs']} inputs, {model['outputs']} outputs")
    head.append(f"board   {escape(board['title'])}, {escape(board['part'])}, {clock}")
    head.append(f"backend {escape(_backend(report))}")
    parts: list[RenderableType] = []
    if model is not None:
        parts += [
            "\n".join([*head, *_accuracy(model, report["design"], report.get("relaxed"))]),
            _layers(report),
            _bops(model),
        ]
    else:
        parts.append("\n".join(head))
    if "layers" in (report["design"] or {}):
        parts.append(_multiplications(report))
    if report["vendor"]:
        parts.append(cells.vendor(report))
    predicted = csynth.prediction(report)
    if predicted is not None:
        parts.append(cells.c_synthesis(report, predicted))
    if report["stand_in"]:
        parts.append(_stand_in(report))
    if report["timing"]:
        parts += [cells.resources(report), _timing(report)]
    parts += [f"\n[bold]Place and route[/] {escape(text)}" for text in routed.lines(report)]
    if report["simulations"]:
        parts.append(_simulations(report))
    parts.append(_checks(report))
    parts += [f"[dim]note[/]    {escape(note)}" for note in (model or {"notes": []})["notes"]]
    parts += [f"[dim]note[/]    {escape(note)}" for note in not_used(report)]
    parts += [f"[yellow]warning[/] {escape(text)}" for text in (report["design"] or {}).get("warnings", [])]
    for what in ("widened", "padded"):
        parts += [f"[dim]note[/]    {what}: {escape(note)}" for note in (report["design"] or {}).get(what, [])]
    return Group(*parts)


def _relaxed(found: dict[str, Any]) -> str:
    """What was allowed, what it changed, and what it cost in accuracy."""
    layers = found["layers"]
    channels, changed = sum(one["channels"] for one in layers), sum(one["changed"] for one in layers)
    before, after = (sum(one[name] for one in layers) for name in ("cost_before", "cost_after"))
    text = (
        f"relaxed  {changed} of {channels} requantizers differ from the exact network by "
        f"{max((one['largest'] for one in layers), default=0)} steps at most ({found['tolerance']} allowed): "
        f"{before:,.0f} → {after:,.0f} LUTs estimated"
    )
    if found["accuracy"] is not None:
        text += f", accuracy {100 * found['accuracy_exact']:.2f} % → {100 * found['accuracy']:.2f} %"
    return text


def _accuracy(model: dict[str, Any], design: dict[str, Any] | None, relaxed: dict[str, Any] | None) -> list[str]:
    text = output(model.get("output") or {})
    lines = [f"output   {text}"] if text else []
    if model["accuracy"] is not None:
        lines.append(f"accuracy {100 * model['accuracy']:.2f} % of {model['rows']} rows, of the integer network")
    chip = (design or {}).get("accuracy")
    if chip:
        value = f"{100 * chip['value']:.2f} %"
        lines.append(f"         {value} of {chip['rows']} rows, by the chip's output ({escape(chip['output'])})")
    if relaxed:
        lines.append(_relaxed(relaxed))
    export = model.get("export")
    if export:
        same, largest = f"{100 * export['same_class']:.2f} %", f"{export['largest_difference']:.2g}"
        lines.append(f"export   torch and QONNX: same class on {same} of {export['rows']} rows, apart by {largest}")
    cost = model.get("input_quantizer_cost")
    if cost:
        same = 100 * cost["same_class"]
        text = f"input quantizer added: same class as the raw model on {same:.2f} % of {cost['rows']} rows"
        if "accuracy" in cost:
            text += f", accuracy {100 * cost['accuracy_raw']:.2f} % → {100 * cost['accuracy']:.2f} %"
        lines.append(text)
    return lines


def _layers(report: dict[str, Any]) -> Table:
    table = headed(
        "\nLayers", "layer", "shape", "in hardware", "w bits", "a bits", "acc bits", "zeros", "BOPs", "nnz·bₐ·b_w"
    )
    layers = report["model"]["layers"]
    for layer in layers:
        hardware = layer["hardware"]
        table.add_row(
            escape(layer["name"]),
            f"{layer['inputs']}×{layer['outputs']}",
            f"{hardware['inputs']}×{hardware['outputs']}",
            str(layer["weight_bits"]),
            str(layer["input_bits"]),
            str(hardware["accumulator_bits"]),
            f"{100 * layer['zeros'] / layer['weights']:.1f} %",
            _number(layer["bops"]["paper"]),
            _number(layer["bops"]["nonzero_products"]),
        )
    zeros, weights = sum(layer["zeros"] for layer in layers), sum(layer["weights"] for layer in layers)
    total = report["model"]["bops"]
    table.add_row(
        "total",
        "",
        "",
        "",
        "",
        "",
        f"{100 * zeros / weights:.1f} %",
        _number(total["paper"]),
        _number(total["nonzero_products"]),
        style="bold",
    )
    return table


def _backend(report: dict[str, Any]) -> str:
    """The backend, and how it was told to write layers where it has more than one way."""
    design = report["design"] or {}
    if "strategy" not in design:
        return str(report["backend"])
    asked = f"asking for interval {design['interval_cycles']} at {design['clock_ns']:g} ns"
    return f"{report['backend']} {design['hls4ml_version']}, strategy {design['strategy']}, {asked}"


def _multiplications(report: dict[str, Any]) -> Group:
    """Where the zeros went: products of each layer, from the dense network to the generated source."""
    table = headed("\nMultiplications", "layer", "before pruning", "not pruned", "after compaction", "in the source",
                   "multipliers asked for")  # fmt: skip
    written = report["design"]["layers"]
    for layer, one in zip(report["model"]["layers"], written, strict=True):
        numbers = (
            layer["weights"], layer["weights"] - layer["zeros"], one["after_compaction"], one["in_source"],
            one["multipliers"],
        )  # fmt: skip
        table.add_row(escape(layer["name"]), *map(_number, numbers))
    ways = dict.fromkeys(one["how"] for one in written)
    return Group(table, f"[dim]in the source: {escape('; '.join(ways))}[/]")


def _stand_in(report: dict[str, Any]) -> str:
    """Says plainly that what follows is another circuit."""
    other = report["stand_in"]
    text = "\nNo HLS tool has made hardware of this C++."
    if other.get("refused"):
        return f"[bold]{text}[/] No circuit stands in for it: {escape(other['refused'])}"
    return (
        f"[bold]{text}[/] What follows is another circuit of the same integer network, the {escape(other['backend'])} "
        "backend's;\nan HLS tool's would have other LUTs, FFs, DSPs and another latency.\n"
        f"[dim]{escape(other.get('why', ''))}[/]"
    )


def _bops(model: dict[str, Any]) -> str:
    total = model["bops"]
    return (
        f"[dim]BOPs: the paper's equation 1 with zeros after rounding; as the paper's code counts "
        f"{total['paper_code']:,.0f} (32-bit input, biases; zeros after rounding {total['paper_code_rounded']:,.0f})[/]"
    )


def _timing(report: dict[str, Any]) -> Group:
    timing = report["timing"]
    table = headed("\nCycles", "", "predicted", "measured", "at the board's clock")
    nanoseconds = timing["latency_ns"]
    rate = timing["frames_per_second"]
    table.add_row(
        "latency",
        _number(timing["latency_cycles"]["predicted"]),
        _number(timing["latency_cycles"]["measured"]),
        f"{nanoseconds:,.0f} ns" if nanoseconds else DASH,
    )
    table.add_row(
        "interval",
        _number(timing["interval_cycles"]["predicted"]),
        _number(timing["interval_cycles"]["measured"]),
        f"{rate:,.0f} frames/s" if rate else DASH,
    )
    return Group(table, f"[dim]{escape(timing['clock_note'])}[/]")


def _simulations(report: dict[str, Any]) -> Table:
    title = "\nSimulated by the tools" if "imported" in report else "\nCompared with the integer network"
    table = headed(title, "engine", "what", "vectors", "mismatches", "rounding ties")
    table.columns[1].justify = "left"
    for one in report["simulations"]:
        table.add_row(
            escape(f"{one['engine']} {one['version']}"),
            escape(one["compared"] + _of_other(one, report)),
            _number(one["vectors"]) if one["vectors"] else escape(one["note"]),
            _number(one["mismatches"]) if one["vectors"] else DASH,
            _number(one["rounding_ties"]),
        )
    return table


def _checks(report: dict[str, Any]) -> str:
    ran, left = check.run(report), check.not_run(report)
    passed = f"{len(ran) - len(check.failed(report))} of {len(ran)} passed" if ran else "none was run"
    lines = [f"\n[bold]Checks[/] {passed}" + (f", {len(left)} not run" if left else "")]
    lines += [f"[dim]{DASH}[/] " + escape(f"{one['name']}: not run, {one['why']}") for one in left]
    for one in check.failed(report):
        why = f"; {one['why']}" if one["why"] else ""
        lines.append("[red]✗[/] " + escape(f"{one['name']}: expected {one['expected']}, found {one['found']}{why}"))
    return "\n".join(lines)


def _of_other(part: dict[str, Any], report: dict[str, Any]) -> str:
    """Marks what is about a circuit that stands in for the backend's own."""
    return "" if part["circuit"] in (None, report["backend"]) else f" ({part['circuit']} circuit)"
