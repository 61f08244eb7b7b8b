# SPDX-License-Identifier: Apache-2.0
"""SIMD, PE and MH of every layer: what they cost, and reading them from a folding.json.

A layer takes ``(MW / SIMD) * (MH / PE)`` cycles per frame and the slowest one sets the initiation interval. A
Thresholding node has its MVAU's PE, so that nothing stands between the two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from qap2fpga.backends.finn import estimate, output_stage
from qap2fpga.backends.finn.padding import divisors
from qap2fpga.backends.finn.plan import Plan
from qap2fpga.backends.finn.verilog import whole_bytes
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import Resources
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError, nearest

# A folding.json may pad a layer to so many times its neurons.
MOST_PADDING = 2


@dataclass(frozen=True)
class Folding:
    """(SIMD, PE) and outputs (MH) per layer, the initiation interval in cycles, and the estimated cost.

    Where `outputs` is more than a layer has, `padding.padded` makes the plan that the folding is for.
    """

    layers: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]
    interval: int
    cost: Resources

    def nodes(self, plan: Plan) -> dict[str, dict[str, int]]:
        """FINN's node names -> {'SIMD', 'PE'}, and 'MH' where it is not `plan`'s; as in folding.json."""
        result: dict[str, dict[str, int]] = {}
        for index, (layer, (simd, pe), mh) in enumerate(zip(plan.layers, self.layers, self.outputs, strict=True)):
            result[f"MVAU_rtl_{index}"] = {"SIMD": simd, "PE": pe} | ({"MH": mh} if mh != layer.mh else {})
            if layer.thresholds is not None:
                result[f"Thresholding_rtl_{index}"] = {"PE": pe}
        return result


class Costs:
    """Estimates of the parts of one network, for any number of inputs `mw` and outputs `mh` of a layer."""

    def __init__(self, plan: Plan, network: Graph, board: Board, output_kind: str) -> None:
        self.plan, self.network, self.board, self.output_kind = plan, network, board, output_kind
        self._output_stages: dict[int, list[tuple[str, Resources, dict[str, float]]]] = {}
        self._weights = [int((layer.weights != 0).sum()) for layer in plan.layers]
        self._threshold_bits = [
            0 if layer.thresholds is None else width(min(int(layer.thresholds.min()), -1), int(layer.thresholds.max()))
            for layer in plan.layers
        ]

    def mvau(self, index: int, mw: int, mh: int, simd: int, pe: int) -> estimate.Mvau:
        layer = self.plan.layers[index]
        density = self._weights[index] / (mw * mh)
        return estimate.Mvau(mw, mh, simd, pe, layer.weight_bits, layer.input_bits, layer.accumulator_bits, density,
                             self.board.dsp_cell)  # fmt: skip

    def thresholding(self, index: int, mh: int, pe: int) -> estimate.Thresholding | None:
        if not self._threshold_bits[index]:
            return None
        return estimate.Thresholding(mh, pe, self.plan.layers[index].activation_bits, self._threshold_bits[index])

    def after(self, index: int, mh: int, pe: int) -> Resources:
        """Return the cost of what follows an MVAU: thresholds, and after the last layer the output stage."""
        parts = []
        thresholds = self.thresholding(index, mh, pe)
        if thresholds is not None:
            parts.append(estimate.thresholding(thresholds))
        if index == len(self.plan.layers) - 1:
            parts += [cost for _, cost, _ in self.output_stage(pe)]
        return estimate.total(parts)

    def output_stage(self, pe: int) -> list[tuple[str, Resources, dict[str, float]]]:
        """Return the modules after the last node, with their cost and features."""
        if pe not in self._output_stages:
            last = self.plan.layers[-1]
            in_bits = last.accumulator_bits if last.thresholds is None else last.activation_bits
            modules = output_stage.build(self.network, self.output_kind, pe, in_bits).modules
            self._output_stages[pe] = [
                (module.kind, *estimate.output_module(module, pe, last.mh // pe)) for module in modules
            ]
        return self._output_stages[pe]

    def between(self, index: int, mw: int, pe: int, simd: int) -> Resources:
        """Return the cost of the width converter and the FIFO before layer `index`."""
        bits = self.plan.layers[index].input_bits
        parts = [estimate.width_converter(pe * bits, simd * bits)]
        depth = fifo_depth(mw, simd)
        if depth:
            parts.append(estimate.fifo(whole_bytes(simd * bits), depth))
        return estimate.total(parts)

    def folding(self, layers: tuple[tuple[int, int], ...], outputs: tuple[int, ...]) -> Folding:
        """`layers` and `outputs` with their interval and cost."""
        parts, interval, mw = [], 0, self.plan.layers[0].mw
        for index, ((simd, pe), mh) in enumerate(zip(layers, outputs, strict=True)):
            if index:
                parts.append(self.between(index, mw, layers[index - 1][1], simd))
            node = self.mvau(index, mw, mh, simd, pe)
            parts += [estimate.mvau(node), self.after(index, mh, pe)]
            interval, mw = max(interval, node.cycles), mh
        return Folding(layers, outputs, interval, estimate.total(parts))

    def used(self, cost: Resources) -> dict[str, float]:
        """Return the fraction of the board that `cost` takes, by kind of resource."""
        return estimate.used(cost, self.board)


def fifo_depth(mw: int, simd: int) -> int:
    """Return the depth of the FIFO before a layer of `mw` inputs that is not the first; 0: none.

    While an MVAU repeats a frame for its further outputs it takes nothing in, for up to the whole interval but
    the last repetition. One frame of beats after a register lets the layer before it go on meanwhile. A frame
    of one beat needs none: the MVAU's own buffer holds two.
    """
    beats = mw // simd
    return beats + 1 if beats > 1 else 0


def require_legal(folding: Mapping[str, Any], legal: Mapping[str, Collection[str]]) -> None:
    """Raise `QapError` for what a folding.json says of an unknown node or key, or not as a whole number."""
    for name, entry in folding.items():
        if name not in legal:
            raise QapError(f"folding: unknown node '{name}'", nearest(str(name), legal))
        if not isinstance(entry, Mapping):
            raise QapError(f"folding: {name} is {entry!r}", 'it must be like {"SIMD": 4, "PE": 2}')
        for key, value in entry.items():
            if key not in legal[name]:
                raise QapError(f"folding: {name} has no '{key}'", nearest(str(key), legal[name]))
            if not isinstance(value, int) or isinstance(value, bool):
                raise QapError(f"folding: {name} has {key} {value!r}", "it must be a whole number")


def parsed(folding: Mapping[str, Any], plan: Plan) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return (SIMD, PE) and outputs of every layer from the content of a folding.json.

    A SIMD or PE that is not named is 1, an MH the layer's own. Raises `QapError` for an unknown node or key, and
    for a SIMD that does not divide MW or a PE that does not divide MH.
    """
    ones, own = tuple((1, 1) for _ in plan.layers), tuple(layer.mh for layer in plan.layers)
    legal = {name: set(entry) for name, entry in Folding(ones, own, 0, Resources()).nodes(plan).items()}
    for index in range(len(plan.layers) - 1):
        legal[f"MVAU_rtl_{index}"].add("MH")
    require_legal(folding, legal)
    layers, outputs, mw = [], [], plan.layers[0].mw
    for index, layer in enumerate(plan.layers):
        name = f"MVAU_rtl_{index}"
        entry = folding.get(name, {})
        simd, pe, mh = entry.get("SIMD", 1), entry.get("PE", 1), entry.get("MH", layer.mh)
        if not layer.mh <= mh <= MOST_PADDING * layer.mh:
            raise QapError(
                f"folding: {name} has MH {mh}; the layer has {layer.mh} neurons",
                f"legal: {layer.mh} to {MOST_PADDING * layer.mh}; those above {layer.mh} are dummies",
            )
        _divides(name, "SIMD", simd, "MW", mw)
        _divides(name, "PE", pe, "MH", mh)
        other = folding.get(f"Thresholding_rtl_{index}", {}).get("PE", pe)
        if other != pe:
            raise QapError(f"folding: Thresholding_rtl_{index} has PE {other}, its MVAU {pe}", "give both the same PE")
        layers.append((simd, pe))
        outputs.append(mh)
        mw = mh
    return tuple(layers), tuple(outputs)


def _divides(name: str, key: str, value: int, what: str, size: int) -> None:
    if value < 1 or size % value:
        raise QapError(
            f"folding: {name} has {key} {value}, which does not divide {what} = {size}",
            f'legal: {", ".join(map(str, divisors(size)))}; a hidden layer\'s "MH" pads it to more neurons',
        )
