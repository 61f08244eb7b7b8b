# SPDX-License-Identifier: Apache-2.0
"""The report of one build on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from qap2fpga.report import cells, check, network, parts, routed, show, side_by_side, summary, zeros
from qap2fpga.report.gather import Gathered
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.hardware import Design, StandIn
from qap2fpga.report.schema.network import Model, Relaxed
from qap2fpga.report.schema.results import Simulation, Timing
from qap2fpga.report.show import DASH, not_used, output
from qap2fpga.report.show import number as _number
from qap2fpga.system.tables import headed
from qap2fpga.system.terminal import warning


def render(reports: list[tuple[str, Report]], console: Console) -> None:
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


def _one(name: str, report: Report) -> RenderableType:
    model, design = report.model, report.design
    blocks: list[RenderableType] = ["\n".join(_head(name, report))]
    if model is not None:
        blocks += [*_nodes(model), _layers(model), _bops(model)]
    if model is not None and design and design.layers is not None:
        blocks.append(_multiplications(model, design))
    if report.vendor:
        blocks.append(cells.vendor(report))
    if report.csynth is not None:
        blocks.append(cells.c_synthesis(report, report.csynth))
    if report.stand_in:
        blocks.append(_stand_in(report.stand_in))
    if report.timing:
        blocks += [cells.resources(report), *_parts(report), *_zeros(report), _timing(report, report.timing)]
    blocks += [f"\n[bold]Place and route[/] {escape(text)}" for text in routed.lines(report)]
    if report.simulations:
        blocks.append(_simulations(report))
    blocks += _proof(report)
    return Group(*blocks, _checks(report), *_notes(report))


def _head(name: str, report: Report) -> Iterator[str]:
    """Model, board and backend, and how accurate the network is."""
    model, board = report.model, report.board
    yield f"[bold]{escape(name)}[/]"
    if model is not None:
        yield f"model   {escape(model.file)}, {model.inputs} inputs, {model.outputs} outputs"
        yield from (f"{'input' * (not index):8}{text}" for index, text in enumerate(network.frame(model)))
    yield f"board   {escape(board.title)}, {escape(board.part)}, {show.period(board.clock_ns)}"
    yield f"backend {escape(_backend(report.backend, report.design))}"
    if model is not None:
        yield from _accuracy(model, report.design, report.relaxed)


def _notes(report: Report) -> Iterator[str]:
    """Notes on the model, files that were not used, and what the backend has to say."""
    design = report.design
    yield from (f"[dim]note[/]    {escape(note)}" for note in (report.model.notes if report.model else ()))
    yield from (f"[dim]note[/]    {escape(note)}" for note in not_used(report))
    if design:
        yield from map(warning, design.warnings)
        yield from (f"[dim]note[/]    widened: {escape(note)}" for note in design.widened)
        yield from (f"[dim]note[/]    padded: {escape(note)}" for note in design.padded)


def _relaxed(relaxed: Relaxed) -> str:
    """What was allowed, what it changed, and what it cost in accuracy."""
    layers = relaxed.layers
    channels, changed = sum(one.channels for one in layers), sum(one.changed for one in layers)
    before, after = sum(one.cost_before for one in layers), sum(one.cost_after for one in layers)
    text = (
        f"relaxed  {changed} of {channels} requantizers differ from the exact network by "
        f"{max((one.largest for one in layers), default=0)} steps at most ({relaxed.tolerance} allowed): "
        f"{before:,.0f} → {after:,.0f} LUTs estimated"
    )
    if relaxed.accuracy is not None:
        text += f", accuracy {show.percent(relaxed.accuracy_exact)} → {show.percent(relaxed.accuracy)}"
    return text


def _accuracy(model: Model, design: Design | None, relaxed: Relaxed | None) -> Iterator[str]:
    chip, export, cost = design.accuracy if design else None, model.export, model.input_quantizer_cost
    if text := output(model.output):
        yield f"output   {text}"
    if model.accuracy is not None:
        yield f"accuracy {show.percent(model.accuracy)} of {model.rows} rows, of the integer network"
    if chip:
        yield f"         {show.percent(chip.value)} of {chip.rows} rows, by the chip's output ({escape(chip.output)})"
    if relaxed:
        yield _relaxed(relaxed)
    if export:
        same, largest = show.percent(export.same_class), f"{export.largest_difference:.2g}"
        yield f"export   torch and QONNX: same class on {same} of {export.rows} rows, apart by {largest}"
    if cost:
        same = show.percent(cost.same_class)
        text = f"input quantizer added: same class as the raw model on {same} of {cost.rows} rows"
        if cost.accuracy is not None:
            text += f", accuracy {show.percent(cost.accuracy_raw)} → {show.percent(cost.accuracy)}"
        yield text


def _nodes(model: Model) -> Iterator[Table]:
    """The network as a graph, where it is no chain of dense layers."""
    if not model.nodes:
        return
    table = headed("node", "what it does", "to", "gives", "bits", title="\nNetwork", words=(0, 1, 2, 3, 4))
    for line in network.lines(model):
        table.add_row(*map(escape, (line.name, line.what, line.takes, line.gives, line.bits)))
    yield table


def _parts(report: Report) -> Iterator[Table]:
    """What each part of the hardware takes, where the network is a graph."""
    if report.model is None or not report.model.nodes:
        return
    table = headed("part", "of node", "LUT", "predicted", "FF", "predicted", title="\nParts", words=(0, 1))
    for part in parts.parts(report):
        pairs = ((side.get(name)) for name in ("lut", "ff") for side in (part.measured, part.predicted))
        table.add_row(escape(part.name), escape(part.layer or ""), *map(_number, pairs))
    yield table


def _zeros(report: Report) -> Iterator[RenderableType]:
    """What zeros saved, where layers are multiplied without them."""
    rows = list(zeros.rows(report))
    if not rows:
        return
    table = headed("layer", *zeros.HEADS, title="\nZeros that are skipped")
    for row in rows:
        table.add_row(escape(row.layer), *row.cells)
    yield table
    yield f"[dim]{zeros.MEANING}.[/]"


def _layers(model: Model) -> Table:
    """Weights by layer; where kernels move, how often each is used instead of its shape before compaction."""
    moves = any(layer.positions for layer in model.layers)
    second = "times used" if moves else "shape"
    table = headed(
        "layer", second, "in hardware", "w bits", "a bits", "acc bits", "zeros", "BOPs", "nnz·bₐ·b_w", title="\nLayers"
    )
    for layer in model.layers:
        hardware = layer.hardware
        table.add_row(
            escape(layer.name),
            str(layer.positions or 1) if moves else f"{layer.inputs}×{layer.outputs}",
            f"{hardware.inputs}×{hardware.outputs}",
            str(layer.weight_bits),
            str(layer.input_bits),
            str(hardware.accumulator_bits),
            show.percent(layer.zeros / layer.weights, 1),
            _number(layer.bops.paper),
            _number(layer.bops.nonzero_products),
        )
    zeros, weights = sum(layer.zeros for layer in model.layers), sum(layer.weights for layer in model.layers)
    sums = (show.percent(zeros / weights, 1), _number(model.bops.paper), _number(model.bops.nonzero_products))
    table.add_row("total", *[""] * 5, *sums, style="bold")
    return table


def _backend(name: str, design: Design | None) -> str:
    """The backend, and how it was told to write layers where it has more than one way."""
    if design is None or design.strategy is None:
        return name
    target = f"asking for interval {design.interval_cycles} at {show.period(design.clock_ns)}"
    return f"{name} {design.hls4ml_version}, strategy {design.strategy}, {target}"


def _multiplications(model: Model, design: Design) -> Group:
    """Where the zeros went: products of each layer, from the dense network to the generated source."""
    table = headed("layer", "before pruning", "not pruned", "after compaction", "in the source",
                   "multipliers asked for", title="\nMultiplications")  # fmt: skip
    for layer in model.layers:
        one = design.written(layer.name)
        left = (one.after_compaction, one.in_source, one.multipliers) if one else (None,) * 3
        table.add_row(escape(layer.name), *map(_number, (layer.weights, layer.weights - layer.zeros, *left)))
    ways = dict.fromkeys(one.how for one in design.layers or ())
    return Group(table, f"[dim]in the source: {escape('; '.join(ways))}[/]")


def _stand_in(other: StandIn) -> str:
    """Says plainly that what follows is another circuit."""
    text = "\nNo HLS tool has made hardware of this C++."
    if other.refused:
        return f"[bold]{text}[/] No circuit stands in for it: {escape(other.refused)}"
    return (
        f"[bold]{text}[/] What follows is another circuit of the same integer network, the {escape(other.backend)} "
        "backend's;\nan HLS tool's would have other LUTs, FFs, DSPs and another latency.\n"
        f"[dim]{escape(other.why)}[/]"
    )


def _bops(model: Model) -> str:
    total = model.bops
    others = network.additions(model)
    each = " times positions" if any(layer.positions for layer in model.layers) else ""
    return (
        f"[dim]BOPs: the paper's equation 1{each} with zeros after rounding; as the paper's code counts "
        f"{total.paper_code:,.0f} (32-bit input, biases; zeros after rounding {total.paper_code_rounded:,.0f})"
        f"{'; ' * bool(others)}{others}[/]"
    )


def _timing(report: Report, timing: Timing) -> Group:
    table = headed("", "predicted", "measured", "at the board's clock", title="\nCycles")
    latency, interval = timing.latency_cycles, timing.interval_cycles
    time, rate = show.nanoseconds(timing.latency_ns or None), show.rate(timing.frames_per_second or None)
    table.add_row("latency", _number(latency.predicted), _number(latency.measured), time)
    table.add_row("interval", _number(interval.predicted), _number(interval.measured), rate)
    notes = [text for text in (timing.clock_note, network.interval(report)) if text]
    return Group(table, *(f"[dim]{escape(text)}[/]" for text in notes))


def _simulations(report: Report) -> Table:
    title = "\nSimulated by the tools" if report.imported else "\nCompared with the integer network"
    table = headed("engine", "what", "vectors", "mismatches", "rounding ties", title=title, words=(0, 1))
    for one in report.simulations:
        table.add_row(
            escape(f"{one.engine} {one.version}"),
            escape(one.compared + _of_other(one, report.backend)),
            _number(one.vectors) if one.vectors else escape(one.note),
            _number(one.mismatches) if one.vectors else DASH,
            _number(one.rounding_ties),
        )
    return table


def _proof(report: Report) -> Iterator[str]:
    """What is known for every input, and what that rests on."""
    if report.proof is None:
        return
    yield "\n[bold]For every input[/]"
    yield from (f"{one.word}: {escape(one.claim)} [dim]({escape(one.detail)})[/]" for one in report.proof.claims)
    yield f"[dim]trusted: {escape('; '.join(report.proof.trusted))}[/]"


def _checks(report: Report) -> str:
    ran, left = check.run(report), check.not_run(report)
    passed = f"{len(ran) - len(check.failed(report))} of {len(ran)} passed" if ran else "none was run"
    lines = [f"\n[bold]Checks[/] {passed}" + (f", {len(left)} not run" if left else "")]
    lines += [f"[dim]{DASH}[/] " + escape(f"{one.name}: not run, {one.why}") for one in left]
    for one in check.failed(report):
        why = f"; {one.why}" if one.why else ""
        lines.append("[red]✗[/] " + escape(f"{one.name}: expected {one.expected}, found {one.found}{why}"))
    return "\n".join(lines)


def _of_other(simulation: Simulation, backend: str) -> str:
    """Marks what is about a circuit that stands in for the backend's own."""
    return "" if simulation.circuit in (None, backend) else f" ({simulation.circuit} circuit)"
