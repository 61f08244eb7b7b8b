# SPDX-License-Identifier: Apache-2.0
"""How many multiplications are left, read from the C++ that was generated and not from the weights.

- 'latency': the product of every input with every weight is in the source; a weight is a constant there, and an HLS
  tool drops the product with the constant 0 before it schedules. So the entries of the weights header other than
  0 are counted.
- 'resource_unrolled': one line a product, counted; and the multipliers that the source allows the tool to make.
- 'distributed_arithmetic': there is no product; the additions and subtractions are counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.backends.hls4ml.options import DISTRIBUTED, LATENCY, UNROLLED
from qap2fpga.hw.design import NodeEstimate
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.units import Unit

HOW = {
    LATENCY: "entries other than 0 in the weights header; the HLS tool drops products with the constant 0",
    UNROLLED: "products written out in the generated code",
    DISTRIBUTED: "no products: additions and subtractions only",
}


@dataclass(frozen=True, kw_only=True)
class DenseEstimate(NodeEstimate):
    """How a dense layer will be written; what an HLS tool makes of it, `estimate/vendor.py` predicts from this."""

    strategy: str
    reuse_factor: int
    inputs: int
    outputs: int
    weight_bits: int
    input_bits: int
    nonzeros: int

    @property
    def products(self) -> int:
        """Products of an unpruned layer of that shape."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Count:
    """One layer. `after_compaction` are products of the network, `in_source` of the C++.

    `multipliers`: the most that the source
    lets the tool make, `additions`: those in the source; None where the strategy has no such thing.
    """

    layer: str
    strategy: str
    reuse_factor: int
    after_compaction: int
    in_source: int
    how: str
    multipliers: int | None = None
    additions: int | None = None


def count(folder: Path, network: Graph, numbers: Sequence[int], reuse: Sequence[tuple[str, int]]) -> tuple[Count, ...]:
    """One `Count` a dense layer of the project in `folder`; `numbers` are hls4ml's numbers of these layers."""
    generated = (folder / "firmware" / "nnet_utils" / "nnet_code_gen.h").read_text()
    result = []
    for layer, number, (strategy, factor) in zip(network.layers, numbers, reuse, strict=True):
        products, multipliers, additions = 0, None, None
        if strategy == LATENCY:
            products = sum(value != 0 for value in weights(folder, number))
        elif strategy == UNROLLED:
            text = _between(generated, f"class dense_resource_unrolled_{number} ", "Result:")
            products = text.count("product(data[")
            multipliers = int(_match(r"instances=mul limit=(-?\d+)", text))
        else:
            text = _between(generated, f"void dense_da_{number}(", "\n}")
            additions = len(re.findall(r"= [^;]*\w\)? [+-] [^;]*;", text))
            products = len(re.findall(r"= [^;/]*\*", text))
        result.append(
            Count(layer.name, strategy, factor, layer.nonzeros, products, HOW[strategy], multipliers, additions)
        )
    return tuple(result)


def weights(folder: Path, number: int) -> list[int]:
    """The constants of `firmware/weights/w<number>.h`, as they stand there."""
    text = (folder / "firmware" / "weights" / f"w{number}.h").read_text()
    return [int(value) for value in _match(r"= \{([^}]*)\}", text).split(",")]


def warnings(layers: Sequence[Unit], counts: Sequence[Count]) -> tuple[str, ...]:
    """One sentence for each sparse layer whose zeros keep multipliers busy."""
    entries = []
    for layer, one in zip(layers, counts, strict=True):
        if one.multipliers is None:
            continue
        needed = -(-one.in_source // one.reuse_factor)
        zeros = layer.weights.size - layer.nonzeros
        if zeros and one.multipliers > needed:
            entries.append(
                f"layer {one.layer}: its {zeros} zeros of {layer.weights.size} weights are not dropped at reuse factor "
                f"{one.reuse_factor}: the source asks for {one.multipliers} multipliers, {needed} would do. A shared "
                f"multiplier goes only where all of its weights are 0; strategy '{LATENCY}' drops every zero"
            )
    return tuple(entries)


def _between(text: str, begin: str, end: str) -> str:
    start = text.index(begin)
    return text[start : text.index(end, start)]


def _match(pattern: str, text: str) -> str:
    entries = re.search(pattern, text)
    assert entries is not None, f"hls4ml's source has no {pattern}"
    return entries.group(1)
