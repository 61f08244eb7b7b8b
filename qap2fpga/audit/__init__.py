# SPDX-License-Identifier: Apache-2.0
"""Hardware that another tool made, against a network: its ports, a design that the engines know, and its simulation."""
