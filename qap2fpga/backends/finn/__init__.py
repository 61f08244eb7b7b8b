# SPDX-License-Identifier: Apache-2.0
"""The FINN backend: AMD's dataflow compiler, its RTL library, and no Vivado."""
