# SPDX-License-Identifier: Apache-2.0
"""What a trained network would cost as hardware, fast enough to be asked for in every trial of a search."""

from __future__ import annotations

from pathlib import Path


def predict_luts(model: Path) -> float:
    """LUTs expected of the network in the `model.pt` at `model`, unrolled by the rtl backend.

    The network is lowered and compacted as `build` does it, without the comparisons and proofs of a build; the number
    comes from its weights' signed digits and accumulators. Raises `QapError` for a network that cannot be lowered.
    """
    from qap2fpga.backends.rtl import estimate
    from qap2fpga.checkpoint import file
    from qap2fpga.checkpoint.widths import Widths
    from qap2fpga.lower.compact import compact
    from qap2fpga.lower.export import export
    from qap2fpga.lower.graph import read
    from qap2fpga.lower.integer import lower

    found = file.read(model, Widths())
    _, qonnx = export(found)
    names = tuple(op.name for op in found.ops if op.kind == "dense")
    return float(estimate.before(compact(lower(read(qonnx, names)))))
