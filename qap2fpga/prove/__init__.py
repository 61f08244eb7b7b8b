# SPDX-License-Identifier: Apache-2.0
"""Proofs that hardware computes the network's integers for every input, from the files of a build alone."""
