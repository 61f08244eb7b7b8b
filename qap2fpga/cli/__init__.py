# SPDX-License-Identifier: Apache-2.0
"""The command line: arguments only. Every command's work is in the module of its name."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, NoReturn, ParamSpec

import typer

import qap2fpga
from qap2fpga.cli import build, exploration, machine, predictions, profiling, reports, simulation, starting, training
from qap2fpga.cli import help as documentation
from qap2fpga.system import programs as tools
from qap2fpga.system import stdio as streams
from qap2fpga.system.errors import QapError
from qap2fpga.system.names import indented

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # which would take "[the board's]" for markup, and cuts long options off
)
# Commands whose finished work is kept: the same command line goes on.
RESUMED = ("build", "explore", "study", "calibrate", "simulate-jets")

# Any file that a library writes may meet a full disk, or a folder in its place; that is no bug of ours.
MACHINE_REFUSES = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR,
)  # fmt: skip

P = ParamSpec("P")


def _version(wanted: bool) -> None:
    """Print the version and end, if it is wanted."""
    if wanted:
        print(f"qap2fpga {qap2fpga.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it and end")
    ] = False,
) -> None:
    """A pruned, quantized network in; hardware out that computes the same integers, compared bit for bit."""


def _piped(command: Callable[P, None]) -> Callable[P, None]:
    """`command`, which ends quietly when its output is read no more; click would end it with 1."""

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            if not streams.closed():
                raise
            streams.discard()

    return run


# In the order of `--help`: from a model to a report, then what leads to a model, then the machine.
for name, command in (
    ("build", build.build),
    ("csim", simulation.csim),
    ("prove", simulation.prove),
    ("audit", simulation.audit),
    ("load", simulation.load),
    ("report", reports.report),
    ("import-report", reports.import_report),
    ("estimate", predictions.estimate),
    ("profile", profiling.profile),
    ("explore", exploration.explore),
    ("calibrate", predictions.calibrate),
    ("init", starting.init),
    ("train", training.train),
    ("study", training.study),
    ("figures", training.figures),
    ("mlflow", training.mlflow),
    ("simulate-jets", training.simulate_jets),
    ("boards", machine.boards),
    ("doctor", machine.doctor),
    ("help", documentation.show),
):
    app.command(name)(_piped(command))

# The signals that came, in order. While a library is imported, it may turn our exception into one of its own.
signals: list[int] = []


def _interrupted(number: int, _: object) -> NoReturn:
    """Stop what was started, and leave by an exception, which tidies up on the way out.

    An exception amid torch's import may end in its C++, which aborts. Nothing has to be tidied up by then.
    """
    signals.append(number)
    tools.stop()
    if getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False):
        os._exit(128 + number)
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; a user's mistake ends in one message and exit code 2, a failed check in 1."""
    streams.prepare()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        _run()
    except BaseException:
        if not signals:
            raise
        if any(name in RESUMED for name in sys.argv[1:2]):
            print("qap2fpga: stopped; the same command goes on", file=sys.stderr)
        sys.exit(128 + signals[0])


def _run() -> None:
    try:
        app(prog_name="qap2fpga", standalone_mode=True)
    except QapError as error:
        print(indented(f"qap2fpga: {error}"), file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in MACHINE_REFUSES:
            raise
        hint = "make room, look at the permissions, or choose another folder with --output"
        print(indented(f"qap2fpga: {error.filename or 'a file'}: {error.strerror}\n  {hint}"), file=sys.stderr)
        sys.exit(QapError.exit_code)
