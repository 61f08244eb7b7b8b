# SPDX-License-Identifier: Apache-2.0
"""What the rtl backend expects a network to cost, and the gate that refuses one too large to unroll."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import numpy as np
import yaml

from qap2fpga.backends.rtl.circuit import Delays
from qap2fpga.backends.rtl.dataflow.design import Dataflow
from qap2fpga.backends.rtl.dataflow.parts import Compute, Part
from qap2fpga.backends.rtl.datapaths import datapaths
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.backends.rtl.netlist.count import expected
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Features, NodeEstimate
from qap2fpga.hw.resources import NAMES, Counts
from qap2fpga.ir.graph import Graph
from qap2fpga.requant import prices
from qap2fpga.requant.implementations import Implementation, Target
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped

# Above this many LUTs a design is not unrolled at all: Yosys would take hours.
MOST_LUTS = 250_000
# `move`, and the output's valid bit through it.
HANDSHAKE_LUTS = 2
# Sharing between a matrix' adders saves this part of the unshared tree at least, on the networks measured.
SHARED = 0.6


@dataclass(frozen=True)
class Coefficients:
    """The content of flows/rtl/estimate.yaml: LUTs of one bit of an adder, and delays by family."""

    adder_bit: float
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
    return Coefficients(float(values["coefficients"]["adder_bit"]), delays)


def module(
    circuit: Module, implementations: list[Implementation] | None, targets: list[Target]
) -> tuple[Counts, Features]:
    """Return the cells of one module, of its adders' bits, its requantizers and its registers, and its features.

    The features are what LUTs and FFs are sums of, for a calibration: the cells by kind.
    """
    coefficients = load()
    price = prices.load().luts
    cells = asdict(expected(circuit.netlist))
    registers = cells.pop("flip_flops")
    requantizers = sum(
        price(implementation, target) for implementation, target in zip(implementations or [], targets, strict=True)
    )
    luts = round(coefficients.adder_bit * circuit.adder_bits + requantizers) + cells["shift_registers"]
    return _cells(luts, registers), {"lut": cells, "ff": {"flip_flops": registers}}


def handshake(stages: int) -> tuple[Counts, Features]:
    """Return the same of the top module: a valid bit per stage."""
    return _cells(HANDSHAKE_LUTS, stages), {"lut": {"handshake": 1}, "ff": {"valid_bits": stages}}


def part(one: Part, node: str) -> list[NodeEstimate]:
    """Return the resources of the parts that are no datapath of weights; of the graph's node `node`."""
    if isinstance(one, Compute):
        cells, features = module(one.module, None, [])
        return [NodeEstimate(name=one.instance, layer=node, estimate=cells, features=features)]
    return []


def frames(flow: Dataflow) -> tuple[Counts, Features]:
    """Return the resources of what connects the parts with the streams."""
    return _cells(HANDSHAKE_LUTS, 0), {"lut": {"handshake": 1}, "ff": {}}


def _cells(luts: int, registers: int) -> dict[str, int]:
    """Resources by name; an unrolled network has neither multipliers nor memories."""
    return dict.fromkeys(NAMES, 0) | {"lut": luts, "ff": registers}


def before(network: Graph) -> int:
    """LUTs expected of `network` from its weights' signed digits alone, in a moment."""
    total = 0.0
    for path in datapaths(network, "logits").values():
        digits = signed_digits(path.unit.weights)
        operands = digits.sum(axis=0)
        low, high = path.ranges.accumulators
        widths = np.array([width(min(int(a), -1), int(b)) for a, b in zip(low, high, strict=True)])
        total += SHARED * float((np.maximum(operands - 1, 0) * widths).sum())
        total += 3.0 * float(widths.sum())
    return round(total)


def signed_digits(weights: np.ndarray) -> np.ndarray:
    """Non-zero digits of every weight in non-adjacent~implementation: the one bits of w xor 3w."""
    magnitude = np.abs(weights).astype(np.int64)
    return np.bitwise_count(magnitude ^ (3 * magnitude)).astype(np.int64)


def refusals(network: Graph, board: Board, options: RtlOptions) -> tuple[QapError, ...]:
    """Return the reason why `network` is too large to unroll, or for the board, if it is."""
    luts = before(network)
    weights = sum(path.unit.nonzeros for path in datapaths(network, "logits").values())
    what = f"unrolled, the network's {weights:,} weights take about {luts:,} LUTs"
    hint = "prune it, or use fewer bits"
    if "finn" in board.device_family.backends:
        hint = f"use --backend finn, which folds layers in time, or {hint}"
    if luts > MOST_LUTS:
        return (QapError(f"{what}; more than {MOST_LUTS:,} are not unrolled", hint),)
    if luts > board.lut and not options.allow_oversize:
        return (QapError(f"{what}; {board.name} has {board.lut:,}", f"{hint}, or a larger board, or --allow-oversize"),)
    return ()
