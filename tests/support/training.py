# SPDX-License-Identifier: Apache-2.0
"""Small data to train on."""

from __future__ import annotations

import numpy as np

from qap2fpga.train.data import Part


def toy(rows: int = 400, seed: int = 0) -> Part:
    """Three classes that overlap, six features, three of which say nothing."""
    random = np.random.RandomState(seed)
    x = random.randn(rows, 6).astype(np.float32)
    y = (x[:, :3] + 0.5 * random.randn(rows, 3)).argmax(axis=1).astype(np.int64)
    return Part(x, y)
