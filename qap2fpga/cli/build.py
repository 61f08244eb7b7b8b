# SPDX-License-Identifier: Apache-2.0
"""`build`."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import (
    Bits,
    BoardName,
    Model,
    backend_names,
    check_mode,
    console,
    input_interval,
    numbers,
    stage_names,
)
from qap2fpga.cli.configured import Config


def build(
    model: Model,
    board: BoardName,
    backend: Annotated[
        str,
        typer.Option(
            help="finn; hls4ml: C++ for an HLS tool; rtl: fully unrolled, a vector per cycle",
            autocompletion=backend_names,
        ),
    ] = "finn",
    config: Config = None,
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
    output_kind: Annotated[
        str,
        typer.Option(help="what leaves the chip: logits (exact class), values (regression), class or accumulators"),
    ] = "logits",
    model_output: Annotated[
        str, typer.Option(help="the output, tensor or node of an .onnx file that leaves the chip [all its outputs]")
    ] = "",
    target_fps: Annotated[
        float | None, typer.Option(help="finn: the cheapest design that reaches so many vectors per second")
    ] = None,
    max_utilization: Annotated[
        float | None, typer.Option(help="finn: part of the board that the estimate may use [0.7]")
    ] = None,
    folding: Annotated[Path | None, typer.Option(help="finn: folding.json, node to SIMD and PE")] = None,
    sparse: Annotated[
        str | None,
        typer.Option(help="finn: multiply layers without their zeros: auto, where cheaper; always; or never [auto]"),
    ] = None,
    clock: Annotated[
        float | None, typer.Option(help="hls4ml, rtl: ns that the pipeline is cut for [the board's]")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="hls4ml: latency, resource, resource_unrolled or distributed_arithmetic [latency]"),
    ] = None,
    io_type: Annotated[
        str | None,
        typer.Option(help="hls4ml: parallel or stream, how tensors pass [parallel; stream for images and signals]"),
    ] = None,
    reuse_factor: Annotated[
        int | None, typer.Option(help="hls4ml: products that share a multiplier [1: fully unrolled]")
    ] = None,
    target_interval: Annotated[
        int | None,
        typer.Option(help="rtl: cycles that a frame may take; more of them share multipliers [as few as it can]"),
    ] = None,
    requant_tolerance: Annotated[
        int | None, typer.Option(help="hls4ml, rtl: output steps that a requantizer may be off by, to be cheaper [0]")
    ] = None,
    vendor: Annotated[
        str | None,
        typer.Option(
            help="steps for AMD's tools: csim, csynth, cosim, export (hls4ml), synth, route; system, bitstream (boards "
            "with a Zynq), finn (its own builder's shell); or none [csim, csynth, synth where the tools are installed]"
        ),
    ] = None,
    cross_check: Annotated[
        str, typer.Option(help="rtl: ecp5 also places and routes the design on an ECP5 85F, for a routed clock")
    ] = "",
    prove: Annotated[
        bool | None,
        typer.Option(help="rtl, finn: prove what can be of the hardware, for every input [where that is quick]"),
    ] = None,
    cache: Annotated[
        bool, typer.Option(help="take what builds of equal parts have done already, from ~/.cache/qap2fpga")
    ] = True,
    plan: Annotated[bool, typer.Option("--plan", help="generate, and show what AMD's tools would run")] = False,
    allow_oversize: Annotated[bool, typer.Option(help="go on although the design does not fit the board")] = False,
    until: Annotated[
        str,
        typer.Option(
            help="last stage: model, generate, simulate, synthesize, or route on ECP5 boards",
            autocompletion=stage_names,
        ),
    ] = "route",
    check: Annotated[
        str, typer.Option(help="fail: a failed check ends with exit code 1; warn: it is only shown")
    ] = "fail",
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="print what build.log gets, as it happens")] = False,
) -> None:
    """Build hardware for MODEL and compare it with the network. Synthesise it, and report."""

    from qap2fpga.library import builds, requests
    from qap2fpga.report import ending, table
    from qap2fpga.system import logs
    from qap2fpga.system.names import printable

    check_mode(check)
    wanted = requests.request(
        model, board, backend, output=output, bits=bits, weight_bits=numbers(weight_bits, "--weight-bits") or None,
        activation_bits=numbers(activation_bits, "--activation-bits") or None, input_bits=input_bits,
        input_data=input_data, input_range=input_interval(input_range), classes=classes or (),
        model_output=model_output, until=until, vendor=vendor,
        cross_check=cross_check, prove=prove, cache=cache, command=shlex.join(["qap2fpga", *sys.argv[1:]]),
        options={
            "target_fps": target_fps, "max_utilization": max_utilization, "folding": folding, "clock": clock,
            "sparse": sparse,
            "strategy": strategy, "io_type": io_type, "reuse_factor": reuse_factor,
            "requant_tolerance": requant_tolerance, "target_interval": target_interval, "output_kind": output_kind,
            "allow_oversize": allow_oversize,
        },
    )  # fmt: skip
    with logs.shown() if verbose else nullcontext():
        if plan:
            print(printable(builds.plan(wanted, quiet=quiet or verbose)))
            return
        result = builds.make(wanted, quiet=quiet or verbose)
    if not quiet:
        table.render([(str(builds.shown(result.path)), result.report)], console())
        console().print(ending.lines(result.report, builds.shown(result.path)))
    if check == "fail":
        result.require_passed()
