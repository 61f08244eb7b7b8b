# SPDX-License-Identifier: Apache-2.0
"""What the user may choose for the rtl backend."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.backends.api import UnrolledOptions


@dataclass(frozen=True)
class RtlOptions(UnrolledOptions):
    """`allow_oversize`: go on although the estimate does not fit the board."""
