# SPDX-License-Identifier: Apache-2.0
"""What a trained network would cost as hardware, fast enough to be asked for in every trial of a search."""

from __future__ import annotations

import json
from pathlib import Path

from qap2fpga.system.errors import ConstantNetwork, QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.train.runner import Say, train_run
from qap2fpga.train.schema import Record

# Its size and its clock do not bind: what is compared is the network.
LARGE = "vu13p"


def predict_luts(model: Path) -> float:
    """Return the LUTs expected of the network in the `model.pt` at `model`, unrolled by the rtl backend.

    As `qap2fpga estimate` gives them: from the adder graphs and the requantizers that a build would make, so that
    scales count too. A network that pruning made a constant takes none. Raises `QapError` for one that cannot be
    lowered or is too large to unroll.
    """
    from qap2fpga.backends.rtl.options import RtlOptions
    from qap2fpga.estimate.estimate import estimate
    from qap2fpga.frontend.checkpoint.widths import Widths
    from qap2fpga.frontend.prepare import Source, prepare
    from qap2fpga.hw import boards

    try:
        network = prepare(Source(model, Widths(), compare=False), lambda line: None).network
    except ConstantNetwork:
        return 0.0
    estimated = estimate(network, "rtl", boards.load(LARGE), RtlOptions(allow_oversize=True))
    if estimated.refused:
        raise QapError(estimated.refused)
    return estimated.predictions["lut"].value


def train_and_predict(config: dict[str, object], folder: Path, say: Say) -> None:
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
            lut, message = None, error.message
        step["estimate"] = {"lut": lut, "backend": "rtl", "message": message}
    write_atomically(path, json.dumps(record, indent=1) + "\n")


def predicted(record: Record) -> bool:
    """Return whether the record has its LUTs."""
    return all("estimate" in step for step in record["steps"])
