# SPDX-License-Identifier: Apache-2.0
"""Too large to unroll: said before any work starts, with the size and what to do instead."""

from __future__ import annotations

from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError

# Multiplications that are there at the same time. The jet network of the paper has 4256 before pruning; HLS tools
# take hours, or give up, at several times that, and the largest board shipped here is full below this.
MAX_PRODUCTS = 20_000
# LUTs per product, bit of weight and bit of input: 0.31 to 0.53 measured by Yosys on dense and pruned networks of
# 4 and 6 bits, requantizers included.
LUTS_PER_BIT = 0.4


def products(network: Graph) -> int:
    """Multiplications with a weight other than 0."""
    return sum(layer.nonzeros for layer in network.layers)


def estimated_luts(network: Graph) -> int:
    """A rough size of the network unrolled, from its bit operations."""
    bits = sum(layer.nonzeros * layer.weight_bits * layer.input_bits for layer in network.layers)
    return round(LUTS_PER_BIT * bits)


def refusals(network: Graph, options: Hls4mlOptions) -> tuple[QapError, ...]:
    """Return the reason why `network` is not unrolled, if more than `MAX_PRODUCTS` would have to be there at once."""
    together = -(-products(network) // options.reuse_factor)
    if together <= MAX_PRODUCTS or options.allow_oversize:
        return ()
    enough = -(-products(network) // MAX_PRODUCTS)
    return (
        QapError(
            f"{together} multiplications at the same time are too many to unroll (at most {MAX_PRODUCTS}; about "
            f"{estimated_luts(network) // options.reuse_factor} LUTs)",
            "--backend finn, or --strategy resource_unrolled --reuse-factor "
            f"{max(2, enough)} or more, or prune it further",
        ),
    )
