# SPDX-License-Identifier: Apache-2.0
"""What the user may choose for the rtl backend."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.backends.api import UnrolledOptions


@dataclass(frozen=True)
class RtlOptions(UnrolledOptions):
    """`allow_oversize`: go on although the estimate does not fit the board.

    `target_interval`: cycles that a frame may take; layers that then have the time take their inputs one after the
    other. None: as few as it can.
    """

    target_interval: int | None = None
