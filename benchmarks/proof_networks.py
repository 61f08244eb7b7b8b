# SPDX-License-Identifier: Apache-2.0
"""Networks that proofs are tried on: small ones to plant faults in, random ones, and ones of growing size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.estimate import draw
from qap2fpga.estimate.images import Drawing, Numbers
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design
from qap2fpga.ir import storage
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove.run import Subject
from qap2fpga.synth import mapping

STAGES = ("dense", "dense", "residual", "concat", "again")
# Networks that are drawn at random.
NETWORKS = 200
# Hidden widths of the networks of growing size: 16 inputs, twice this, 5 classes; 6 bits, 80 % of the weights pruned.
SIZES = (8, 16, 24, 32, 40, 52, 64, 80, 97, 119)


def subject(
    network: Graph, place: Path, board: str = "pynq-z2", kind: str = "logits", *, mapped: bool = True
) -> Subject:
    """Return the rtl backend's design of `network` in the folder `place`, with its netlist where it is `mapped`."""
    target = boards.load(board)
    storage.save(network, place / "network.npz")
    nothing = np.zeros((0, network.inputs), np.int64)
    design = backends.get("rtl").generate(
        network, target, place / "rtl", RtlOptions(clock=4.0, output_kind=kind), nothing
    )
    assert isinstance(design, Design)
    netlist = mapping.map_design(design, target, place / "synthesize", threads=1).netlist if mapped else ()
    return Subject(design, network, place / "network.npz", netlist)


def chain(seed: int, widths: tuple[int, ...], bits: int, input_bits: int, density: float = 0.8) -> Graph:
    """Return dense layers one after the other, which end in logits."""
    every = (bits,) * (len(widths) - 1)
    recipe = draw.Recipe(
        seed, "network", widths, input_bits, every, every, (density,) * len(every), power_of_two=False, step_end=False,
        family="xc7", clock_ns=4.0, interval=1,
    )  # fmt: skip
    return draw.network(recipe)


def branching(seed: int, inputs: int, numbers: Numbers, stages: tuple[str, ...], *, rare: bool = False) -> Graph:
    """Return the stages and a dense end; `rare`: some levels need sums that hardly any input has."""
    return draw.first_whole(seed, partial(_branching, inputs=inputs, numbers=numbers, stages=stages, rare=rare))


def _branching(
    random: np.random.Generator, inputs: int, numbers: Numbers, stages: tuple[str, ...], rare: bool
) -> Graph:
    drawing, last = Drawing(random, Shape(inputs), numbers), INPUT
    for stage in stages:
        width = drawing.channels(last)
        match stage:
            case "dense":
                last = drawing.step(drawing.linear(last, int(random.integers(2, 2 * width + 2))))
            case "residual":
                last = drawing.sum(last, drawing.step(drawing.linear(last, width)))
            case "concat":
                beside = drawing.step(drawing.linear(last, int(random.integers(1, width + 1))))
                last = drawing.add(Concat(name=drawing.name("concat"), sources=(beside, last)))
            case _:
                last = drawing.step(last)
    graph = drawing.classified(last, 3)
    return _with_rare_levels(graph) if rare else graph


def _with_rare_levels(graph: Graph) -> Graph:
    """Return the graph in which all channels of its first function but one have levels that only extreme sums give."""
    node = next(one for one in graph.nodes if isinstance(one, Requantizer))
    assert isinstance(node.function, Step)
    rows, highs = node.function.thresholds.copy(), graph.node_ranges[node.sources[0]].high
    below = np.arange(rows.shape[1])[::-1]
    rows[1:] = highs[1:, None] - below * (below + 1) // 2
    return graph.with_nodes(replace(node, function=replace(node.function, thresholds=rows)))


# Networks with so few inputs that all of them can be simulated: 64, 32,768, 4,096, 4,096 and 65,536 of them.
BASES: Mapping[str, Callable[[], Graph]] = {
    "small chain": lambda: chain(1, (2, 3, 2), 4, 3),
    "chain": lambda: chain(2, (3, 5, 3), 4, 5),
    "residual": lambda: branching(3, 3, Numbers(4, 4, 3), ("dense", "residual")),
    "joined": lambda: branching(4, 2, Numbers(6, 4, 3), ("concat", "residual")),
    "rare levels": lambda: branching(5, 4, Numbers(4, 4, 3), ("dense",), rare=True),
}
BOARDS = ("pynq-z2", "ulx3s-85f")


def random_network(number: int, seed: int) -> Graph:
    """Return the random network `number`: every other one is a chain, the others have branches."""
    random = np.random.default_rng([seed, number])
    if number % 2:
        recipes = [one for one in draw.recipes(2 * number + 4, seed) if one.kind != "jet"]
        return draw.network(recipes[number])
    stages = tuple(str(one) for one in random.choice(STAGES, int(random.integers(1, 5))))
    bits = int(random.integers(1, 7))
    numbers = Numbers(
        input_bits=int(random.integers(1, 9)), weight_bits=int(random.integers(2, 7)), activation_bits=bits,
        density=float(random.uniform(0.2, 1.0)), power_of_two=bool(random.integers(2)),
    )  # fmt: skip
    return branching(seed * 100_000 + number, int(random.integers(2, 17)), numbers, stages)


def sized(width: int) -> Graph:
    """Return a network of one of the `SIZES`."""
    return chain(width, (16, width, width, 5), 6, 8, density=0.2)
