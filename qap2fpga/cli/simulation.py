# SPDX-License-Identifier: Apache-2.0
"""A finished build: its C simulation and proofs again, and onto a board. Other tools' hardware against a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import numbers
from qap2fpga.system.names import printable


def csim(
    build: Annotated[Path, typer.Argument(help="folder of a build with --backend hls4ml")],
    tool: Annotated[str | None, typer.Option(help="vitis or g++ [vitis where it is installed, else g++]")] = None,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Compare the C++ of an hls4ml BUILD with its network again. With Vitis HLS or g++."""

    from qap2fpga.build.csim import simulate
    from qap2fpga.system.progress import Progress

    with Progress(quiet=quiet) as progress:
        run = simulate(build, tool, progress)
    if not quiet:
        title = f"{run.engine} {run.version}".rstrip()
        print(f"{title}: {run.compared}: {run.vectors} vectors, {run.mismatches} mismatches. {run.note}")


def prove(
    build: Annotated[Path, typer.Argument(help="folder of a build with --backend rtl or finn")],
    time_limit: Annotated[float, typer.Option(help="seconds that a module may take")] = 60.0,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Prove what can be of a BUILD, for every input. Writes a certificate."""

    from qap2fpga.library import proofs
    from qap2fpga.system.errors import CheckFailed

    certificate = proofs.prove(build, time_limit, quiet=quiet)
    if not quiet:
        for line in proofs.lines(certificate):
            print(line)
        print(build / proofs.CERTIFICATE)
    left = proofs.left(certificate)
    if left:
        raise CheckFailed("; ".join(left))


def audit(
    folder: Annotated[Path, typer.Argument(help="where the Verilog is, and ports.yaml; `qap2fpga help audit`")],
    against: Annotated[Path, typer.Option(metavar="MODEL", help="model.pt, state dict or .onnx that it is to compute")],
    ports: Annotated[Path | None, typer.Option(help="the description of its ports [FOLDER/ports.yaml]")] = None,
    output_kind: Annotated[str, typer.Option(help="accumulators, logits, values or class")] = "accumulators",
    bits: Annotated[int | None, typer.Option(help="weight and activation bits of a state dict")] = None,
    weight_bits: Annotated[str | None, typer.Option(help="one number, or one per layer")] = None,
    activation_bits: Annotated[str | None, typer.Option(help="one number, or one per layer")] = None,
    input_bits: Annotated[int | None, typer.Option(help="of a model without input quantizer [8]")] = None,
    input_data: Annotated[Path | None, typer.Option(help=".npz or .npy of real inputs")] = None,
    output: Annotated[Path | None, typer.Option(help="keep the files of the simulation in this folder")] = None,
    prove: Annotated[bool, typer.Option(help="prove it for every input, where its shape allows")] = True,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Compare Verilog of another tool with a model, bit for bit.

    In Verilator, with stalls, bursts and a reset; for every input where the hardware has a fixed latency.
    """

    from qap2fpga.library import audits

    weights, activations = numbers(weight_bits, "--weight-bits"), numbers(activation_bits, "--activation-bits")
    result = audits.audit(
        folder, against, ports=ports, output_kind=output_kind, bits=bits, weight_bits=weights,
        activation_bits=activations, input_bits=input_bits, input_data=input_data, output=output, prove=prove,
        quiet=quiet,
    )  # fmt: skip
    if not quiet:
        for line in audits.lines(result):
            print(printable(line))


def load(
    build: Annotated[Path, typer.Argument(help="folder of a build for an ECP5 board with a bitstream")],
    loader_board: Annotated[str, typer.Option(help="the board's name for openFPGALoader [of the build's board]")] = "",
    flash: Annotated[bool, typer.Option(help="write the flash, which keeps it without power")] = False,
    dry_run: Annotated[bool, typer.Option(help="say the command and run nothing")] = False,
) -> None:
    """Load the bitstream of BUILD into its ECP5 board. Through openFPGALoader; no board has run it yet."""
    import shlex

    from qap2fpga.library.builds import open_build

    command = open_build(build).program(loader_board=loader_board, flash=flash, dry_run=dry_run)
    print(("" if dry_run else "loaded: ") + shlex.join(command))
