# SPDX-License-Identifier: Apache-2.0
"""Pruning in the user's own training loop, of any torch or Brevitas module: `Schedule`."""

from qap2fpga.qap.schedule import Schedule

__all__ = ["Schedule"]
