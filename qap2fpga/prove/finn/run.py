# SPDX-License-Identifier: Apache-2.0
"""All that is known of a folded design: what its memories hold, proven; what FINN's library computes, simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.prove.attempts import attempts
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.certificate import COMMON, Claim, Word
from qap2fpga.prove.finn import contents, memories, netlist, own
from qap2fpga.prove.finn.memories import Instance
from qap2fpga.prove.finn.reading import Folded
from qap2fpga.prove.finn.reading import elaborated as read

__all__ = ["TRUSTED", "Simulation", "prove", "read"]
CORE = "all other modules and the streams between them compute the network's integers"
TRUSTED = (
    "Yosys' readers of SystemVerilog, of Verilog and of memories' files, its flattening, and its memories as registers",
    "the order in which FINN's RTL reads its memories, as qap2fpga/prove/finn/contents.py has it",
    "what our modules mean, as qap2fpga/prove/finn/modules.py has it",
    *COMMON,
)


@dataclass(frozen=True)
class Simulation:
    """A simulation of the build: what was compared, on how many vectors, and how many of them differed."""

    compared: str
    vectors: int
    mismatches: int


@dataclass(frozen=True)
class Subject:
    """A folded design and the network that it is to be."""

    design: Design
    network: Graph
    folded: Folded

    @cached_property
    def instances(self) -> Mapping[str, Instance]:
        """The instances of the top module."""
        return memories.instances(
            self.folded.contents["calls"], self.folded.contents["contents"], self.design.top
        )  # fmt: skip

    @cached_property
    def hints(self) -> Mapping[str, str]:
        """By instance, the node that it is said to be of: of thresholds the requantizer after a layer's sums."""
        hints = {f"u_{one.name}": one.layer for one in self.design.nodes}
        nodes = {node.name for node in self.network.nodes}
        for name, layer in hints.items():
            kind = self.instances[name].kind if name in self.instances else ""
            if kind == contents.THRESHOLDS and layer in nodes and not isinstance(self.network[layer], Requantizer):
                hints[name] = next((node.name for node in self.network.readers(layer)), "")
        return hints


def prove(
    design: Design, network: Graph, folded: Folded, simulations: Sequence[Simulation], place: Path, limit_s: float,
    say: Callable[[str], None],
) -> Iterator[Claim]:  # fmt: skip
    """Yield what is known of each part of `design`, which was read as `folded`; files of ABC go to `place`."""
    subject = Subject(design, network, folded)
    last = design.output_kind != "accumulators"
    works: dict[str, Callable[[], str]] = {
        "the memories hold the network's weights":
            lambda: contents.weights(network, subject.instances, subject.hints),
        "the memories hold the network's thresholds":
            lambda: contents.thresholds(network, subject.instances, subject.hints, last=last),
        "our own modules do what the network's nodes say":
            lambda: own.prove(
                network, subject.instances, subject.hints, folded.contents["verilog"], place, limit_s
            ),
        "the netlist is the Verilog": lambda: netlist.prove(folded.contents, design.top, place, limit_s),
    }  # fmt: skip
    yield from attempts(works, say)
    yield _simulated(simulations, _others(subject), say)


def _others(subject: Subject) -> str:
    """Return the kinds of modules that are simulated alone."""
    try:
        kinds = {one.kind for one in subject.instances.values()}
    except NotProven as error:
        return str(error)
    return ", ".join(sorted(kinds - own.KINDS.keys() - {own.SCORES}))


def _simulated(simulations: Sequence[Simulation], others: str, say: Callable[[str], None]) -> Claim:
    """Return what the simulations of the build say of the parts that are not proven."""
    differ = [one for one in simulations if one.mismatches]
    if differ:
        word, detail = Word.REFUTED, f"{differ[0].compared}: {differ[0].mismatches} mismatches"
    elif simulations:
        word, detail = Word.SIMULATED, f"{'; '.join(_vectors(simulations))}: {others}"
    else:
        word, detail = Word.NOT_PROVEN, "not checked: nothing was simulated"
    say(f"{CORE}: {word}: {detail}")
    return Claim(claim=CORE, word=word, detail=detail)


def _vectors(simulations: Sequence[Simulation]) -> Iterator[str]:
    """Yield on how many vectors each of RTL and netlist was simulated, and how often."""
    counts: dict[str, list[int]] = {}
    for one in simulations:
        counts.setdefault(one.compared.split()[0], []).append(one.vectors)
    for what, vectors in counts.items():
        times = f"{len(vectors)} schedules of " if len(vectors) > 1 else ""
        yield f"{what} in {times}{min(vectors):,} vectors{' or more' if len(set(vectors)) > 1 else ''}"
