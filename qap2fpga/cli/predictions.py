# SPDX-License-Identifier: Apache-2.0
"""Estimates, and the calibrations that they rest on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import Bits, Model, console, input_interval, numbers
from qap2fpga.system.errors import CheckFailed


def estimate(
    model: Model,
    backend: Annotated[str | None, typer.Option(help="finn, hls4ml or rtl [all]")] = None,
    board: Annotated[str | None, typer.Option(help="a name that `qap2fpga boards` lists, or a YAML file [all]")] = None,
    bits: Annotated[int | None, typer.Option(help="weight and activation bits, where the file does not say")] = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: Annotated[int | None, typer.Option(help="bits of the input quantizer, where there is none")] = None,
    input_data: Annotated[Path | None, typer.Option(help="as for build")] = None,
    input_range: Annotated[str | None, typer.Option(help="LOW,HIGH of the inputs, where there are no data")] = None,
    model_output: Annotated[str, typer.Option(help="as for build")] = "",
    clock: Annotated[float | None, typer.Option(help="rtl, hls4ml: ns to aim at [the board's]")] = None,
    target_fps: Annotated[float | None, typer.Option(help="finn: vectors per second to reach")] = None,
    sparse: Annotated[
        str | None, typer.Option(help="finn: multiply layers without their zeros: auto, always or never [auto]")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="hls4ml: as for build [latency]")] = None,
    io_type: Annotated[str | None, typer.Option(help="hls4ml: as for build")] = None,
    reuse_factor: Annotated[int | None, typer.Option(help="hls4ml: as for build [1]")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="also print adders, C synthesis layer by layer, and what it rests on")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the numbers as JSON")] = False,
) -> None:
    """Predict size and speed of MODEL from the network alone. Nothing is generated."""
    from qap2fpga.library import estimates, network, sources
    from qap2fpga.report import estimates as table

    options = {"clock": clock, "target_fps": target_fps, "sparse": sparse, "strategy": strategy, "io_type": io_type,
               "reuse_factor": reuse_factor}  # fmt: skip
    targets = estimates.targets(board, backend, options)
    weights, activations = numbers(weight_bits, "--weight-bits"), numbers(activation_bits, "--activation-bits")
    widths = sources.widths(bits, weights or None, activations or None, input_bits)
    source = sources.source(
        model, widths, input_data, input_interval(input_range), (), "logits", model_output, compare=False
    )
    estimated = estimates.of_targets(network.read(source, quiet=True), targets)
    if as_json:
        layers = table.complexity_values(estimated.layers)
        print(json.dumps({"layers": layers, "estimates": table.with_nodes(estimated)}, indent=2))
    else:
        console().print(table.complexity(estimated.layers, explain=explain), table.render(estimated, explain=explain))


def calibrate(
    backend: Annotated[str, typer.Option(help="finn or rtl")],
    designs: Annotated[int, typer.Option(help="random designs to measure; hours for hundreds")] = 300,
    jets: Annotated[int, typer.Option(help="so many more of the size of the jet tagger")] = 0,
    seed: Annotated[int, typer.Option(help="the same seed draws the same designs")] = 1,
    processes: Annotated[int | None, typer.Option(help="designs at a time [2]")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="work on a Dask cluster that is there, as tcp://HOST:8786")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="folder [calibration/<backend>]")] = None,
    over: Annotated[str, typer.Option(help="networks over 'vectors' or 'images', or 'sparse' ones")] = "vectors",
    confirm: Annotated[
        bool, typer.Option("--confirm", help="only check that the calibration there is is of the hardware made now")
    ] = False,
) -> None:
    """Measure random designs, and fit the predictions to them. A stopped run resumes."""
    from qap2fpga.estimate import calibrate as calibrations
    from qap2fpga.estimate.calibration import file
    from qap2fpga.system.workers import asked_for

    workers = asked_for(processes, scheduler, "--processes")
    if confirm:
        if not calibrations.confirm(backend, workers, output and output / file(backend, over).name, over):
            raise CheckFailed(f"the calibration of {backend} is of other hardware: calibrate again")
        print(f"the calibration of {backend} is of the hardware that is made now")
        return
    folder = output or Path("calibration") / calibrations.title(backend, over)
    content = calibrations.calibrate(backend, designs, jets, seed, workers, folder, print, over)
    for name, part in content["resources"].items():
        row = part["held_back"]["all"]
        print(
            f"{name.upper()}: mean error {row['mean_percent']} %, largest {row['largest_percent']} % of "
            f"{row['designs']} designs that were not fitted"
        )
