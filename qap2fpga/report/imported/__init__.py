# SPDX-License-Identifier: Apache-2.0
"""Reports that other tools left, as `qap2fpga.reports` reads them, in the form of a build's.

`checks` compares them with each other and with the board, `content` makes a report of them, and `run` does all of it
for one folder.
"""
