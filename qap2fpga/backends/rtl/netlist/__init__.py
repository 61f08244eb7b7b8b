# SPDX-License-Identifier: Apache-2.0
"""A pipelined module as typed cells: verified, evaluated in numpy, counted bit by bit, printed as Verilog."""
