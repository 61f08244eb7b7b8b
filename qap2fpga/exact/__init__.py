# SPDX-License-Identifier: Apache-2.0
"""Arithmetic that claims to be exact, in one place: bounds first, and nothing wraps."""
