# SPDX-License-Identifier: Apache-2.0
"""The public library: what a notebook, a script and the command line call. `qap2fpga` itself has its names."""
