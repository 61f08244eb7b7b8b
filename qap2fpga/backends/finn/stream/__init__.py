# SPDX-License-Identifier: Apache-2.0
"""Graphs of all kinds as streams between blocks: FINN's RTL where there is some, our own small modules elsewhere."""
