# SPDX-License-Identifier: Apache-2.0
"""The nodes of a design, as they are expected before it is made: folding, cost, and the features cost is fitted to.

Names are those that FINN gives, so that a node is found again in what synthesis measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from qap2fpga.backends.finn import estimate
from qap2fpga.backends.finn.folding import Costs, Folding, fifo_bits, fifo_depth
from qap2fpga.backends.finn.plan import Plan, deep_pipeline
from qap2fpga.hw.resources import Resources


def nodes(plan: Plan, costs: Costs, chosen: Folding) -> list[dict[str, Any]]:
    """Return one entry per node, in the order of the data: kind, folding, expected cost, and `features`.

    `features` are, for LUTs and for FFs, what the node's cells are a linear function of.
    """
    entries: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for index, (layer, (simd, pe)) in enumerate(zip(plan.layers, chosen.layers, strict=True)):
        if index:
            for kind, cost, features in _between(costs, index, layer.mw, chosen.layers[index - 1][1], simd):
                entries.append(_entry(f"{kind}_{counts[kind]}", kind, layer.name, cost, features))
                counts[kind] += 1
        mvau = costs.mvau(index, layer.mw, layer.mh, simd, pe)
        activation = f"{'INT' if layer.input_signed else 'UINT'}{layer.input_bits}"
        features = _named("mvau", estimate.mvau_features(mvau)) | _named(*estimate.memory_features(mvau))
        entries.append(_entry(f"MVAU_rtl_{index}", "MVAU_rtl", layer.name, estimate.mvau(mvau), features) | {
            "cycles": mvau.cycles, "MW": layer.mw, "MH": layer.mh, "SIMD": simd, "PE": pe, "lanes": mvau.lanes,
            "weights": f"INT{layer.weight_bits}", "activations": activation,
            "accumulators": f"INT{layer.accumulator_bits}",
        })  # fmt: skip
        thresholds = costs.thresholding(index, layer.mh, pe)
        if thresholds is not None:
            # A deep pipeline has twice the registers, and other logic between them.
            depth = "deep thresholds" if deep_pipeline(costs.board) else "thresholds"
            features = _named(depth, estimate.thresholding_features(thresholds))
            cost = estimate.thresholding(thresholds)
            entries.append(_entry(f"Thresholding_rtl_{index}", "Thresholding_rtl", layer.name, cost, features) | {
                "cycles": thresholds.cycles, "MH": layer.mh, "PE": pe, "thresholds": (1 << thresholds.bits) - 1,
                "activations": f"UINT{layer.activation_bits}",
            })  # fmt: skip
    for kind, cost, features in costs.output_stage(chosen.layers[-1][1]):
        entries.append(_entry(kind, kind, plan.layers[-1].name, cost, _named(kind, features)))
    return entries


def _between(
    costs: Costs, index: int, mw: int, pe: int, simd: int
) -> Iterator[tuple[str, Resources, dict[str, float]]]:
    """Yield the width converter and the FIFO before layer `index`, as far as there are any."""
    bits = costs.plan.layers[index].input_bits
    if pe != simd:
        kind, features = estimate.converter_features(pe * bits, simd * bits)
        cost = estimate.width_converter(pe * bits, simd * bits)
        yield "StreamingDataWidthConverter_rtl", cost, _named(kind, features)
    depth = fifo_depth(mw, simd)
    if depth:
        width = fifo_bits(simd * bits)
        yield "StreamingFIFO_rtl", estimate.fifo(width, depth), _named("fifo", estimate.fifo_features(width, depth))


def _entry(name: str, kind: str, layer: str, cost: Resources, features: dict[str, float]) -> dict[str, Any]:
    return {
        "name": name, "op_type": kind, "layer": layer, "estimate": asdict(cost),
        "features": {"lut": features, "ff": features},
    }  # fmt: skip


def _named(kind: str, features: dict[str, float]) -> dict[str, float]:
    return {f"{kind}: {name}": round(value, 3) for name, value in features.items() if value}
