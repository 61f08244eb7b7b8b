# SPDX-License-Identifier: Apache-2.0
"""All that is known of a folded design: what its memories hold, proven; what FINN's library computes, simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.prove.attempts import Attempt, attempt
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.certificate import COMMON, NETLIST, Claim, Word
from qap2fpga.prove.finn import contents, memories, netlist, own
from qap2fpga.prove.finn.memories import Instance
from qap2fpga.prove.finn.reading import Folded, left
from qap2fpga.prove.finn.reading import elaborated as read
from qap2fpga.prove.reading import NETLIST as NETLIST_FILE
from qap2fpga.prove.simulated import CORE
from qap2fpga.system.beside import beside_or_here

__all__ = ["TRUSTED", "prove", "read"]
TRUSTED = (
    "Yosys' readers of SystemVerilog, of Verilog and of memories' files, its flattening, and its memories as registers",
    "the order in which FINN's RTL reads its memories, as qap2fpga/prove/finn/contents.py has it",
    "what our modules mean, as modules.py, repeats.py, units.py and sparse.py in qap2fpga/prove/finn have it",
    *COMMON,
)


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
    design: Design, network: Graph, folded: Folded, place: Path, limit_s: float, say: Callable[[str], None]
) -> Iterator[Claim]:
    """Yield what is proven of each part of `design`, which was read as `folded`; files of ABC go to `place`.

    The last claim names the modules of which nothing is.
    """
    subject = Subject(design, network, folded)
    with beside_or_here(_of_left, design, network, place, limit_s) as beside:
        take, others = Shares(place).take, lambda: beside.result()[1]
        gates = attempt(NETLIST, lambda: netlist.prove(folded.contents, design.top, place, limit_s, take, others))
        done = [*beside.result()[0], gates]
    for one in done:
        say(str(one))
        yield one.claim
    yield Claim(claim=CORE, word=Word.NOT_PROVEN, detail=_others(subject))


@dataclass(frozen=True)
class Shares:
    """Modules of a netlist that two processes share out: who comes first leaves a file in `place`."""

    place: Path

    def take(self, name: str) -> bool:
        """Return whether nobody has taken the instance `name` before."""
        try:
            (self.place / f"{sha256(name.encode()).hexdigest()[:32]}.taken").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _of_left(design: Design, network: Graph, place: Path, limit_s: float) -> tuple[list[Attempt], netlist.Compared]:
    """Return what comes of the proofs of the Verilog, and then of the modules that the netlist's proof has not begun.

    Yosys has left JSON of both in `place`.
    """
    subject = Subject(design, network, Folded(left(place), ()))
    done, shared = of_verilog(subject, place, limit_s), {}
    # Where there is none, or it lacks a module, the netlist's proof says so.
    with suppress(NotProven, FileNotFoundError):
        contents = subject.folded.contents | left(place, (NETLIST_FILE,))
        shared = netlist.compared(contents, design.top, place, limit_s, Shares(place).take)
    return done, shared


def of_verilog(subject: Subject, place: Path, limit_s: float) -> list[Attempt]:
    """Return what comes of the proofs of what memories hold, and of our own modules."""
    network = subject.network
    last = subject.design.output_kind != "accumulators"
    works: dict[str, Callable[[], str]] = {
        "the memories hold the network's weights":
            lambda: contents.weights(network, subject.instances, subject.hints),
        "the memories hold the network's thresholds":
            lambda: contents.thresholds(network, subject.instances, subject.hints, last=last),
        "our own modules do what the network's nodes say":
            lambda: own.prove(
                network, subject.instances, subject.hints, subject.folded.contents["verilog"], place, limit_s
            ),
    }  # fmt: skip
    return [attempt(title, work) for title, work in works.items()]


def _others(subject: Subject) -> str:
    """Return the kinds of modules that are simulated alone."""
    try:
        kinds = {one.kind for one in subject.instances.values()}
    except NotProven as error:
        return str(error)
    return ", ".join(sorted(kinds - own.KINDS.keys() - {own.SCORES}))
