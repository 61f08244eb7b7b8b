# SPDX-License-Identifier: Apache-2.0
"""qap2fpga: a pruned, quantized network in, hardware out that computes the same integers, compared bit for bit."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from qap2fpga.frontend.checkpoint import save
from qap2fpga.system.errors import CheckFailed, QapError

try:
    __version__ = version("qap2fpga")
except PackageNotFoundError:  # a bare checkout
    __version__ = "0+checkout"

__all__ = ["CheckFailed", "QapError", "__version__", "save"]
