# SPDX-License-Identifier: Apache-2.0
"""SIMD and PE of every layer: searched for the board, or the user's.

A layer takes ``(MW / SIMD) * (MH / PE)`` cycles a frame and the slowest one sets the initiation interval. For
an interval, the cheapest folding that keeps it is found by dynamic programming along the chain of layers:
what couples neighbours is the width converter between a layer's PE and the next one's SIMD. Every divisor is
considered; a Thresholding node has its MVAU's PE, so that nothing stands between the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qap2fpga.backends.finn import estimate
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.plan import LayerPlan, Plan
from qap2fpga.backends.finn.tail import tail
from qap2fpga.board import Board
from qap2fpga.design import Resources
from qap2fpga.errors import QapError, nearest
from qap2fpga.network import IntegerNetwork, width

KINDS = ("lut", "ff", "dsp", "bram18")
# How often the search weighs what does not fit heavier and tries the interval again.
RETRIES = 4


@dataclass(frozen=True)
class Folding:
    """(SIMD, PE) a layer, the initiation interval in cycles, and the estimated cost."""

    layers: tuple[tuple[int, int], ...]
    interval: int
    cost: Resources

    def nodes(self, plan: Plan) -> dict[str, dict[str, int]]:
        """FINN's node names -> {'SIMD', 'PE'}; this is also the form of folding.json."""
        result: dict[str, dict[str, int]] = {}
        for index, (layer, (simd, pe)) in enumerate(zip(plan.layers, self.layers, strict=True)):
            result[f"MVAU_rtl_{index}"] = {"SIMD": simd, "PE": pe}
            if layer.thresholds is not None:
                result[f"Thresholding_rtl_{index}"] = {"PE": pe}
        return result


class Costs:
    """Estimates of the parts of one network, each computed once."""

    def __init__(self, plan: Plan, network: IntegerNetwork, board: Board, output_kind: str) -> None:
        self.plan, self.network, self.board, self.output_kind = plan, network, board, output_kind
        self._layers: dict[tuple[int, int, int], Resources] = {}
        self._between: dict[tuple[int, int, int], Resources] = {}
        self.parts_of_tail: dict[int, list[tuple[str, Resources]]] = {}

    def mvau(self, index: int, simd: int, pe: int) -> estimate.Mvau:
        layer = self.plan.layers[index]
        density = float((layer.weights != 0).mean())
        return estimate.Mvau(layer.mw, layer.mh, simd, pe, layer.weight_bits, layer.input_bits,
                             layer.accumulator_bits, density, self.board.dsp_cell)  # fmt: skip

    def thresholding(self, index: int, pe: int) -> estimate.Thresholding | None:
        thresholds = self.plan.layers[index].thresholds
        if thresholds is None:
            return None
        bits = width(min(int(thresholds.min()), -1), int(thresholds.max()))
        return estimate.Thresholding(len(thresholds), pe, self.plan.layers[index].activation_bits, bits)

    def layer(self, index: int, simd: int, pe: int) -> Resources:
        """MVAU, weights and thresholds, and the tail behind the last layer."""
        key = index, simd, pe
        if key not in self._layers:
            parts = [estimate.mvau(self.mvau(index, simd, pe))]
            thresholds = self.thresholding(index, pe)
            if thresholds is not None:
                parts.append(estimate.thresholding(thresholds))
            if index == len(self.plan.layers) - 1:
                parts += [cost for _, cost in self.tail(pe)]
            self._layers[key] = estimate.total(parts)
        return self._layers[key]

    def tail(self, pe: int) -> list[tuple[str, Resources]]:
        """The modules behind the last node, with their cost."""
        if pe not in self.parts_of_tail:
            last = self.plan.layers[-1]
            in_bits = last.accumulator_bits if last.thresholds is None else last.activation_bits
            self.parts_of_tail[pe] = [
                (module.kind, estimate.classes(pe, module.in_bits) if module.kind == "qap_class" else
                 estimate.logits(pe, last.mh // pe, module.multiplier_bits, module.sum_bits, module.in_bits))
                for module in tail(self.network, self.output_kind, pe, in_bits).modules
            ]  # fmt: skip
        return self.parts_of_tail[pe]

    def between(self, index: int, pe: int, simd: int) -> Resources:
        """Width converter and FIFO in front of layer `index`."""
        key = index, pe, simd
        if key not in self._between:
            layer = self.plan.layers[index]
            parts = [estimate.width_converter(pe * layer.input_bits, simd * layer.input_bits)]
            depth = fifo_depth(layer, simd)
            if depth:
                parts.append(estimate.fifo(-(-simd * layer.input_bits // 8) * 8, depth))
            self._between[key] = estimate.total(parts)
        return self._between[key]

    def folding(self, layers: tuple[tuple[int, int], ...]) -> Folding:
        """`layers` with its interval and cost."""
        parts = [self.layer(index, simd, pe) for index, (simd, pe) in enumerate(layers)]
        for index in range(1, len(layers)):
            parts.append(self.between(index, layers[index - 1][1], layers[index][0]))
        interval = max(self.mvau(index, simd, pe).cycles for index, (simd, pe) in enumerate(layers))
        return Folding(layers, interval, estimate.total(parts))


def fifo_depth(layer: LayerPlan, simd: int) -> int:
    """Depth of the FIFO in front of a layer that is not the first; 0: none.

    While an MVAU repeats a frame for its further outputs it takes nothing in, for up to the whole interval but
    the last repetition. One frame of beats behind a register lets the layer before it go on meanwhile. A frame
    of one beat needs none: the MVAU's own buffer holds two.
    """
    beats = layer.mw // simd
    return beats + 1 if beats > 1 else 0


def choose(costs: Costs, options: FinnOptions) -> Folding:
    """The folding for `options`. Raises `QapError` if none fits the board or reaches the target, or on a bad file."""
    plan, board = costs.plan, costs.board
    if options.folding is not None:
        return _fits_or(costs.folding(given(options.folding, plan)), board, 1.0, options.allow_oversize)
    intervals = sorted({simd_cycles for layer in plan.layers for simd_cycles in _cycles(layer)})
    reachable = max(min(_cycles(layer)) for layer in plan.layers)
    intervals = [interval for interval in intervals if interval >= reachable]
    # A longer interval than the slowest layer's at SIMD = PE = 1 changes nothing.
    slowest = max(layer.mw * layer.mh for layer in plan.layers)
    intervals = [interval for interval in intervals if interval <= slowest]
    if options.target_fps is not None:
        return _for_target(costs, options, intervals)
    for interval in intervals:
        found = _fitting(costs, interval, options.max_utilization)
        if found is not None:
            return found
    smallest = _cheapest(costs, intervals[-1], dict.fromkeys(KINDS, 1.0))
    return _fits_or(smallest, board, options.max_utilization, options.allow_oversize)


def given(folding: Mapping[str, Any], plan: Plan) -> tuple[tuple[int, int], ...]:
    """The (SIMD, PE) of every layer from the content of a folding.json; what is not named is 1.

    Raises `QapError` for an unknown node or key, and for a SIMD that does not divide MW or a PE that does not
    divide MH.
    """
    legal = Folding(tuple((1, 1) for _ in plan.layers), 0, Resources()).nodes(plan)
    for name, entry in folding.items():
        if name not in legal:
            raise QapError(f"folding: unknown node '{name}'", nearest(name, legal))
        if not isinstance(entry, Mapping):
            raise QapError(f"folding: {name} is {entry!r}", 'it must be like {"SIMD": 4, "PE": 2}')
        for key, value in entry.items():
            if key not in legal[name]:
                raise QapError(f"folding: {name} has no '{key}'", nearest(str(key), legal[name]))
            layer = plan.layers[int(name.rsplit("_", 1)[1])]
            size, what = (layer.mw, "MW") if key == "SIMD" else (layer.mh, "MH")
            if not isinstance(value, int) or isinstance(value, bool) or value < 1 or size % value:
                raise QapError(
                    f"folding: {name} has {key} {value!r}, which does not divide {what} = {size}",
                    f"legal: {', '.join(map(str, divisors(size)))}",
                )
    result = []
    for index in range(len(plan.layers)):
        entry = folding.get(f"MVAU_rtl_{index}", {})
        pe = entry.get("PE", 1)
        other = folding.get(f"Thresholding_rtl_{index}", {}).get("PE", pe)
        if other != pe:
            raise QapError(f"folding: Thresholding_rtl_{index} has PE {other}, its MVAU {pe}", "give both the same PE")
        result.append((entry.get("SIMD", 1), pe))
    return tuple(result)


def divisors(number: int) -> list[int]:
    """All divisors of `number`, in order."""
    return [value for value in range(1, number + 1) if number % value == 0]


def _cycles(layer: LayerPlan) -> set[int]:
    return {(layer.mw // simd) * (layer.mh // pe) for simd in divisors(layer.mw) for pe in divisors(layer.mh)}


def _for_target(costs: Costs, options: FinnOptions, intervals: list[int]) -> Folding:
    assert options.target_fps is not None
    clock = 1e9 / costs.board.clock_ns
    allowed = math.floor(clock / options.target_fps)
    enough = [interval for interval in intervals if interval <= allowed]
    found = _fitting(costs, enough[-1], options.max_utilization) if enough else None
    if found is not None:
        return found
    best = next((f for i in intervals if (f := _fitting(costs, i, options.max_utilization)) is not None), None)
    reach = f"{clock / best.interval:,.0f} fps is the best that fits" if best else "no folding fits the board at all"
    if enough and options.allow_oversize:
        return _cheapest(costs, enough[-1], dict.fromkeys(KINDS, 1.0))
    raise QapError(
        f"{options.target_fps:,.0f} fps need a frame every {allowed} cycles at {costs.board.clock_ns:g} ns, "
        f"and {'no folding does that' if not enough else 'that does not fit'}; {reach}",
        "lower --target-fps, prune more, use fewer bits, or a larger board",
    )


def _fitting(costs: Costs, interval: int, part: float) -> Folding | None:
    """The cheapest folding for `interval` that keeps below `part` of every resource; None if none is found."""
    weights = dict.fromkeys(KINDS, 1.0)
    for _ in range(RETRIES):
        found = _cheapest(costs, interval, weights)
        over = [kind for kind in KINDS if _used(found.cost, costs.board, kind) > part]
        if not over:
            return found
        for kind in over:
            weights[kind] *= 4
    return None


def _cheapest(costs: Costs, interval: int, weights: Mapping[str, float]) -> Folding:
    """Dynamic programming: the best way to each (SIMD, PE) of a layer, from the best ones of the layer before."""

    def price(cost: Resources) -> float:
        return sum(weights[kind] * _used(cost, costs.board, kind) for kind in KINDS)

    best: dict[int, tuple[float, tuple[tuple[int, int], ...]]] = {}
    for index, layer in enumerate(costs.plan.layers):
        following: dict[int, tuple[float, tuple[tuple[int, int], ...]]] = {}
        for simd in divisors(layer.mw):
            if index:
                before, path = min(
                    (spent + price(costs.between(index, pe, simd)), chosen) for pe, (spent, chosen) in best.items()
                )
            else:
                before, path = 0.0, ()
            for pe in divisors(layer.mh):
                if (layer.mw // simd) * (layer.mh // pe) > interval:
                    continue
                spent = before + price(costs.layer(index, simd, pe))
                if pe not in following or spent < following[pe][0]:
                    following[pe] = spent, (*path, (simd, pe))
        best = following
    return costs.folding(min(best.values())[1])


def _used(cost: Resources, board: Board, kind: str) -> float:
    return (getattr(cost, kind) or 0) / float(getattr(board, kind))


def _fits_or(found: Folding, board: Board, part: float, allow_oversize: bool) -> Folding:
    over = [kind for kind in KINDS if _used(found.cost, board, kind) > part]
    if not over or allow_oversize:
        return found
    numbers = ", ".join(f"{getattr(found.cost, kind)} {kind.upper()} of {getattr(board, kind)}" for kind in over)
    raise QapError(
        f"predicted not to fit {board.title}: {numbers}" + (f" ({part:.0%} may be used)" if part < 1 else ""),
        "prune more, use fewer bits or a larger board; --allow-oversize builds it all the same",
    )
