# SPDX-License-Identifier: Apache-2.0
"""What the rtl backend expects a network to cost, and the gate that refuses one too large to unroll."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import yaml

from qap2fpga.backends.rtl import serial
from qap2fpga.backends.rtl.circuit import Delays
from qap2fpga.backends.rtl.dataflow import pad
from qap2fpga.backends.rtl.dataflow.cost import Cost, of_frames, of_window
from qap2fpga.backends.rtl.dataflow.design import Dataflow
from qap2fpga.backends.rtl.datapaths import datapaths, has_window
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.backends.rtl.netlist.count import expected
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.backends.rtl.pace import pace_for
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Features, NodeEstimate
from qap2fpga.hw.resources import NAMES, Counts
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.windowed import Windowed
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped

# Above this many LUTs a design is not unrolled at all: Yosys would take hours.
MOST_LUTS = 250_000
# `move`, and the output's valid bit through it.
HANDSHAKE_LUTS = 2


@dataclass(frozen=True)
class Coefficients:
    """The content of flows/rtl/estimate.yaml: LUTs, and delays by family.

    `cells`: LUTs of each kind that `netlist/count.py` counts in a module; `parts`: of what lies between datapaths, as
    `dataflow/cost.py` counts it.
    """

    cells: Mapping[str, float]
    parts: Mapping[str, float]
    by_family: Mapping[str, Delays]

    def delays(self, family: str) -> Delays:
        """Delays of the board's family; those of the slowest for one that is not listed."""
        return self.by_family.get(family, self.by_family["xc7"])


@dataclass(frozen=True, kw_only=True)
class LayerEstimate(NodeEstimate):
    """What is expected of a layer's module: `multiplications` are its non-zero weights, `requantizers` are by kind."""

    weights: int
    multiplications: int
    adders: int
    stages: int
    requantizers: Mapping[str, int]
    order: tuple[str, ...] | None = field(
        default=("name", "layer", "weights", "multiplications", "adders", "stages", "requantizers", "estimate",
                 "features"), repr=False, compare=False,
    )  # fmt: skip


@lru_cache(maxsize=1)
def load() -> Coefficients:
    """Return the shipped coefficients."""
    values = yaml.safe_load((shipped("flows") / "rtl" / "estimate.yaml").read_text())
    delays = {family: Delays(**one) for family, one in values["delays"].items()}
    coefficients = values["coefficients"]
    return Coefficients(coefficients["cells"], coefficients["parts"], delays)


def module(name: str, layer: str, circuit: Module) -> NodeEstimate:
    """Return what a module is expected to take, of the cells that are counted of its netlist."""
    cells, features = of_netlist(circuit)
    return NodeEstimate(name=name, layer=layer, estimate=cells, features=features)


def of_netlist(circuit: Module) -> tuple[Counts, Features]:
    """Return the cells of one module, and its features: what LUTs and FFs are sums of, for a calibration."""
    kinds = asdict(expected(circuit.netlist))
    registers, price = kinds.pop("flip_flops"), load().cells
    luts = sum(price[kind] * number for kind, number in kinds.items())
    return _cells(round(luts), registers), {"lut": kinds, "ff": {"flip_flops": registers}}


def handshake(stages: int) -> tuple[Counts, Features]:
    """Return the same of the top module: a valid bit per stage."""
    return _cells(HANDSHAKE_LUTS, stages), {"lut": {"handshake": 1}, "ff": {"valid_bits": stages}}


def part(name: str, layer: str, cost: Cost) -> NodeEstimate:
    """Return what the instance `name`, of the network's `layer`, is expected to take."""
    cells, features = _of_cost(cost)
    return NodeEstimate(name=name, layer=layer, estimate=cells, features=features)


def frames(flow: Dataflow) -> NodeEstimate:
    """Return what connects the parts with the streams."""
    return part("frames", "", of_frames(flow.input.shape.positions, flow.flush, flow.input.timing.pace, flow.drain))


def _of_cost(cost: Cost) -> tuple[Counts, Features]:
    price = load().parts
    luts = sum(price[kind] * number for kind, number in cost.luts.items())
    return _cells(round(luts), cost.flip_flops), {"lut": cost.luts, "ff": {"flip_flops": cost.flip_flops}}


def _cells(luts: int, registers: int) -> dict[str, int]:
    """Resources by name; an unrolled network has neither multipliers nor memories."""
    return dict.fromkeys(NAMES, 0) | {"lut": luts, "ff": registers}


@lru_cache(maxsize=4)
def before(network: Graph, pace: int) -> int:
    """LUTs expected of `network` from its weights' signed digits alone, in a moment; a position every `pace` cycles."""
    total, in_turn = 0.0, serial.serial_layers(network, pace)
    for path in datapaths(network, "logits", in_turn).values():
        ends = Range(*path.ranges.accumulators).ends
        if path.serial and isinstance(path.node, Linear):
            total += serial.luts(network, path.node)
        else:
            total += serial.adder_luts(path.unit.weights, ends)
        total += 3.0 * float(serial.widths(ends).sum())
    for node in network.nodes:
        if isinstance(node, Windowed) and has_window(network, node, in_turn):
            (source,) = node.sources
            size = sum(width(*ends) for ends in node.geometry.seen(network.node_ranges[source]).ends)
            total += _of_cost(of_window(pad.sweep(node.geometry, network.shapes[source]), size))[0]["lut"] or 0
    return round(total)


def refusals(network: Graph, board: Board, options: RtlOptions) -> tuple[QapError, ...]:
    """Return the reason why `network` is too large to unroll, or for the board, if it is."""
    luts = before(network, pace_for(network, options.target_interval))
    if luts <= MOST_LUTS and (luts <= board.lut or options.allow_oversize):
        return ()
    weights = sum(path.unit.nonzeros for path in datapaths(network, "logits").values())
    what = f"unrolled, the network's {weights:,} weights take about {luts:,} LUTs"
    hint = "prune it, or use fewer bits"
    if "finn" in board.device_family.backends:
        hint = f"use --backend finn, which folds layers in time, or {hint}"
    if network.source.size.positions > 1:
        hint = f"give a frame more cycles (--target-interval), {hint}"
    if luts > MOST_LUTS:
        return (QapError(f"{what}; more than {MOST_LUTS:,} are not unrolled", hint),)
    return (QapError(f"{what}; {board.name} has {board.lut:,}", f"{hint}, or a larger board, or --allow-oversize"),)
