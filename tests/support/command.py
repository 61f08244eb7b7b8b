# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it, in this process: exit code, standard output and error."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from qap2fpga import cli
from qap2fpga.frontend.checkpoint import writing
from qap2fpga.frontend.checkpoint.spec import Model
from tests.support.networks import random_model


@dataclass(frozen=True)
class Result:
    """What one command left."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path) -> Result:
    """`qap2fpga ARGUMENTS`. An exception that would reach the user as a traceback is raised."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", ["qap2fpga", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    return Result(code, out.getvalue(), err.getvalue())


def build(model: Path, output: Path, *more: str | Path) -> Result:
    """`qap2fpga build` up to the integer network."""
    return run("build", model, "--board", "pynq-z2", "--until", "model", "--output", output, *more)


def save(path: Path, model: Model | None = None) -> Path:
    """Write a `model.pt` of `model`, else of a small random one."""
    model = model or random_model(3)
    writing.write(model, path, model.labels, {})
    return path
