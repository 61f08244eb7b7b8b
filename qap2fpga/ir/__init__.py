# SPDX-License-Identifier: Apache-2.0
"""The integer graph that every backend must equal: nodes, evaluation, ranges, bit operations, storage."""
