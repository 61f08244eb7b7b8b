# SPDX-License-Identifier: Apache-2.0
"""What touches the machine: errors, files, processes, external programs, the terminal."""
