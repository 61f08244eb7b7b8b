# SPDX-License-Identifier: Apache-2.0
"""The command line: arguments only. Every command's work is in the module of its name."""

from __future__ import annotations

import errno
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from qap2fpga.errors import CheckFailed, QapError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A pruned, quantized network in; hardware proven to compute the same integers out.",
)

Model = Annotated[
    Path, typer.Argument(help="model.pt of qap2fpga.save, a Brevitas state dict (.pth), or QONNX (.onnx)")
]
BoardName = Annotated[str, typer.Option("--board", help="a name that `qap2fpga boards` lists, or a YAML file")]
# Any file that a library writes may meet a full disk; that is no bug of ours.
LOG_WIDTH = 150
MACHINE_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
Bits = Annotated[str | None, typer.Option(help="one number, or one a layer: 6 or 6,6,4,6")]


def main() -> None:
    """Run the command line; a user's mistake ends in one message and exit code 2, a failed check in 1."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As an exception: what was started is then stopped on the way out.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        app(standalone_mode=True)
    except QapError as error:
        print(f"qap2fpga: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        if error.errno not in MACHINE_REFUSES:
            raise
        cure = "make room, look at the permissions, or choose another folder with --output"
        print(f"qap2fpga: {error.filename or 'a file'}: {error.strerror}\n  {cure}", file=sys.stderr)
        sys.exit(QapError.exit_code)


@app.command()
def build(
    model: Model,
    board: BoardName,
    backend: Annotated[
        str, typer.Option(help="finn; hls4ml: C++ for an HLS tool; rtl: fully unrolled, a vector a cycle")
    ] = "finn",
    output: Annotated[Path | None, typer.Option(help="build folder [builds/<model>-<backend>-<board>]")] = None,
    bits: Annotated[int | None, typer.Option(help="weight and activation bits, where the file does not say")] = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: Annotated[
        int | None, typer.Option(help="bits of the input quantizer, where the model has none [8]")
    ] = None,
    input_data: Annotated[
        Path | None, typer.Option(help=".npz with X (rows, inputs), optionally y and classes; or .npy")
    ] = None,
    input_range: Annotated[str | None, typer.Option(help="LOW,HIGH of the inputs, where there are no data")] = None,
    classes: Annotated[
        str | None, typer.Option(help="names of the outputs in order, to match the data's classes")
    ] = None,
    output_kind: Annotated[str, typer.Option(help="what leaves the chip: logits, class or accumulators")] = "logits",
    target_fps: Annotated[
        float | None, typer.Option(help="finn: the cheapest design that reaches so many vectors a second")
    ] = None,
    max_utilization: Annotated[
        float | None, typer.Option(help="finn: part of the board that the estimate may use [0.7]")
    ] = None,
    folding: Annotated[Path | None, typer.Option(help="finn: folding.json, node to SIMD and PE")] = None,
    clock: Annotated[
        float | None, typer.Option(help="hls4ml, rtl: ns that the pipeline is cut for [the board's]")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="hls4ml: latency, resource_unrolled or distributed_arithmetic [latency]")
    ] = None,
    reuse_factor: Annotated[
        int | None, typer.Option(help="hls4ml: products that share a multiplier [1: fully unrolled]")
    ] = None,
    requant_tolerance: Annotated[
        int | None, typer.Option(help="hls4ml, rtl: output steps that a requantizer may be off by, to be cheaper [0]")
    ] = None,
    vendor: Annotated[
        str | None,
        typer.Option(
            help="steps for AMD's tools: csim, csynth, cosim, export (hls4ml), synth, route; or none "
            "[csim, csynth, synth where the tools are installed]"
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="generate, and show what AMD's tools would run")] = False,
    allow_oversize: Annotated[bool, typer.Option(help="go on although the design does not fit the board")] = False,
    until: Annotated[str, typer.Option(help="last stage: model, generate, simulate or synthesize")] = "synthesize",
    check: Annotated[
        str, typer.Option(help="fail: a failed check ends with exit code 1; warn: it is only shown")
    ] = "fail",
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Build hardware for MODEL, prove it equal to the network, synthesise it, and report."""

    from qap2fpga import backends
    from qap2fpga import board as boards
    from qap2fpga.build import build as run
    from qap2fpga.build import plan as show_plan
    from qap2fpga.checkpoint.widths import Widths
    from qap2fpga.progress import Progress
    from qap2fpga.report import table
    from qap2fpga.request import Request, default_output

    _check_mode(check)
    target, chosen = boards.load(board), backends.get(backend)
    options = chosen.make_options(
        backend,
        target_fps=target_fps,
        max_utilization=max_utilization,
        folding=_json(folding),
        clock=clock,
        strategy=strategy,
        reuse_factor=reuse_factor,
        requant_tolerance=requant_tolerance,
        output_kind=output_kind,
        allow_oversize=allow_oversize,
    )
    both = (bits,) if bits is not None else ()
    widths = Widths(
        _numbers(weight_bits, "--weight-bits") or both,
        _numbers(activation_bits, "--activation-bits") or both,
        input_bits,
    )
    request = Request(
        model,
        target,
        backend,
        options,
        output or default_output(model, backend, target),
        widths,
        input_data,
        _range(input_range),
        tuple(classes.split(",")) if classes else (),
        until,
        None if vendor is None else tuple(name for name in vendor.split(",") if name != "none"),
    )
    with Progress(quiet=quiet) as progress:
        if plan:
            print(show_plan(request, progress))
            return
        report = run(request, progress)
    if not quiet:
        table.render([(str(request.output), report)], _console())
    if check == "fail":
        _fail([report])


@app.command()
def report(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[BUILD]...", help="build folders, folders of builds, studies [the newest in builds/]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print report.json; of several, by name")] = False,
    html: Annotated[Path | None, typer.Option(help="write one page that a browser shows without a network")] = None,
    csv: Annotated[Path | None, typer.Option(help="write one row a build, and a checkpoint of a study")] = None,
) -> None:
    """Show the report of one build, several side by side, or what a study's checkpoints trade."""

    from qap2fpga.files import write_atomically
    from qap2fpga.report import gather, rows, table

    found = gather.gather(places or [gather.newest(Path("builds"))])
    for message in found.left_out:
        print(f"qap2fpga: left out: {message}", file=sys.stderr)
    if html is not None:
        from qap2fpga.report import page

        write_atomically(html, page.render(found, html.parent))
    if csv is not None:
        write_atomically(csv, rows.as_csv(found))
    if as_json:
        print(rows.as_json(found))
    elif html is None and csv is None:
        table.render_all(found, _console())


@app.command("import-report")
def import_report(
    folder: Annotated[Path, typer.Argument(help="results of Vivado, Vitis HLS, Vivado HLS, hls4ml or FINN")],
    name: Annotated[str | None, typer.Option(help="what to call it [the folder's name]")] = None,
    board: Annotated[str | None, typer.Option(help="hold it against this board [the part in the reports]")] = None,
    model: Annotated[
        Path | None, typer.Option(help="the network: model.pt, QONNX, or a build folder; shows LUT per BOP")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="where reports go [builds/<name>-imported]")] = None,
    check: Annotated[
        str, typer.Option(help="fail: a contradiction ends with exit code 1; warn: it is only shown")
    ] = "fail",
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Read the results that other tools left in FOLDER into a report, and check them against each other."""

    from qap2fpga import board as boards
    from qap2fpga.report import table
    from qap2fpga.report.imported.run import ImportRequest, import_reports

    _check_mode(check)
    target = None if board is None else boards.load(board)
    say = (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr))
    found = import_reports(ImportRequest(folder, name, target, model, output), say)
    if not quiet:
        table.render([(str(place), report) for place, report in found], _console())
    if check == "fail":
        _fail([report for _, report in found])


@app.command()
def estimate(
    model: Model,
    backend: Annotated[str | None, typer.Option(help="finn or rtl [both]")] = None,
    board: Annotated[str | None, typer.Option(help="a name that `qap2fpga boards` lists, or a YAML file [all]")] = None,
    bits: Annotated[int | None, typer.Option(help="weight and activation bits, where the file does not say")] = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: Annotated[int | None, typer.Option(help="bits of the input quantizer, where there is none")] = None,
    input_data: Annotated[Path | None, typer.Option(help="as for build")] = None,
    input_range: Annotated[str | None, typer.Option(help="LOW,HIGH of the inputs, where there are no data")] = None,
    clock: Annotated[float | None, typer.Option(help="rtl: ns that the pipeline is cut for [the board's]")] = None,
    target_fps: Annotated[float | None, typer.Option(help="finn: vectors a second to reach")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the numbers as JSON")] = False,
) -> None:
    """Predict size and speed of MODEL from the network alone, before anything is generated."""
    from qap2fpga import board as boards
    from qap2fpga.checkpoint.widths import Widths
    from qap2fpga.predict import table
    from qap2fpga.predict.command import estimate_all

    both = (bits,) if bits is not None else ()
    widths = Widths(
        _numbers(weight_bits, "--weight-bits") or both,
        _numbers(activation_bits, "--activation-bits") or both,
        input_bits,
    )
    chosen = [boards.load(name) for name in ([board] if board else boards.names())]
    given = {"clock": clock, "target_fps": target_fps}
    found = estimate_all(model, widths, input_data, _range(input_range), backend, chosen, given)
    if as_json:
        print(json.dumps(table.values(found), indent=2))
    else:
        _console().print(table.render(found))


@app.command()
def calibrate(
    backend: Annotated[str, typer.Option(help="finn or rtl")],
    designs: Annotated[int, typer.Option(help="random designs to measure; hours for hundreds")] = 300,
    seed: Annotated[int, typer.Option(help="the same seed draws the same designs")] = 1,
    processes: Annotated[int, typer.Option(help="designs at a time")] = 2,
    output: Annotated[Path | None, typer.Option(help="folder [calibration/<backend>]")] = None,
) -> None:
    """Measure random designs and fit what `estimate` and the checks rest on. A stopped run resumes."""
    from qap2fpga.predict.calibrate import calibrate as run

    content = run(backend, designs, seed, processes, output or Path("calibration") / backend, print)
    for name, part in content["resources"].items():
        row = part["held_back"]["all"]
        print(
            f"{name.upper()}: mean error {row['mean_percent']} %, largest {row['largest_percent']} % of "
            f"{row['designs']} designs that were not fitted"
        )


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(help="YAML with the settings; docs/training.md")] = None,
    data: Annotated[str | None, typer.Option(help=".npz, .csv, .parquet, .h5, openml or simulated")] = None,
    output: Annotated[Path | None, typer.Option(help="the model.pt to write")] = None,
    vectors: Annotated[Path | None, typer.Option(help="also write standardised test rows here, for build")] = None,
    folder: Annotated[Path | None, typer.Option(help="keep record and checkpoints here; a stopped run resumes")] = None,
    widths: Annotated[str | None, typer.Option(help="neurons of the hidden layers [64,32,32]")] = None,
    weight_bits: Annotated[str | None, typer.Option(help="2 to 16, one or one a layer; 32: float [6]")] = None,
    activation_bits: Annotated[str | None, typer.Option(help="2 to 16, one or one a layer [6]")] = None,
    input_bits: Annotated[int | None, typer.Option(help="2 to 16 [8]")] = None,
    sparsity: Annotated[float | None, typer.Option(help="part of the weights to prune [0.8]")] = None,
    l1: Annotated[float | None, typer.Option(help="strength of the L1 term on the weights [1e-5]")] = None,
    batch_norm: Annotated[bool | None, typer.Option(help="batch norm behind every hidden layer [yes]")] = None,
    epochs: Annotated[int | None, typer.Option(help="most epochs of the dense training [60]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="of Adam [3e-3]")] = None,
    seed: Annotated[int | None, typer.Option(help="the same seed and versions give the same bytes [1]")] = None,
) -> None:
    """Quantization-aware training and pruning of a dense network. Options override the settings of CONFIG."""
    from qap2fpga.train import config as settings
    from qap2fpga.train.output import train as run

    if config is None and data is None:
        raise QapError("there is nothing to train on", "give --data FILE, or a CONFIG.yaml; docs/training.md")
    chosen = settings.load(config, data) if config is not None else settings.of_source(str(data))
    changes = {
        "model.widths": _numbers(widths, "--widths") or None,
        "model.weight_bits": _one_or_many(_numbers(weight_bits, "--weight-bits")),
        "model.activation_bits": _one_or_many(_numbers(activation_bits, "--activation-bits")),
        "model.input_bits": input_bits,
        "pruning.sparsity": sparsity,
        "training.l1": l1,
        "model.batch_norm": batch_norm,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "seed": seed,
    }
    for path, value in changes.items():
        if value is not None:
            chosen = settings.replace(chosen, path, value)
    result = run(chosen, print, output, vectors, folder)
    compared = "" if result.float_accuracy is None else f" (float {100 * result.float_accuracy:.2f} %)"
    print(
        f"{result.output}: accuracy {100 * result.accuracy:.2f} % of {result.test_rows} test rows"
        f"{compared}, {100 * result.sparsity:.1f} % zeros"
    )


@app.command()
def figures(
    study: Annotated[Path, typer.Argument(help="the folder that `qap2fpga study` wrote")],
    output: Annotated[Path | None, typer.Option(help="where the files go [STUDY/figures]")] = None,
) -> None:
    """Draw the figures and the table of the paper from the runs of STUDY: PNG, SVG, and the numbers as CSV."""
    from qap2fpga.train.figures import draw

    draw(study, print, output)


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="what to train; docs/studies.md has the layout")],
    output: Annotated[Path, typer.Option(help="the study's folder; called again on it, a study goes on")],
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT of a Dask cluster that sees this folder [this machine]")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="trainings at a time on this machine [one a core]")] = None,
    only: Annotated[str | None, typer.Option(help="do just this experiment or search")] = None,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Train many networks in parallel: precisions, schedules, folds, searches. Exit code 1 if one of them failed."""
    from qap2fpga.train import summary
    from qap2fpga.train.study import study as run

    result = run(file, output, scheduler=scheduler, workers=workers, only=only, quiet=quiet)
    if not quiet:
        summary.render(result.folder, result.study, _console())
    result.check()


@app.command("simulate-jets")
def simulate_jets(
    output: Annotated[Path, typer.Argument(help="the .npz to write")],
    jets_a_class: Annotated[int, typer.Option(help="jets of each of the five classes")] = 4800,
    seed: Annotated[int, typer.Option(help="the same seed gives the same jets")] = 1,
    processes: Annotated[int | None, typer.Option(help="one a core, if not given")] = None,
) -> None:
    """Simulate jets with Pythia and FastJet (the extra 'simulate'). A stopped run resumes."""
    from qap2fpga.train.jets import JetConfig, generate

    generate(JetConfig(output, output.with_suffix(".chunks"), jets_a_class, seed=seed, processes=processes), print)


@app.command()
def boards() -> None:
    """List the boards; another one is another YAML file."""
    from rich.table import Table

    from qap2fpga import board

    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "part", "clock", "LUT", "FF", "DSP", "BRAM18", "what it is"):
        shown.add_column(column, justify="right" if column in ("clock", "LUT", "FF", "DSP", "BRAM18") else "left")
    for one in map(board.load, board.names()):
        numbers = (f"{value:,}" for value in (one.lut, one.ff, one.dsp, one.bram18))
        shown.add_row(one.name, one.part, f"{one.clock_ns:g} ns", *numbers, one.title)
    _console().print(shown)


@app.command()
def doctor() -> None:
    """Say what is installed, what it is for, and how to get what is missing. Exit code 2 if something needed is."""
    from rich.table import Table

    from qap2fpga import doctor as examination

    findings = examination.examine()
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "what", "version", "needed for", "how to get it"):
        shown.add_column(column)
    for one in findings:
        mark = "✓" if one.found else ("✗" if one.needed else "–")
        shown.add_row(
            mark,
            one.name,
            one.version or ("found" if one.found else "not found"),
            one.purpose,
            "" if one.found else one.cure,
        )
    _console().print(shown)
    missing = [one.name for one in findings if one.needed and not one.found]
    if missing:
        raise QapError(f"missing: {', '.join(missing)}", "the table says how to get each")


def _check_mode(check: str) -> None:
    if check not in ("fail", "warn"):
        raise QapError(f"unknown --check '{check}'", "known: fail, warn")


def _fail(reports: list[dict[str, Any]]) -> None:
    """Raise `CheckFailed` with the first check that did not pass, if there is one."""
    from qap2fpga.report import check

    failed = [one for report in reports for one in check.failed(report)]
    if failed:
        first, every = failed[0], sum(len(report["checks"]) for report in reports)
        found = f"{first['name']}: expected {first['expected']}, found {first['found']}"
        raise CheckFailed(f"{len(failed)} of {every} checks failed; {found}", first["why"])


def _console() -> Any:
    """Where tables go; wide where nobody sees the edge, as in a file or a log."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def _numbers(text: str | None, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise QapError(f"{option} is '{text}'", "give whole numbers: 6, or one a layer as 6,6,4,6") from error


def _one_or_many(numbers: tuple[int, ...]) -> int | tuple[int, ...] | None:
    return numbers[0] if len(numbers) == 1 else numbers or None


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise QapError(f"--input-range is '{text}'", "give LOW,HIGH, for example --input-range=-4,4") from error
    if not low < high or high <= 0 or max(abs(low), abs(high)) == float("inf"):
        raise QapError(f"--input-range is '{text}'", "LOW must be below HIGH, and HIGH above 0")
    return low, high


def _json(path: Path | None) -> Any:
    if path is None:
        return None
    cure = "take the folding.json of a build as a start"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise QapError(f"{path} is not a folding file: {error}", cure) from error
    if not isinstance(content, dict):
        raise QapError(f"{path} is not a folding file: it holds a {type(content).__name__}", cure)
    return content


if __name__ == "__main__":
    main()
