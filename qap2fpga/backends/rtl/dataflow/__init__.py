# SPDX-License-Identifier: Apache-2.0
"""The whole design as parts that hand tensors on, a position per cycle: evaluated, timed, counted and printed."""
