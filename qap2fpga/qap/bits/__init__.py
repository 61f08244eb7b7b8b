# SPDX-License-Identifier: Apache-2.0
"""Layers that learn how many bits each weight and each activation needs, against what they cost in LUTs."""

from qap2fpga.qap.bits.budget import Budget, is_bits
from qap2fpga.qap.bits.layers import LearnedConv1d, LearnedConv2d, LearnedLinear
from qap2fpga.qap.bits.price import price
from qap2fpga.qap.bits.quantizer import LearnedQuantizer

__all__ = ["Budget", "LearnedConv1d", "LearnedConv2d", "LearnedLinear", "LearnedQuantizer", "is_bits", "price"]
