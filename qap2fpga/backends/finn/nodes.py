# SPDX-License-Identifier: Apache-2.0
"""The nodes of a design, as they are expected before it is made: folding, cost, and the features cost is fitted to.

Names are those that FINN gives, so that a node is found again in what synthesis measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from qap2fpga.backends.finn import estimate
from qap2fpga.backends.finn.folding import Costs, Folding, fifo_depth
from qap2fpga.backends.finn.plan import Plan, deep_pipeline
from qap2fpga.backends.finn.verilog import whole_bytes
from qap2fpga.hw.design import Features, NodeEstimate
from qap2fpga.hw.resources import Resources


@dataclass(frozen=True, kw_only=True)
class FinnNode(NodeEstimate):
    """A node of FINN's graph, or a module of ours after them; `op_type` is FINN's name of its kind, or ours."""

    op_type: str
    order: tuple[str, ...] | None = field(
        default=("name", "op_type", "layer", "estimate", "features"), repr=False, compare=False
    )


@dataclass(frozen=True, kw_only=True)
class MvauNode(FinnNode):
    """A matrix unit: its folding as FINN names it, and the types of what goes in, is kept, and comes out."""

    cycles: int
    MW: int
    MH: int
    SIMD: int
    PE: int
    lanes: int
    weights: str
    activations: str
    accumulators: str


@dataclass(frozen=True, kw_only=True)
class ThresholdingNode(FinnNode):
    """A unit that counts how many `thresholds` are reached."""

    cycles: int
    MH: int
    PE: int
    thresholds: int
    activations: str


def nodes(plan: Plan, costs: Costs, chosen: Folding) -> tuple[NodeEstimate, ...]:
    """Return the nodes in the order of the data: what each is, how it is folded, and what it should cost."""
    entries: list[NodeEstimate] = []
    seen: Counter[str] = Counter()
    for index, (layer, (simd, pe)) in enumerate(zip(plan.layers, chosen.layers, strict=True)):
        if index:
            for kind, cost, features in _between(costs, index, layer.mw, chosen.layers[index - 1][1], simd):
                entries.append(_node(f"{kind}_{seen[kind]}", kind, layer.name, cost, features))
                seen[kind] += 1
        mvau = costs.mvau(index, layer.mw, layer.mh, simd, pe)
        activation = f"{'INT' if layer.input_signed else 'UINT'}{layer.input_bits}"
        features = estimate.named("mvau", estimate.mvau_features(mvau))
        features |= estimate.named(*estimate.memory_features(*mvau.memory))
        entries.append(MvauNode(
            name=f"MVAU_rtl_{index}", op_type="MVAU_rtl", layer=layer.name, estimate=asdict(estimate.mvau(mvau)),
            features=_both(features), cycles=mvau.cycles, MW=layer.mw, MH=layer.mh, SIMD=simd, PE=pe, lanes=mvau.lanes,
            weights=f"INT{layer.weight_bits}", activations=activation, accumulators=f"INT{layer.accumulator_bits}",
        ))  # fmt: skip
        thresholds = costs.thresholding(index, layer.mh, pe)
        if thresholds is not None:
            # A deep pipeline has twice the registers, and other logic between them.
            depth = "deep thresholds" if deep_pipeline(costs.board) else "thresholds"
            features = estimate.named(depth, estimate.thresholding_features(thresholds))
            cost = estimate.thresholding(thresholds)
            entries.append(ThresholdingNode(
                name=f"Thresholding_rtl_{index}", op_type="Thresholding_rtl", layer=layer.name, estimate=asdict(cost),
                features=_both(features), cycles=thresholds.cycles, MH=layer.mh, PE=pe,
                thresholds=(1 << thresholds.bits) - 1, activations=f"UINT{layer.activation_bits}",
            ))  # fmt: skip
    for kind, cost, features in costs.output_stage(chosen.layers[-1][1]):
        entries.append(_node(kind, kind, plan.layers[-1].name, cost, estimate.named(kind, features)))
    return tuple(entries)


def _between(
    costs: Costs, index: int, mw: int, pe: int, simd: int
) -> Iterator[tuple[str, Resources, dict[str, float]]]:
    """Yield the width converter and the FIFO before layer `index`, as far as there are any."""
    bits = costs.plan.layers[index].input_bits
    if pe != simd:
        kind, features = estimate.converter_features(pe * bits, simd * bits)
        cost = estimate.width_converter(pe * bits, simd * bits)
        yield "StreamingDataWidthConverter_rtl", cost, estimate.named(kind, features)
    depth = fifo_depth(mw, simd)
    if depth:
        width = whole_bytes(simd * bits)
        features = estimate.named("fifo", estimate.fifo_features(width, depth))
        yield "StreamingFIFO_rtl", estimate.fifo(width, depth), features


def _node(name: str, kind: str, layer: str, cost: Resources, features: dict[str, float]) -> FinnNode:
    return FinnNode(name=name, op_type=kind, layer=layer, estimate=asdict(cost), features=_both(features))


def _both(features: dict[str, float]) -> Features:
    """LUTs and FFs are functions of the same."""
    return {"lut": features, "ff": features}
