# SPDX-License-Identifier: Apache-2.0
"""Sparse matrices folded in time: schedules that skip zeros, their check, and the memories that hold them."""
