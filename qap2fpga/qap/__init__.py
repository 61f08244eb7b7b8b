# SPDX-License-Identifier: Apache-2.0
"""For the user's own training loop, of any torch or Brevitas module: pruning, and which bits are needed.

Layers that learn their bits are in `qap2fpga.qap.bits`.
"""

from qap2fpga.qap.schedule import Schedule
from qap2fpga.qap.sensitivity import Sensitivity, choose_bits, sensitivity

__all__ = ["Schedule", "Sensitivity", "choose_bits", "sensitivity"]
