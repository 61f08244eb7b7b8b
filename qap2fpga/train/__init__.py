# SPDX-License-Identifier: Apache-2.0
"""Training: data in, a quantized and pruned network out, beside a float one of the same shape.

    from qap2fpga.train import TrainConfig, train
    result = train(TrainConfig(Path("examples/jets.npz"), Path("model.pt")), print)

`data` loads and splits, `network` builds, `prune` masks, `loop` learns, `run` puts them together. The jets of
the example come from `jets`, their features from `features`; only `jets` needs `qap2fpga[simulate]`.
"""

from __future__ import annotations

from collections.abc import Callable

from qap2fpga.train.flags import TrainConfig, TrainResult, check

__all__ = ["TrainConfig", "TrainResult", "train"]


def train(config: TrainConfig, report: Callable[[str], None]) -> TrainResult:
    """Train the float baseline and the quantized, pruned network, and write the latter to `config.output`.

    `report` gets a line at every step. Raises `QapError`, before any work, for a value out of range and for
    missing or broken data; later only if the training diverges or the disk is full.
    """
    check(config)
    # torch and brevitas take seconds to import: a mistake is told at once, a correct run does not mind.
    from qap2fpga.train.run import run

    return run(config, report)
