# SPDX-License-Identifier: Apache-2.0
"""Builds: hardware for a network, compared with it, and opened again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from qap2fpga.build import finished
from qap2fpga.build.finished import Finished
from qap2fpga.build.mapping import BITSTREAM
from qap2fpga.build.request import STAGES, Request
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir.graph import Graph
from qap2fpga.library import proofs, sources
from qap2fpga.library.network import Network
from qap2fpga.library.requests import request
from qap2fpga.library.sources import Bits, Interval
from qap2fpga.library.table import Items, Table, Tabular, Value, of_dicts
from qap2fpga.prove.certificate import Certificate
from qap2fpga.report import check, content, show, summary
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import Check
from qap2fpga.report.summary import Summary
from qap2fpga.synth.ecp5 import load as loading
from qap2fpga.system.progress import Progress

__all__ = ["Build", "Checks", "build", "open_build"]

# In the build's folder: what the board is loaded with, and what the program said.
LOADED = "route/load.log"


@dataclass(frozen=True, eq=False, repr=False)
class Checks(Items[Check]):
    """The checks of a build; a sequence of them. Each has `name`, `expected`, `found`, `outcome` and `why`."""

    checks: tuple[Check, ...]

    @property
    def items(self) -> tuple[Check, ...]:
        """Return the checks."""
        return self.checks

    @property
    def heading(self) -> str:
        """Return how many there are of each outcome, in one line."""
        outcomes = [str(one.outcome) for one in self.checks]
        return ", ".join(f"{outcomes.count(one)} {one}" for one in dict.fromkeys(outcomes)) or "none"

    @property
    def table(self) -> Table:
        """One row per check."""
        return Table(
            ("check", "expected", "found", "outcome", "why"),
            tuple((one.name, one.expected, one.found, str(one.outcome), one.why or None) for one in self.checks),
        )


@dataclass(frozen=True, eq=False, repr=False)
class Build(Tabular):
    """A build, or the import of another tool's results; `build` and `open_build` give one.

    Attributes:
        path: the folder, absolute: report, generated files, and what resumes an interrupted build.
        report: everything that is known, typed as docs/formats.md has it.
    """

    path: Path
    report: Report

    @property
    def passed(self) -> bool:
        """Whether no check failed. Checks that were not run say nothing, good or bad: see `checks`."""
        return not check.failed(self.report)

    @property
    def checks(self) -> Checks:
        """Every number that was compared with what the network says it must be, and those that could not be."""
        return Checks(tuple(self.report.checks))

    @property
    def resources(self) -> Table:
        """Cells of the design: the last measurement, what the board has, and what was predicted before.

        `stage` and `tool` say who counted. A cell that nobody counted is None, never 0. `circuit`: another backend's,
        measured in place of C++ that no HLS tool has read.
        """
        counted, expected = summary.hardware(self.report), next(iter(self.report.resources), None)
        rows: list[dict[str, Value]] = []
        for name in NAMES:
            used = counted.total.get(name) if counted else None
            available = self.report.board.size(name)
            share = None if used is None or not available else used / available
            interval = expected.intervals.get(name) if expected else None
            row: dict[str, Value] = {"resource": name, "used": used, "available": available, "share": share}
            if expected is not None:
                row["predicted"] = expected.total.get(name)
            if interval is not None:
                row["predicted_low"], row["predicted_high"] = show.whole(interval.low, interval.high)
            if counted is not None:
                row |= {"stage": counted.stage, "tool": counted.tool}
                if counted.circuit != self.report.backend:
                    row["circuit"] = counted.circuit
            rows.append(row)
        return of_dicts(rows)

    @property
    def summary(self) -> Summary:
        """The key numbers, with what they rest on: a row of a comparison."""
        return summary.of_build(str(shown(self.path)), self.path, self.report)

    @property
    def proof(self) -> Certificate | None:
        """What was proven when it was built, claim by claim; None where nothing was to be. `prove` does it again."""
        return self.report.proof

    @property
    def network(self) -> Graph:
        """The graph of integers that the hardware was compared with: the `graph` of what `load` gives."""
        return self._finished.network

    def run(self, X: ArrayLike, *, engine: str = finished.REFERENCE, quantized: bool = False) -> np.ndarray:
        """Return the integers that leave the chip for rows of inputs.

        Args:
            X: rows of real inputs (n, inputs), or (n, ...) in the shape that the model takes; any array.
            engine: 'reference', the integer network in numpy; 'rtl', the generated Verilog in Verilator; 'csim', the
                generated C++ of the hls4ml backend with g++.
            quantized: `X` are integers of the input quantizer already.

        Returns:
            (n, outputs) int64, the same from every engine: logits or values, of one scale; or as `output_kind` says.

        Raises:
            QapError: `X` does not fit, or the build left nothing for this engine, or its tool is absent.
        """
        vectors = sources.integers(self.network, self._finished.frame, X, quantized=quantized)
        return self._finished.outputs(vectors, engine)

    def require_passed(self) -> None:
        """Raise `CheckFailed` with the first check that failed, if there is one."""
        check.require_passed([self.report])

    def prove(self, *, time_limit_s: float = proofs.LIMIT_S, quiet: bool = False) -> Certificate:
        """Prove that the hardware is the network for every input, as far as it can be, from the folder's files alone.

        Args:
            time_limit_s: seconds that the solver may take for a module.
            quiet: show nothing while it runs.

        Returns:
            Claims, each 'proven', 'simulated', 'not proven' or 'refuted', and what they rest on; written to
            `certificate.json` too.

        Raises:
            QapError: a build of the hls4ml backend, or one that did not get as far as synthesis.
        """
        return proofs.prove(self.path, time_limit_s, quiet=quiet)

    def program(self, *, loader_board: str = "", flash: bool = False, dry_run: bool = False) -> list[str]:
        """Load the bitstream into an ECP5 board with openFPGALoader, and return the command.

        No board has been programmed by it yet: it is tested with a mock of the program.

        Args:
            loader_board: the board's name for openFPGALoader; known for the ECP5 boards that are here.
            flash: write the flash, which keeps it without power.
            dry_run: run nothing.

        Raises:
            QapError: there is no bitstream, the board has no name, or the program is missing or fails.
        """
        wanted = loading.command((self.path / BITSTREAM).absolute(), self.report.board.name, loader_board, flash=flash)
        if not dry_run:
            loading.load(wanted, (self.path / LOADED).absolute())
        return wanted

    def page(self, path: str | Path | None = None) -> Path:
        """Write the report as one HTML page that a browser shows without a network, and return where it is.

        Args:
            path: the file; in the build's folder, where `build` writes it, if not given.
        """
        from qap2fpga.library.comparison import compare
        from qap2fpga.report import page

        return page.of_build(self.path) if path is None else compare([self]).page(path)

    @property
    def heading(self) -> str:
        """Return the build in one line."""
        known = self.summary
        lut = "" if known.lut is None else f", {known.lut:,.0f} LUTs ({known.stage})"
        latency = "" if known.latency_ns is None else f", {known.latency_ns:,.0f} ns"
        other = f", of the {known.circuit} circuit" if lut + latency and known.circuit != known.backend else ""
        outcome = "no check failed" if self.passed else "FAILED"
        outcome += ", proven" if self.proof is not None and self.proof.proven else ""
        return f"{known.name}: {known.backend} on {known.board}, {outcome} ({self.checks.heading}){lut}{latency}{other}"

    @property
    def table(self) -> Table:
        """The resources."""
        return self.resources

    @cached_property
    def _finished(self) -> Finished:
        return finished.open_folder(self.path, generated=self.report.design is not None)


def build(
    model: Network | str | PathLike[str],
    board: str | Board,
    backend: str = "finn",
    *,
    output: str | Path | None = None,
    bits: int | None = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: int | None = None,
    input_data: str | Path | None = None,
    input_range: Interval | None = None,
    classes: Sequence[str] = (),
    model_output: str = "",
    until: str = STAGES[-1],
    vendor: Sequence[str] | None = None,
    cross_check: str = "",
    prove: bool | None = None,
    cache: bool = True,
    quiet: bool = False,
    **options: object,
) -> Build:
    """Build hardware for a network, compare it with the network, and synthesise it where the tools are there.

    An interrupted build resumes, and unchanged inputs are reused. A check that fails raises nothing: look at `passed`.

    Args:
        model: what `load` gives, or a model file.
        board: a name that `qap2fpga boards` lists, or a board's YAML file.
        backend: 'finn': layers folded in time; 'hls4ml': C++ for an HLS tool; 'rtl': unrolled, a vector per cycle.
        output: the build's folder; `builds/<model>-<backend>-<board>` if not given.
        bits: weight and activation bits, where a file does not say them. This and what follows on the inputs is as of
            `load`; leave it out where `model` is what `load` gave, which has it.
        weight_bits: one number, or one per layer, instead of `bits`.
        activation_bits: the same of activations.
        input_bits: bits of the input quantizer that is put before a model without one; 8 if not given.
        input_data: an `.npz` with X (rows, inputs), optionally y and classes; or an `.npy`.
        input_range: (low, high) of the inputs of a model without input quantizer, where there are no data.
        classes: names of the outputs in order, to match those in the data.
        model_output: output, tensor or node of an .onnx file that leaves the chip; all its outputs if not given.
        until: the last stage: 'model', 'generate', 'simulate', 'synthesize', or 'route' on ECP5 boards. A build of the
            same input and options that went further stays as it is.
        vendor: steps for AMD's tools: csim, csynth, cosim, export, synth, route, system, bitstream, finn; () for none;
            None: csim, csynth and synth where the tools are installed.
        cross_check: 'ecp5': also place and route a design of the rtl backend on an ECP5 85F, for a routed clock.
        prove: rtl, finn: whether what can be is proven of the hardware, for every input; None: where that is expected
            to be quick.
        cache: whether it takes what builds of equal parts have done already, and leaves them what it does.
        quiet: show nothing while it runs.
        **options: what the backend lets its user choose, None where not: `output_kind`, `allow_oversize`; finn:
            `target_fps` (vectors per second), `max_utilization` (share of the board), `folding` (of each node SIMD and
            PE, or the JSON file with it), `sparse` (layers without their zeros: 'auto', 'always' or 'never'); rtl and
            hls4ml: `clock` (ns), `requant_tolerance` (output steps); rtl: `target_interval` (cycles); hls4ml:
            `strategy`, `io_type`, `reuse_factor`.

    Raises:
        QapError: an argument, file or tool is wrong or missing; before any work where that can be known.
        CheckFailed: hardware and network differ in a bit: with layer, channel and vector.
    """
    wanted = request(
        model, board, backend, output=output, bits=bits, weight_bits=weight_bits, activation_bits=activation_bits,
        input_bits=input_bits, input_data=input_data, input_range=input_range, classes=classes,
        model_output=model_output, until=until,
        vendor=vendor, cross_check=cross_check, prove=prove, cache=cache, options=options,
    )  # fmt: skip
    return make(wanted, quiet=quiet)


def open_build(path: str | Path) -> Build:
    """Return the build in the folder `path`. Raises `QapError` where there is no report that can be read."""
    folder = Path(path)
    return Build((folder if folder.is_dir() else folder.parent).absolute(), content.load(folder))


def shown(path: Path) -> Path:
    """Return `path` as it is shown: seen from the working folder, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def make(wanted: Request, *, quiet: bool) -> Build:
    """Run every stage of `wanted` that has not run, and write the report's page."""
    from qap2fpga.build.run import build as run
    from qap2fpga.report import page

    with Progress(quiet=quiet) as progress:
        report = run(wanted, progress)
    page.of_build(wanted.output)
    return Build(wanted.output.absolute(), report)


def plan(wanted: Request, *, quiet: bool) -> str:
    """Generate, and return what AMD's tools would be asked to do then, installed or not."""
    from qap2fpga.build.run import plan as text_of

    with Progress(quiet=quiet) as progress:
        return text_of(wanted, progress)
