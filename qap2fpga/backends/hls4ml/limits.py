# SPDX-License-Identifier: Apache-2.0
"""What hls4ml cannot do, or what is too large to unroll: said before any work starts, with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.backends.hls4ml import code
from qap2fpga.backends.hls4ml.kernels import Kernel, kernels
from qap2fpga.backends.hls4ml.options import LATENCY, RESOURCE, STREAM, UNROLLED, Hls4mlOptions
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
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
    return (
        *(reason for one in kernels(network, stream=stream) for reason in _of_kernel(one, options, stream)),
        *_of_strategy(network, options, stream), *_of_tensors(network, options, stream), *_of_requantizers(network),
        *_of_end(network, options), *_too_many(network, options),
    )  # fmt: skip


def _of_strategy(network: Graph, options: Hls4mlOptions, stream: bool) -> Iterator[QapError]:
    if options.strategy == RESOURCE and not stream and not options.has_frames(network):
        what = f"strategy '{RESOURCE}' keeps its loops, which a network of vectors in parallel unrolls in one pipeline"
        yield QapError(what, f"--io-type {STREAM}, or --strategy {LATENCY} or {UNROLLED}")


def _of_kernel(one: Kernel, options: Hls4mlOptions, stream: bool) -> Iterator[QapError]:
    where = f"layer {one.node.name} ({one.kind})"
    if options.strategy == UNROLLED and not (stream or one.dense or one.depthwise):
        what = f"{where}: hls4ml 1.3.0 does not write convolutions in parallel with strategy '{UNROLLED}'"
        yield QapError(what, f"--io-type {STREAM}, or --strategy {LATENCY} or {RESOURCE}")
    if one.node.weight_width > WEIGHT_BITS:
        what = f"{where}: weights of {one.node.weight_width} bits, hls4ml takes {WEIGHT_BITS}"
        yield QapError(what, "use fewer bits")


def _of_tensors(network: Graph, options: Hls4mlOptions, stream: bool) -> Iterator[QapError]:
    for name, shape in network.shapes.items():
        readers = sum(node.sources.count(name) for node in network.nodes) + (name == network.output)
        if stream and readers > MAX_READERS:
            what = (
                f"node {name}: its result is taken {readers} times, hls4ml copies a stream {MAX_READERS} times at most"
            )
            yield QapError(what, f"--io-type parallel, or at most {MAX_READERS} branches from one node")
        if not stream and shape.size > MAX_ARRAY and shape.positions > 1 and not options.allow_oversize:
            what = f"node {name}: a frame of {shape} is too large for registers (at most {MAX_ARRAY} values)"
            yield QapError(what, f"--io-type {STREAM}")


def _of_requantizers(network: Graph) -> Iterator[QapError]:
    for node in network.nodes:
        if isinstance(node, Requantizer) and isinstance(node.function, Step):
            before = node.sources[0]
            yield from code.refusals(network[before], node.function, network.node_ranges[before])


def _of_end(network: Graph, options: Hls4mlOptions) -> Iterator[QapError]:
    end = network.shapes[network.output]
    if options.output_kind == "class" and end.positions > 1:
        what = f"node {network.output}: --output-kind class needs a vector, its result is {end}"
        yield QapError(what, "leave --output-kind out")
    if options.output_kind == "accumulators":
        try:
            _ = network.end
        except QapError as error:
            yield error


def _too_many(network: Graph, options: Hls4mlOptions) -> Iterator[QapError]:
    together = -(-products(network) // options.reuse_factor)
    if together > MAX_PRODUCTS and not options.allow_oversize:
        enough = -(-products(network) // MAX_PRODUCTS)
        yield QapError(
            f"{together} multiplications at the same time are too many to unroll (at most {MAX_PRODUCTS}; about "
            f"{estimated_luts(network) // options.reuse_factor} LUTs)",
            f"--backend finn, or --strategy {UNROLLED} --reuse-factor {max(2, enough)} or more, or prune it further",
        )
