# SPDX-License-Identifier: Apache-2.0
"""Damaged inputs for every reader of users' files: `python -m tests.fuzz`, or `make fuzz`."""
