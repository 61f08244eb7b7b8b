# SPDX-License-Identifier: Apache-2.0
"""What the rtl backend expects a network to cost, and the gate that refuses one too large to unroll."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

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
from qap2fpga.hw.resources import NAMES
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
    """The content of flows/rtl/estimate.yaml."""

    values: dict[str, Any]

    def delays(self, family: str) -> Delays:
        """Delays of the board's family; those of the slowest for one that is not listed."""
        known = self.values["delays"]
        return Delays(**known.get(family, known["xc7"]))

    @property
    def adder_bit(self) -> float:
        """LUTs of one bit of an adder."""
        return float(self.values["coefficients"]["adder_bit"])


@lru_cache(maxsize=1)
def load() -> Coefficients:
    """The shipped coefficients."""
    return Coefficients(yaml.safe_load((shipped("flows") / "rtl" / "estimate.yaml").read_text()))


def module(circuit: Module, implementations: list[Implementation] | None, targets: list[Target]) -> dict[str, Any]:
    """`estimate`: resources of one module, its adders' bits, its requantizers and its registers; and `features`.

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
    return {
        "estimate": _cells(luts, registers),
        "features": {"lut": cells, "ff": {"flip_flops": registers}},
    }


def handshake(stages: int) -> dict[str, Any]:
    """The same of the top module: a valid bit per stage."""
    return {
        "estimate": _cells(HANDSHAKE_LUTS, stages),
        "features": {"lut": {"handshake": 1}, "ff": {"valid_bits": stages}},
    }


def part(one: Part, node: str) -> list[dict[str, Any]]:
    """Return the resources of the parts that are no datapath of weights; of the graph's node `node`."""
    if isinstance(one, Compute):
        return [{"name": one.instance, "layer": node, **module(one.module, None, [])}]
    return []


def frames(flow: Dataflow) -> dict[str, Any]:
    """Return the resources of what connects the parts with the streams."""
    return {"estimate": _cells(HANDSHAKE_LUTS, 0), "features": {"lut": {"handshake": 1}, "ff": {}}}


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
