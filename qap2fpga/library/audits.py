# SPDX-License-Identifier: Apache-2.0
"""Verilog that another tool made, against a model."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from qap2fpga.audit.run import Audit, lines
from qap2fpga.audit.run import audit as run
from qap2fpga.library import sources
from qap2fpga.library.sources import Bits, Interval
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress

__all__ = ["Audit", "audit", "lines"]


def audit(
    folder: str | Path,
    against: str | Path,
    *,
    ports: str | Path | None = None,
    output_kind: str = "accumulators",
    bits: int | None = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: int | None = None,
    input_data: str | Path | None = None,
    input_range: Interval | None = None,
    output: str | Path | None = None,
    prove: bool = True,
    quiet: bool = False,
) -> Audit:
    """Simulate the Verilog in `folder` and compare it with a model, bit for bit; docs/audit.md describes its ports.

    The result says in `proven` whether that holds for every input, and in `proof` how, or why not.

    Args:
        folder: where the Verilog is, and `ports.yaml`, which says what its ports are.
        against: the model file that it is to compute.
        ports: the description, if it lies elsewhere.
        output_kind: what leaves it: 'accumulators' of the last layer, 'logits', 'values' or 'class'.
        bits: this and what follows on the model as of `load`.
        weight_bits: one number, or one per layer, instead of `bits`.
        activation_bits: the same of activations.
        input_bits: bits of the input quantizer that is put before a model without one; 8 if not given.
        input_data: an `.npz` with X (rows, inputs), or an `.npy`.
        input_range: (low, high) of the inputs of a model without input quantizer, where there are no data.
        output: keep the Verilog as it was read, and the simulation, in this folder.
        prove: also prove it for every input, where its shape allows.
        quiet: show nothing while it runs.

    Raises:
        QapError: a mistake in the description, or Verilog that cannot be read.
        CheckFailed: hardware and network differ in a bit: with channel and vector, or an input that a proof came to.
    """
    from qap2fpga.audit.ports import FILE
    from qap2fpga.frontend.prepare import prepare

    place = Path(folder)
    if not place.is_dir():
        raise QapError(f"{place} is no folder", "give the folder in which the Verilog is")
    chosen = sources.widths(bits, weight_bits, activation_bits, input_bits)
    source = sources.source(against, chosen, input_data, input_range, (), output_kind, compare=True)
    if output is not None and Path(output).resolve().is_relative_to(place.resolve()):
        raise QapError(f"{output} lies in {place}", "its files would be taken for the hardware's: give another folder")
    with Progress(quiet=quiet) as progress:
        with progress.stage(f"read {source.path.name}") as say:
            prepared = prepare(source, say)
        with progress.stage(f"audit {place.name}") as say:
            described = place / FILE if ports is None else Path(ports)
            # It stays where something fails, since messages name its logs.
            work = Path(mkdtemp(prefix="qap2fpga-audit-")) if output is None else Path(output)
            result = run(prepared.network, prepared.vectors, output_kind, place, described, work, say, prove=prove)
            if output is None:
                shutil.rmtree(work)
            return result
