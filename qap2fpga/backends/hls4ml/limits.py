# SPDX-License-Identifier: Apache-2.0
"""What hls4ml cannot do, or what is too large to unroll: said before any work starts, with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.backends.hls4ml.kernels import Kernel, kernels
from qap2fpga.backends.hls4ml.options import DISTRIBUTED, LATENCY, RESOURCE, STREAM, UNROLLED, Hls4mlOptions
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError

# Multiplications that are there at the same time. The jet network of the paper has 4256 before pruning; HLS tools
# take hours, or give up, at several times that, and the largest board shipped here is full below this.
MAX_PRODUCTS = 20_000
# LUTs per product, bit of weight and bit of input: 0.31 to 0.53 measured by Yosys on dense and pruned networks of
# 4 and 6 bits, requantizers included.
LUTS_PER_BIT = 0.4
# Values of a tensor that is an array in registers.
MAX_ARRAY = 4096
# Streams that hls4ml copies one to.
MAX_READERS = 7
# hls4ml takes weights as doubles.
WEIGHT_BITS = 53


def products(network: Graph) -> int:
    """Multiplications with a weight other than 0, of one position each."""
    return sum(node.nonzeros for node in network.weighted)


def estimated_luts(network: Graph) -> int:
    """A rough size of the network unrolled, from its bit operations."""
    bits = sum(node.nonzeros * node.weight_bits * node.input_bits for node in network.weighted)
    return round(LUTS_PER_BIT * bits)


def refusals(network: Graph, options: Hls4mlOptions) -> tuple[QapError, ...]:
    """Return every reason why hls4ml cannot write `network`, or would unroll too much of it."""
    stream = options.streams(network)
    shared = [reason for one in kernels(network, stream=stream) for reason in _of_kernel(one, options, stream)]
    return (*shared, *_of_tensors(network, options, stream), *_too_many(network, options))


def _of_kernel(one: Kernel, options: Hls4mlOptions, stream: bool) -> Iterator[QapError]:
    where, strategy = f"layer {one.node.name} ({one.kind})", options.strategy
    other = f"--strategy {LATENCY}"
    if strategy in (UNROLLED, DISTRIBUTED) and (stream or not one.dense):
        how = "in a stream" if one.dense else "for a convolution"
        yield QapError(f"{where}: hls4ml 1.3.0 has no strategy '{strategy}' {how} that could be checked", other)
    if strategy == RESOURCE and not stream:
        yield QapError(
            f"{where}: strategy '{RESOURCE}' is not offered in parallel, where zeros would cost as much as weights",
            f"{other}, or --io-type {STREAM}",
        )
    if one.weight_width > WEIGHT_BITS:
        yield QapError(f"{where}: weights of {one.weight_width} bits, hls4ml takes {WEIGHT_BITS}", "use fewer bits")


def _of_tensors(network: Graph, options: Hls4mlOptions, stream: bool) -> Iterator[QapError]:
    for name, shape in network.shapes.items():
        readers = len(network.readers(name)) + (name == network.output)
        if stream and readers > MAX_READERS:
            what = f"node {name}: {readers} nodes take its result, hls4ml copies a stream {MAX_READERS} times at most"
            yield QapError(what, f"--io-type parallel, or at most {MAX_READERS} branches from one node")
        if not stream and shape.size > MAX_ARRAY and shape.positions > 1 and not options.allow_oversize:
            what = f"node {name}: a frame of {shape} is too large for registers (at most {MAX_ARRAY} values)"
            yield QapError(what, f"--io-type {STREAM}")
    end = network.shapes[network.output]
    if options.output_kind == "class" and end.positions > 1:
        what = f"node {network.output}: --output-kind class needs a vector, its result is {end}"
        yield QapError(what, "leave --output-kind out")


def _too_many(network: Graph, options: Hls4mlOptions) -> Iterator[QapError]:
    together = -(-products(network) // options.reuse_factor)
    if together > MAX_PRODUCTS and not options.allow_oversize:
        enough = -(-products(network) // MAX_PRODUCTS)
        yield QapError(
            f"{together} multiplications at the same time are too many to unroll (at most {MAX_PRODUCTS}; about "
            f"{estimated_luts(network) // options.reuse_factor} LUTs)",
            "--backend finn, or --strategy resource_unrolled --reuse-factor "
            f"{max(2, enough)} or more, or prune it further",
        )
