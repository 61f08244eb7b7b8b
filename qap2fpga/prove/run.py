# SPDX-License-Identifier: Apache-2.0
"""All proofs of a design of the rtl backend: it is the network, its handshake loses nothing, its netlist is it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from qap2fpga.hw.design import Design
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.prove import classes, equivalence, handshake, layers
from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.certificate import FORMAT, Certificate, Claim, Word
from qap2fpga.prove.equivalence import Side
from qap2fpga.prove.layers import Lane, Layer
from qap2fpga.prove.linear import Value
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.reading import Bits, Module, Reading, elaborated
from qap2fpga.system.files import scratch, sha256

CLOCK, MOVE = "ap_clk", "move"
CLASS = "class"
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
    """Return what can be proven of `subject`; logs go to `folder`. Each module has `limit_s` seconds for ABC.

    Raises `QapError` where Yosys cannot read the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with scratch(folder) as place:
        top = subject.design.top
        reading = Reading(elaborated(subject.sources, subject.netlist, top, place), top)
        claims = tuple(prove_reading(subject, reading, place, limit_s, say))
    read_files = (subject.network_file, *subject.sources, *subject.netlist)
    files = {path.relative_to(subject.network_file.parent).as_posix(): sha256(path) for path in read_files}
    versions = {name: metadata.version(name) for name in ("qap2fpga", "pyosys", "numpy")}
    return Certificate(format=FORMAT, files=files, versions=versions, claims=claims)


def prove_reading(subject: Subject, reading: Reading, place: Path, limit_s: float, say: Say) -> Iterator[Claim]:
    """Yield what comes of each proof of a design that is `reading`; files of ABC go to `place`."""
    works: dict[str, Callable[[], str]] = {
        "the Verilog computes the network's integers": lambda: _network(subject, reading.flat, place, limit_s),
        "the Verilog's handshake loses, doubles and reorders nothing": lambda: _handshake(subject, reading.flat),
        "the netlist is the Verilog, with as many registers on every way":
            lambda: _netlist(subject, reading, place, limit_s),
    }  # fmt: skip
    for title, work in works.items():
        begin = time.monotonic()
        try:
            word, detail = Word.PROVEN, work()
        except NotProven as error:
            word, detail = Word.REFUTED if isinstance(error, Refuted) else Word.NOT_PROVEN, str(error)
        say(f"{title}: {word}, {time.monotonic() - begin:.1f} s: {detail}")
        yield Claim(claim=title, word=word, detail=detail)


def _network(subject: Subject, module: Module, place: Path, limit_s: float) -> str:
    """Prove that the flattened design computes the network."""
    design, network = subject.design, subject.network
    if not network.is_chain:
        raise NotProven("a graph that is no chain of dense layers: not known here")
    pipeline = Pipeline(module, module.inputs[CLOCK][0], _net(module, MOVE))
    values = _inputs(subject, module)
    stages = cases = 0
    for layer in _layers(subject, module):
        proof = layers.prove(pipeline, layer, values)
        values, stages, cases = list(proof.values), stages + proof.stages, cases + proof.cases
    if design.output_kind == CLASS:
        (number,) = _output(subject, module, 1)
        stages += classes.prove(pipeline, values, number.bits, place, limit_s)
    _check_padding(subject, pipeline)
    depth = handshake.prove(module, _ports(subject, module), [pipeline.move])
    if depth != stages:
        raise NotProven(f"data come {stages} moves after they entered, their valid bit {depth}")
    return f"{len(network.layers)} layers, {stages} stages, {cases:,} accumulators"


def _net(module: Module, name: str) -> int:
    bits = module.named.get(name, ())
    if len(bits) != 1:
        raise NotProven(f"{module.name}: no net '{name}' of one bit")
    return bits[0]


def _inputs(subject: Subject, module: Module) -> list[Value]:
    """Return the integers that come in, as the port is described."""
    stream, quantizer = subject.design.input, subject.network.input
    bits = module.inputs.get(f"{stream.name}_TDATA", ())
    if stream.beats != 1 or len(bits) != stream.beat_bits or stream.elements != subject.network.inputs:
        raise NotProven("the input's port is not as it is described")
    top = 1 << stream.bits - int(stream.signed)
    if not (-top if stream.signed else 0) <= quantizer.low <= quantizer.high < top:
        raise NotProven(f"the input's port does not hold {quantizer.low} to {quantizer.high}")
    lanes = _lanes(bits, [(stream.bits, stream.signed)] * stream.lanes)
    return [Value(lane.bits, lane.signed, quantizer.low, quantizer.high) for lane in lanes]


def _lanes(bits: Bits, sizes: Sequence[tuple[int, bool]]) -> tuple[Lane, ...]:
    lanes, at = [], 0
    for size, signed in sizes:
        lanes.append(Lane(bits[at : at + size], signed))
        at += size
    return tuple(lanes)


def _layers(subject: Subject, module: Module) -> Iterator[Layer]:
    """Yield the layers to prove, with where their results lie: at probes, which are hints, and at the output's port."""
    design, units = subject.design, subject.network.layers
    probes = {probe.node: probe for probe in design.probes}
    is_class = design.output_kind == CLASS
    for unit in units:
        function = unit.activation
        if unit is units[-1] and not is_class:
            lanes = _output(subject, module, unit.outputs)
        else:
            probe = probes.get(unit.requantizer.name)
            if probe is None:
                raise NotProven(f"layer {unit.name}: no probe says where its results lie")
            lanes = _lanes(module.named.get(probe.signal, ()), probe.lanes)
        if len(lanes) != unit.outputs or not all(lane.bits for lane in lanes):
            raise NotProven(f"layer {unit.name}: its results do not lie where a probe says")
        if unit is units[-1] and is_class and isinstance(function, Step):
            # Levels rise with the number of thresholds that they stand for, so the largest is the same one.
            function = Step(function.thresholds)
        bare = unit is units[-1] and design.output_kind == "accumulators"
        names = tuple(unit.channel_name(channel) for channel in range(unit.outputs))
        yield Layer(unit.name, unit.weights, None if bare else function, names, lanes)


def _output(subject: Subject, module: Module, elements: int) -> tuple[Lane, ...]:
    """Return the lanes of the output's port, of as many elements."""
    stream = subject.design.output
    bits = module.outputs.get(f"{stream.name}_TDATA", ())
    if stream.beats != 1 or len(bits) != stream.beat_bits or not stream.elements == stream.lanes == elements:
        raise NotProven("the output's port is not as it is described")
    return _lanes(bits, [(stream.bits, stream.signed)] * stream.lanes)


def _check_padding(subject: Subject, pipeline: Pipeline) -> None:
    stream = subject.design.output
    bits = pipeline.module.outputs[f"{stream.name}_TDATA"][stream.lanes * stream.bits :]
    if any(pipeline.moving.get(bit, bit) for bit in bits):
        raise NotProven("the output's padding is not zero")


def _ports(subject: Subject, module: Module) -> handshake.Ports:
    return handshake.ports(module, subject.design.input.name, subject.design.output.name)


def _handshake(subject: Subject, module: Module) -> str:
    depth = handshake.prove(module, _ports(subject, module), [_net(module, MOVE)])
    return f"{depth} valid bits, all states and inputs"


def _netlist(subject: Subject, reading: Reading, place: Path, limit_s: float) -> str:
    """Prove that the netlist is the Verilog, module by module."""
    name = subject.design.top
    if not reading.netlist:
        raise NotProven("there is none yet")
    tops = [modules[name] for modules in (reading.verilog, reading.netlist)]
    depths = [handshake.prove(top, _ports(subject, top), _moves(top)) for top in tops]
    if depths[0] != depths[1]:
        raise NotProven(f"the Verilog is {depths[0]} stages deep, the netlist {depths[1]}")
    gold, gate = (
        _glue(subject, top, every) for top, every in zip(tops, (reading.verilog, reading.netlist), strict=True)
    )
    done = [equivalence.compare(gold, gate, place, name, limit_s)]
    names = [{one.name: one.module for one in top.instances} for top in tops]
    for instance, module in names[0].items():
        pair = reading.verilog[module], reading.netlist[names[1][instance]]
        gold, gate = (equivalence.side(one, CLOCK, MOVE) for one in pair)
        done.append(equivalence.compare(gold, gate, place, module, limit_s))
    outputs, solved = (sum(getattr(one, key) for one in done) for key in ("outputs", "solved"))
    return f"{len(done)} modules, {outputs} bits between them, {solved} of them by SAT"


def _moves(top: Module) -> list[int]:
    """Return the enables of all instances. Raises `NotProven` for one with another clock."""
    clock = top.inputs[CLOCK]
    for one in top.instances:
        if one.ports.get(CLOCK) != clock or len(one.ports.get(MOVE, ())) != 1:
            raise NotProven(f"{top.name}: {one.name} has another clock, or no enable")
    return [one.ports[MOVE][0] for one in top.instances]


def _glue(subject: Subject, top: Module, modules: Mapping[str, Module]) -> Side:
    """Return the top module between its data ports and those of its instances."""
    design = subject.design
    first, last = f"{design.input.name}_TDATA", f"{design.output.name}_TDATA"
    sources, sinks = {first: top.inputs[first]}, {last: top.outputs[last]}
    for one in top.instances:
        module = modules[one.module]
        if module.instances:
            raise NotProven(f"{one.module}: it has instances itself")
        for port, bits in one.ports.items():
            if port in module.outputs:
                sources[f"{one.name}.{port}"] = bits
            elif port not in (CLOCK, MOVE):
                sinks[f"{one.name}.{port}"] = bits
    return Side(Pipeline(top, top.inputs[CLOCK][0], _moves(top)[0]), sources, sinks)
