# SPDX-License-Identifier: Apache-2.0
"""Another tool's Verilog, of a fixed latency, computes the network's integers: layer by layer along the graph.

Between its ports it is logic without registers (`latency.py`). Each layer's results are looked for there, and proven to
be what they are taken for (`located.py`), before the next one is looked at (`walk.py`); those of the last layer lie at
the port.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.exact.integers import shifted, width
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import outputs as results
from qap2fpga.prove.algebra import unpacked
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven
from qap2fpga.prove.counterexample import leading_to, require_equal
from qap2fpga.prove.ground import Ground, hidden
from qap2fpga.prove.latency import NO_CLOCK, combinational
from qap2fpga.prove.layers import WrongSums
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.reading import Module
from qap2fpga.prove.walk import Number, Walk

# What tells inputs that the hardware does not take from results that lie nowhere.
FIRST_UNTAKEN = 1 << 40
# Larger logic takes too much memory: half a KB for each bit.
MOST_PARTS = 400_000


@dataclass(frozen=True)
class Ports:
    """Two ports and the values at them, the first in the lowest bits; what is above them is zeros.

    `clock` is empty where there is none; `reset` has the value `running` while frames come in.
    """

    input: str
    inputs: tuple[Number, ...]
    output: str
    outputs: tuple[Number, ...]
    latency: int
    clock: str = ""
    reset: str = ""
    running: int = 1


def prove(
    module: Module, ports: Ports, network: Graph, kind: str, place: Path, limit_s: float, say: Callable[[str], None]
) -> str:  # fmt: skip
    """Return what was compared. Raises `NotProven`, also after `limit_s` seconds.

    `kind` of outputs as in `ir.outputs`; files of ABC go to `place`.
    """
    until = time.monotonic() + limit_s
    values, inputs, same = _inputs(ports, network, module)
    clock = module.single(ports.clock) if ports.clock else NO_CLOCK
    fixed = {module.single(ports.reset): ports.running} if ports.reset else {}
    port = module.outputs.get(ports.output, ())
    if len(port) < sum(one.bits for one in ports.outputs):
        raise NotProven("the output's port is not as it is described")
    logic = combinational(module, clock, fixed, inputs, port, ports.latency, same)
    if len(logic.parts) > MOST_PARTS:
        raise NotProven(f"{len(logic.parts):,} cells are more than {MOST_PARTS:,}")
    ground, lanes = Ground(logic.parts, logic.named, until=until, open=logic.open), _lanes(logic.outputs, ports.outputs)
    smallest = min(0, *(one.exponent for one in ports.outputs))

    def hardware(rows: np.ndarray) -> np.ndarray:
        bits = ground.simulated(values, rows, logic.outputs)
        every = [unpacked([bits[bit] for bit in lane.bits], len(rows), signed=lane.signed) for lane in lanes]
        places = (one.exponent - smallest for one in ports.outputs)
        return np.stack([shifted(one, place, "an output") for one, place in zip(every, places, strict=True)], axis=1)

    def wanted(rows: np.ndarray) -> np.ndarray:
        return shifted(results(network, kind, rows), -smallest, "an output")

    if wanted(np.array([[one.low for one in values]])).shape[1] != len(lanes):
        raise NotProven(f"{len(lanes)} outputs are described, the network has others")
    walk = Walk(ground, values, network, logic.outputs, say)
    require_equal(hardware, wanted, walk.vectors())
    try:
        walk.prove(kind, lanes, ports.outputs, place)
    except WrongSums as error:
        require_equal(hardware, wanted, leading_to(network, error.node, error.channel, error.sums))
        raise
    when = f"{ports.latency} cycles" if ports.clock else "no registers"
    return f"{walk.count} layers, {when}, {walk.cases:,} accumulators"


def _lanes(bits: Bits, numbers: Sequence[Number]) -> list[Lane]:
    lanes, at = list[Lane](), 0
    for one in numbers:
        # A value without bits is 0.
        lanes.append(Lane(bits[at : at + one.bits] or (0,), one.signed))
        at += one.bits
    return lanes


def _inputs(ports: Ports, network: Graph, module: Module) -> tuple[list[Value], Bits, dict[int, int]]:
    """Return the integers that come in, the bits that they lie on, and bits that are copies of these, or zeros."""
    bits, at = module.inputs.get(ports.input, ()), 0
    ends = network.node_ranges[network.source.name].ends * network.source.size.positions
    if len(ports.inputs) != len(ends) or sum(one.bits for one in ports.inputs) > len(bits):
        raise NotProven("the input's port is not as it is described")
    every = [bit for port in module.inputs.values() for bit in port]
    if len(set(every)) < len(every) or not {0, 1, UNDRIVEN}.isdisjoint(every):
        raise NotProven("inputs are connected to each other, or to constants")
    values, leaves, same = list[Value](), list[int](), dict[int, int]()
    for number, (one, (low, high)) in enumerate(zip(ports.inputs, ends, strict=True)):
        its, size = bits[at : at + one.bits], width(low, high)
        at += one.bits
        if not one.bits:
            values.append(hidden(FIRST_UNTAKEN + number, low, high))
            continue
        if len(its) < size or (low < 0 and not one.signed):
            raise NotProven(f"the input's port does not hold {low} to {high}")
        # Above those that hold the range, bits repeat its sign, or are 0.
        same.update(dict.fromkeys(its[size:], its[size - 1] if low < 0 else 0))
        values.append(Value(its[:size], low < 0, low, high))
        leaves += its
    same.update(dict.fromkeys(bits[at:], 0))
    return values, (*leaves, *bits[at:]), same
