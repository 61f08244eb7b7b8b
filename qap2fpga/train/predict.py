# SPDX-License-Identifier: Apache-2.0
"""What a trained network would cost as hardware, fast enough to be asked for in every trial of a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qap2fpga.errors import QapError
from qap2fpga.files import write_atomically
from qap2fpga.train.runner import Say, train_run


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


def train_and_predict(config: dict[str, Any], folder: Path, say: Say) -> None:
    """The work of a job whose record is to have LUTs: `estimate` in every step, `{"lut", "backend", "message"}`.

    A network that cannot be lowered, as one with a layer without weights, has no `lut` and the reason as `message`.
    """
    train_run(config, folder, say)
    path = folder / "record.json"
    record = json.loads(path.read_text())
    for step in record["steps"]:
        if "estimate" in step:
            continue
        say(f"predicting the LUTs of step {step['step']}")
        try:
            lut, message = predict_luts(folder / step["checkpoint"]), None
        except QapError as error:
            lut, message = None, error.what
        step["estimate"] = {"lut": lut, "backend": "rtl", "message": message}
    write_atomically(path, json.dumps(record, indent=1) + "\n")


def predicted(record: dict[str, Any]) -> bool:
    """Whether the record has its LUTs."""
    return all("estimate" in step for step in record["steps"])
