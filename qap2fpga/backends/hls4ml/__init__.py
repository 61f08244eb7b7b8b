# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend: an unrolled HLS project whose pruned weights are gone and whose arithmetic is exact."""

from qap2fpga.backends.hls4ml.backend import expect, generate, relax, require
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.hls4ml.project import HlsProject

__all__ = ["Hls4mlOptions", "HlsProject", "expect", "generate", "relax", "require"]
