# SPDX-License-Identifier: Apache-2.0
"""Trained networks in: `model.pt` written by `save`, and checkpoints that others wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def save(
    module: torch.nn.Module,
    example_input: torch.Tensor | np.ndarray,
    path: str | Path,
    *,
    labels: torch.Tensor | np.ndarray | None = None,
    provenance: Mapping[str, object] | None = None,
) -> None:
    """Write a user's Brevitas `module` as `model.pt`.

    `example_input` is (rows, ...) of real inputs, as the network sees them; they are kept and become the recorded
    vectors that the hardware is tried on. `labels` (rows,) are class numbers; with them the report gives the accuracy.
    `provenance` is any JSON-like dict. Raises `QapError` with the name of the first layer that cannot be lowered, and
    for labels that the network has no output for; nothing is written then.
    """
    from qap2fpga.frontend import saving

    saving.save(module, example_input, Path(path), labels, provenance or {})
