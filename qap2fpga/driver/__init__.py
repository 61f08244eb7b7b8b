# SPDX-License-Identifier: Apache-2.0
"""A design on a Zynq: the stream between the DMA and the core, and the software that feeds it.

`layout` says how frames lie in memory, `stream` writes the Verilog between DMA and core, `files` the folder `driver/`
with Python for PYNQ and a C header. All of them go by the same `Layout`.
"""
