# SPDX-License-Identifier: Apache-2.0
"""Lattice ECP5 without a vendor's tool: Yosys maps, nextpnr places and routes, ecppack writes the bitstream.

The network's netlist, which is simulated, is joined with a serial port (`wrapper`) that is all the board's pins need.
"""
