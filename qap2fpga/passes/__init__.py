# SPDX-License-Identifier: Apache-2.0
"""From a graph to an equal one that costs less, and the scale of the network's outputs."""
