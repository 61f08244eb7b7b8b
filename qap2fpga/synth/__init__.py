# SPDX-License-Identifier: Apache-2.0
"""Synthesis, placement and routing: Yosys, nextpnr, AMD's tools."""
