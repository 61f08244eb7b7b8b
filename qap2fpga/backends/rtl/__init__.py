# SPDX-License-Identifier: Apache-2.0
"""The rtl backend: every layer unrolled, no multipliers, one vector a clock cycle. Main verb: `generate`."""

from qap2fpga.backends.rtl.backend import expect, generate, relax

__all__ = ["expect", "generate", "relax"]
