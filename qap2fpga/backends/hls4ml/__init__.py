# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend: an unrolled HLS project whose pruned weights are gone and whose arithmetic is exact."""
