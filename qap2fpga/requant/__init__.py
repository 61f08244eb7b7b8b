# SPDX-License-Identifier: Apache-2.0
"""Step functions as hardware: implementations, their price and their proof."""
