# SPDX-License-Identifier: Apache-2.0
"""`profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import Bits, Model, console, input_interval, numbers


def profile(
    model: Model,
    input_data: Annotated[
        Path | None, typer.Option(help=".npz with X (rows, inputs), or .npy [the model's own examples]")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="weight and activation bits, where the file does not say")] = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: Annotated[int | None, typer.Option(help="bits of the input quantizer, where there is none")] = None,
    input_range: Annotated[str | None, typer.Option(help="LOW,HIGH of the inputs, where there are no data")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="also run torch and QONNX, and count where their rounding differs")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the numbers as JSON")] = False,
    quiet: Annotated[bool, typer.Option(help="show nothing while it runs")] = False,
) -> None:
    """Show how the integers of MODEL fill their ranges. Node by node, and what saturates or is never used."""
    from qap2fpga.library import sources
    from qap2fpga.library.profiles import of_source
    from qap2fpga.report import profiles

    weights, activations = numbers(weight_bits, "--weight-bits"), numbers(activation_bits, "--activation-bits")
    widths = sources.widths(bits, weights or None, activations or None, input_bits)
    source = sources.source(
        model, widths, input_data, input_interval(input_range), (), "logits", compare=compare
    )  # fmt: skip
    result = of_source(source, quiet=quiet)
    if as_json:
        print(profiles.dump(result))
    else:
        console().print(profiles.render(result))
