# SPDX-License-Identifier: Apache-2.0
"""Proofs of designs of the finn backend, from a build's files alone; it imports nothing of the generators."""
