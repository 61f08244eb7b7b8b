# SPDX-License-Identifier: Apache-2.0
"""Hidden activations become codes from 0, whatever their levels were; what reads them takes up the difference.

So signs, signed and shifted quantizers all end as unsigned integers. Where a kernel pads an activation, its pad is a
code too: a sign padded with zeros has the codes 0 and 2, and the pad 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd

import numpy as np

from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Code
from qap2fpga.system.errors import CheckFailed


def count_from_zero(graph: Graph) -> Graph:
    """Return the graph whose hidden steps give codes from 0: counts of thresholds, where nothing pads them."""
    pads = _pads(graph)
    plain = _plain(graph, pads)
    codes: dict[str, Code] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        try:
            changed, code = node.recoded([codes[source] for source in node.sources])
        except ValueError as error:
            raise CheckFailed(
                f"node {node.name} ({node.kind}): {error}", "please report this with the model"
            ) from error
        if isinstance(changed, Requantizer) and isinstance(changed.function, Step) and node.name not in plain:
            changed, code = _coded(changed, changed.function, pads[node.name])
        nodes.append(changed)
        codes[node.name] = code
    return replace(graph, nodes=tuple(nodes))


def _coded(node: Requantizer, step: Step, pads: set[int]) -> tuple[Requantizer, Code]:
    """The node that gives codes, and what they stand for; every one of `pads` has a code too."""
    base = min(step.base, *pads) if pads else step.base
    size = gcd(step.step, *(pad - base for pad in (*pads, step.base)))
    coded = Step(step.thresholds, (step.base - base) // size, step.step // size)
    channels = step.channels
    return replace(node, function=coded), Code(np.full(channels, size), np.full(channels, base))


def _plain(graph: Graph, pads: Mapping[str, set[int]]) -> set[str]:
    """The nodes whose values must stay as they are: the output, and what it or a join of channels would let through.

    So must what is summed up in other ways in each channel, where the sums are padded: one pad is not many codes.
    """
    plain: set[str] = set()
    for node in reversed(graph.nodes):
        readers = graph.readers(node.name)
        lets_through = any(reader.name in plain and not reader.absorbs for reader in readers)
        # Channels side by side may have different codes; only products with constants can take these up.
        joined = node.joins_channels and not all(reader.takes_any_codes for reader in readers)
        padded = any(pads[reader.name] and reader.spreads_codes for reader in readers)
        if node.name == graph.output or lets_through or joined or padded:
            plain.add(node.name)
    return plain


def _pads(graph: Graph) -> dict[str, set[int]]:
    """The values that readers of each node's result pad it with, also after what hands its values on."""
    pads: dict[str, set[int]] = {}
    for node in reversed(graph.nodes):
        pads[node.name] = set()
        for reader in graph.readers(node.name):
            pads[node.name] |= reader.padded_with
            if reader.hands_on:
                pads[node.name] |= pads[reader.name]
    return pads
