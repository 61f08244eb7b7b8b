# SPDX-License-Identifier: Apache-2.0
"""Predictions of hardware from the integer network alone, and the calibration that they rest on."""
