# SPDX-License-Identifier: Apache-2.0
"""The FINN backend: AMD's dataflow compiler, its RTL library, and no Vivado."""

from qap2fpga.backends.finn.backend import expect, generate
from qap2fpga.backends.finn.options import FinnOptions

__all__ = ["FinnOptions", "expect", "generate"]
