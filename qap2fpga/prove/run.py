# SPDX-License-Identifier: Apache-2.0
"""All proofs of a design.

Of the rtl backend: it is the network, its handshake loses nothing, its netlist is it. `finn/run.py` has those of folded
designs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.prove import equivalence, handshake, network, reading, states
from qap2fpga.prove.attempts import Attempt, attempt, side_by_side
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.certificate import FORMAT, NETLIST, TRUSTED, Certificate, Claim, Word
from qap2fpga.prove.equivalence import Equality, Side
from qap2fpga.prove.finn import run as finn
from qap2fpga.prove.gate import net
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.reading import Module, Reading, elaborated
from qap2fpga.system.beside import beside_or_here
from qap2fpga.system.files import scratch, sha256

CLOCK, MOVE = "ap_clk", "move"
SAME_WAYS = "as many registers on every way"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is proven: a design, the network that it is to be, and its netlist, with the files that they are in.

    All stand below the folder of the network. `netlist` is empty where there is none.
    """

    design: Design
    network: Graph
    network_file: Path
    netlist: tuple[Path, ...]

    @property
    def sources(self) -> list[Path]:
        """The Verilog."""
        return [self.design.folder / name for name in self.design.sources]


def prove(subject: Subject, folder: Path, limit_s: float, say: Say = lambda text: None) -> Certificate:
    """Return what can be proven of `subject`; logs go to `folder`. ABC's engines have `limit_s` each, per module.

    What has to be simulated is not proven yet: `simulated.settled` adds what the simulations say.
    Raises `QapError` where Yosys cannot read the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    design, data = subject.design, tuple[Path, ...]()
    trusted: tuple[str, ...] = TRUSTED
    with scratch(folder) as place:
        if design.backend == "finn":
            folded = finn.read(design, subject.netlist, place)
            parts = finn.prove(design, subject.network, folded, place, limit_s, say)
            claims, data, trusted = tuple(parts), folded.data, finn.TRUSTED
        else:
            claims = _claims(subject, place, limit_s, say)
    read_files = (subject.network_file, *subject.sources, *data, *subject.netlist)
    files = {path.relative_to(subject.network_file.parent).as_posix(): sha256(path) for path in read_files}
    versions = {name: metadata.version(name) for name in ("qap2fpga", "pyosys", "numpy")}
    return Certificate(format=FORMAT, files=files, versions=versions, claims=claims, trusted=trusted)


def _claims(subject: Subject, place: Path, limit_s: float, say: Say) -> tuple[Claim, ...]:
    """Return what comes of each proof: those of the Verilog are made beside that of the netlist."""
    sources, netlist, top = subject.sources, subject.netlist, subject.design.top
    with beside_or_here(_read_and_proven, subject, place, limit_s) as beside:
        sides = elaborated(sources, netlist, top, place, wanted=(reading.VERILOG, reading.NETLIST))
        last = of_netlist(subject, Reading(sides, top), place, limit_s)
        done = [*beside.result(), last]
    for one in done:
        say(str(one))
    return tuple(one.claim for one in done)


def _read_and_proven(subject: Subject, place: Path, limit_s: float) -> list[Attempt]:
    """Return what comes of the proofs of the Verilog, which is read here."""
    top = subject.design.top
    flat = elaborated(subject.sources, (), top, place, wanted=(reading.FLAT,))
    return of_verilog(subject, Reading(flat, top), place, limit_s)


def prove_reading(subject: Subject, read: Reading, place: Path, limit_s: float) -> list[Attempt]:
    """Return what comes of each proof of a design that was `read`; files of ABC go to `place`."""
    return [*of_verilog(subject, read, place, limit_s), of_netlist(subject, read, place, limit_s)]


def of_verilog(subject: Subject, read: Reading, place: Path, limit_s: float) -> list[Attempt]:
    """Return what comes of the proofs that the flattened Verilog is the network, and of its handshake."""
    title = "the Verilog computes the network's integers"
    first = attempt(title, lambda: _network(subject, read.flat, place, limit_s))
    title = "the Verilog's handshake loses, doubles and reorders nothing"
    return [first, attempt(title, lambda: _handshake(subject, read.flat, first.claim))]


def of_netlist(subject: Subject, read: Reading, place: Path, limit_s: float) -> Attempt:
    """Return what comes of the proof that the netlist is the Verilog."""
    return attempt(NETLIST, lambda: _netlist(subject, read, place, limit_s))


def _network(subject: Subject, module: Module, place: Path, limit_s: float) -> str:
    """Prove that the flattened design computes the network."""
    if module.instances:
        raise NotProven(f"{module.name}: {module.instances[0].name} is kept apart, and is not looked into")
    frames = network.has_frames(subject.network)
    ports = _ports(subject, module)
    fixed = {ports.reset: 1} if frames else handshake.fixed(module)
    pipeline = Pipeline(module, ports.clock, net(module, MOVE), fixed)
    ends = network.prove(pipeline, subject.design, subject.network, place, limit_s)
    if not frames:
        ends.require(handshake.prove(module, ports, [pipeline.move]))
    return ends.detail


def _ports(subject: Subject, module: Module) -> handshake.Ports:
    return handshake.ports(module, subject.design.input.name, subject.design.output.name)


def _handshake(subject: Subject, module: Module, claim: Claim) -> str:
    """Prove the handshake; `claim` is the network's, which shows of frames what happens to positions inside."""
    if network.has_frames(subject.network):
        if claim.word is not Word.PROVEN:
            raise NotProven("what happens to positions inside is not known")
        return "every state of what counts positions, all values of other bits; inside: every move of every frame"
    depth = handshake.prove(module, _ports(subject, module), [net(module, MOVE)])
    return f"{depth} valid bits, all states and inputs; {len(handshake.fixed(module))} registers never change"


def _netlist(subject: Subject, read: Reading, place: Path, limit_s: float) -> str:
    """Prove that the netlist is the Verilog, module by module.

    Datapaths, and vectors from end to end, have as many registers on every way; control of frames has the same ones.
    """
    name = subject.design.top
    if not read.netlist:
        raise NotProven("there is none yet")
    sides = (read.verilog, read.netlist)
    tops = [modules[name] for modules in sides]
    if frames := network.has_frames(subject.network):
        gold, gate = (states.State(modules[name], modules, CLOCK) for modules in sides)
        done = [states.compare(gold, gate, place, name, limit_s)]
    else:
        done = [_chain(subject, tops, sides, place, limit_s)]
    mapped = {one.name: one.module for one in tops[1].instances}

    def compared(instance: str, module: str) -> Equality:
        if instance not in mapped:
            raise NotProven(f"{name}: there is no {instance} in the netlist")
        pair = read.verilog[module], read.netlist[mapped[instance]]
        first, second = (equivalence.side(one, CLOCK, MOVE) for one in pair)
        return equivalence.compare(first, second, place, instance, limit_s)

    done += side_by_side([partial(compared, one.name, one.module) for one in tops[0].instances])
    outputs, solved = (sum(getattr(one, key) for one in done) for key in ("outputs", "solved"))
    how = f"datapaths with {SAME_WAYS}, all else register by register" if frames else SAME_WAYS
    return f"{how}; {len(done)} modules, {outputs} bits between them, {solved} of them by SAT"


def _chain(
    subject: Subject, tops: Sequence[Module], sides: Sequence[Mapping[str, Module]], place: Path, limit_s: float
) -> Equality:
    """Prove that the top modules of a pipeline of vectors are the same, handshake and data."""
    depths = [handshake.prove(top, _ports(subject, top), _moves(top)) for top in tops]
    if depths[0] != depths[1]:
        raise NotProven(f"the Verilog is {depths[0]} stages deep, the netlist {depths[1]}")
    gold, gate = (_glue(subject, top, every) for top, every in zip(tops, sides, strict=True))
    return equivalence.compare(gold, gate, place, subject.design.top, limit_s)


def _moves(top: Module) -> list[int]:
    """Return the enables of all instances. Raises `NotProven` for one with another clock."""
    clock = top.single(CLOCK)
    for one in top.instances:
        if one.ports.get(CLOCK) != (clock,) or len(one.ports.get(MOVE, ())) != 1:
            raise NotProven(f"{top.name}: {one.name} has another clock, or no enable")
    return [one.ports[MOVE][0] for one in top.instances]


def _glue(subject: Subject, top: Module, modules: Mapping[str, Module]) -> Side:
    """Return the top module between its data ports and those of its instances."""
    design = subject.design
    first, last = f"{design.input.name}_TDATA", f"{design.output.name}_TDATA"
    sources, sinks = {first: top.inputs.get(first, ())}, {last: top.outputs.get(last, ())}
    for one in top.instances:
        module = modules[one.module]
        if module.instances:
            raise NotProven(f"{one.module}: it has instances itself")
        for port, bits in one.ports.items():
            if port in module.outputs:
                sources[f"{one.name}.{port}"] = bits
            elif port not in (CLOCK, MOVE):
                sinks[f"{one.name}.{port}"] = bits
    return Side(Pipeline(top, top.single(CLOCK), _moves(top)[0], handshake.fixed(top)), sources, sinks)
