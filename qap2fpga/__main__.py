# SPDX-License-Identifier: Apache-2.0
"""`python -m qap2fpga` is `qap2fpga`."""

from qap2fpga.cli import main

if __name__ == "__main__":
    main()
