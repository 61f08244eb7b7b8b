# SPDX-License-Identifier: Apache-2.0
"""How many multiplications are left, read from the C++ that was generated and not from the weights.

- 'latency': the product of every input with every weight is in the source; a weight is a constant there, and an HLS
  tool drops the product with the constant 0 before it schedules. So the entries of the weights header other than
  0 are counted. A convolution has them once, for all positions.
- 'resource': a product for every weight, 0 or not; `reuse_factor` of them share a multiplier.
- 'resource_unrolled': one line a product, counted; and the multipliers that the source allows the tool to make.
- 'distributed_arithmetic': there is no product; the additions and subtractions are counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.backends.hls4ml.kernels import Written
from qap2fpga.backends.hls4ml.options import DISTRIBUTED, LATENCY, RESOURCE, UNROLLED
from qap2fpga.hw.design import NodeEstimate

HOW = {
    RESOURCE: "entries of the weights header; zeros are multiplied with",
    LATENCY: "entries other than 0 in the weights header; the HLS tool drops products with the constant 0",
    UNROLLED: "products written out in the generated code",
    DISTRIBUTED: "no products: additions and subtractions only",
}


@dataclass(frozen=True, kw_only=True)
class KernelEstimate(NodeEstimate):
    """How a layer of products will be written; what an HLS tool makes of it, `estimate/vendor.py` predicts from this.

    `kind` is hls4ml's name of the layer; `inputs` and `outputs` are those of one position.
    """

    kind: str
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


def count(folder: Path, written: Sequence[tuple[Written, int, int]]) -> tuple[Count, ...]:
    """One `Count` per kernel of the project in `folder`, each with the numbers of its layer and of its weights."""
    generated = (folder / "firmware" / "nnet_utils" / "nnet_code_gen.h").read_text()
    result = []
    for one, number, own in written:
        strategy, factor = one.strategy, one.reuse_factor
        products, multipliers, additions = 0, None, None
        if strategy == LATENCY:
            products = sum(value != 0 for value in weights(folder, own))
        elif strategy == RESOURCE:
            products = len(weights(folder, own))
            multipliers = -(-products // factor)
        elif strategy == UNROLLED:
            text = _between(generated, f"class dense_resource_unrolled_{number} ", "Result:")
            products = text.count("product(data[")
            multipliers = int(_match(r"instances=mul limit=(-?\d+)", text))
        else:
            text = _between(generated, f"void dense_da_{number}(", "\n}")
            additions = len(re.findall(r"= [^;]*\w\)? [+-] [^;]*;", text))
            products = len(re.findall(r"= [^;/]*\*", text))
        name, nonzeros = one.kernel.node.name, one.kernel.nonzeros
        result.append(Count(name, strategy, factor, nonzeros, products, HOW[strategy], multipliers, additions))
    return tuple(result)


def weights(folder: Path, number: int) -> list[int]:
    """The constants of `firmware/weights/w<number>.h`, as they stand there."""
    text = (folder / "firmware" / "weights" / f"w{number}.h").read_text()
    return [int(value) for value in _match(r"= \{([^}]*)\}", text).split(",")]


def warnings(written: Sequence[Written], counts: Sequence[Count]) -> tuple[str, ...]:
    """One sentence for each sparse layer whose zeros keep multipliers busy."""
    entries = []
    for kernel, one in zip((each.kernel for each in written), counts, strict=True):
        if one.multipliers is None:
            continue
        needed = -(-one.after_compaction // one.reuse_factor)
        zeros = kernel.weights.size - kernel.nonzeros
        if zeros and one.multipliers > needed:
            entries.append(
                f"layer {one.layer}: its {zeros} zeros of {kernel.weights.size} weights are not dropped at reuse "
                f"factor {one.reuse_factor}: the source asks for {one.multipliers} multipliers, {needed} would do. A "
                f"shared multiplier goes only where all of its weights are 0; strategy '{LATENCY}' drops every zero"
            )
    return tuple(entries)


def _between(text: str, begin: str, end: str) -> str:
    start = text.index(begin)
    return text[start : text.index(end, start)]


def _match(pattern: str, text: str) -> str:
    entries = re.search(pattern, text)
    assert entries is not None, f"hls4ml's source has no {pattern}"
    return entries.group(1)
