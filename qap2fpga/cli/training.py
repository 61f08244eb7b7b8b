# SPDX-License-Identifier: Apache-2.0
"""Training: one run, many, their figures, and simulated data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from qap2fpga.cli.arguments import console, numbers, one_or_many
from qap2fpga.system.names import printable


def train(
    config: Annotated[Path | None, typer.Argument(help="YAML with the settings; `qap2fpga help training`")] = None,
    data: Annotated[str | None, typer.Option(help=".npz, .csv, .parquet, .h5, openml or simulated")] = None,
    output: Annotated[Path | None, typer.Option(help="the model.pt to write")] = None,
    vectors: Annotated[Path | None, typer.Option(help="also write standardised test rows here, for build")] = None,
    folder: Annotated[Path | None, typer.Option(help="keep record and checkpoints here; a stopped run resumes")] = None,
    widths: Annotated[str | None, typer.Option(help="neurons of the hidden layers [64,32,32]")] = None,
    weight_bits: Annotated[str | None, typer.Option(help="2 to 16, one or one per layer; 32: float [6]")] = None,
    activation_bits: Annotated[str | None, typer.Option(help="2 to 16, one or one per layer [6]")] = None,
    input_bits: Annotated[int | None, typer.Option(help="2 to 16 [8]")] = None,
    sparsity: Annotated[float | None, typer.Option(help="part of the weights to prune [0.8]")] = None,
    l1: Annotated[float | None, typer.Option(help="strength of the L1 term on the weights [1e-5]")] = None,
    batch_norm: Annotated[bool | None, typer.Option(help="batch norm after every hidden layer [yes]")] = None,
    epochs: Annotated[int | None, typer.Option(help="most epochs of the dense training [60]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="of Adam [3e-3]")] = None,
    max_lut: Annotated[
        int | None,
        typer.Option(help="learn each weight's bits, to so many LUTs, unrolled"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="the same seed and versions give the same bytes [1]")] = None,
) -> None:
    """Quantization-aware training and pruning of a dense network. Options override the settings of CONFIG."""
    from qap2fpga.library.training import train as run

    result = run(
        config, data=data, output=output, vectors=vectors, folder=folder, widths=numbers(widths, "--widths"),
        weight_bits=one_or_many(numbers(weight_bits, "--weight-bits")),
        activation_bits=one_or_many(numbers(activation_bits, "--activation-bits")),
        input_bits=input_bits, sparsity=sparsity, l1=l1, batch_norm=batch_norm, epochs=epochs,
        learning_rate=learning_rate, max_lut=max_lut, seed=seed,
    )  # fmt: skip
    print(printable(result.heading))


def study(
    file: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="what to train; `qap2fpga help studies` has the layout")
    ],
    output: Annotated[Path, typer.Option(help="the study's folder; called again on it, a study goes on")],
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT of a Dask cluster that sees this folder [this machine]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="trainings at a time on this machine [one per core]")
    ] = None,
    only: Annotated[str | None, typer.Option(help="do just this experiment or search")] = None,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
) -> None:
    """Train many networks in parallel. Precisions, schedules, folds, searches. Exit code 1 if one of them failed."""
    from qap2fpga.library.studies import study as run
    from qap2fpga.report import study_table

    result = run(file, output, scheduler=scheduler, workers=workers, only=only, quiet=quiet)
    if not quiet:
        study_table.render(result.checkpoints, console())
    result.require_finished()


def figures(
    study: Annotated[Path, typer.Argument(help="the folder that `qap2fpga study` wrote")],
    output: Annotated[Path | None, typer.Option(help="where the files go [STUDY/figures]")] = None,
) -> None:
    """Draw the paper's figures and table from the runs of STUDY. PNG, SVG, and the numbers as CSV."""
    from qap2fpga.train.figures import draw

    draw(study, print, output)


def mlflow(
    study: Annotated[Path, typer.Argument(help="the folder that `qap2fpga study` wrote")],
    experiment: Annotated[str | None, typer.Option(help="MLflow's name of it [the folder's name]")] = None,
    address: Annotated[
        str | None, typer.Option(help="tracking server or database: http://HOST:5000, sqlite:///FILE [MLflow's choice]")
    ] = None,
) -> None:
    """Write the runs of STUDY to MLflow. Needs the extra 'mlflow'. What is there already is not written again."""
    from qap2fpga.report.mlflow_runs import export

    # MLflow's own choice has a closed port tried for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    exported = export(study, experiment, address)
    print(printable(exported.heading))
    exported.check()


def simulate_jets(
    output: Annotated[Path, typer.Argument(help="the .npz to write")],
    jets_a_class: Annotated[int, typer.Option(help="jets of each of the five classes")] = 4800,
    seed: Annotated[int, typer.Option(help="the same seed gives the same jets")] = 1,
    processes: Annotated[int | None, typer.Option(help="one per core, if not given")] = None,
    constituents: Annotated[int, typer.Option(help="keep as many particles of each jet, hardest first")] = 0,
) -> None:
    """Simulate jets with Pythia and FastJet. Needs the extra 'simulate'. A stopped run resumes."""
    from qap2fpga.train.jets import JetConfig, generate

    config = JetConfig(
        output, output.with_suffix(".chunks"), jets_a_class, seed=seed, processes=processes, constituents=constituents
    )
    generate(config, print)
