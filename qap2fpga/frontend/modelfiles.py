# SPDX-License-Identifier: Apache-2.0
"""All bytes that a model consists of: its file, and the tensors that an ONNX file keeps beside itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from qap2fpga.system.files import sha256


def model_digest(path: Path) -> str:
    """Return a digest of everything that is read of the model at `path`: of a model in one file its SHA-256."""
    alone = sha256(path)
    if path.suffix != ".onnx":
        return alone
    from qap2fpga.frontend import external

    parts = [(str(one.relative_to(path.parent)), sha256(one)) for one in external.files(path)]
    return hashlib.sha256(repr([alone, *parts]).encode()).hexdigest() if parts else alone
