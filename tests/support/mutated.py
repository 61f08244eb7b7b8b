# SPDX-License-Identifier: Apache-2.0
"""Single faults in hardware as Yosys reads it, and a simulator that shares no code with the proofs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import outputs
from qap2fpga.prove.run import Subject
from qap2fpga.synth import mapping

Content = dict[str, Any]
Cell = dict[str, Any]
STREAMS = 64
CLOCKED = ("$dff", "FDRE", "FDSE", "SRL16E")
SWAPS = {"$add": "$sub", "$sub": "$add", "$and": "$or", "$or": "$and", "$ge": "$gt", "$not": "$pos", "INV": "BUF",
         "$logic_not": "$reduce_bool"}  # fmt: skip


def subject(network: Graph, place: Path, board: str = "pynq-z2", kind: str = "logits") -> Subject:
    """Return the design of the rtl backend for `network`, synthesised in `place`."""
    target = boards.load(board)
    storage.save(network, place / "network.npz")
    nothing = np.zeros((0, network.inputs), np.int64)
    design = backends.get("rtl").generate(
        network, target, place / "rtl", RtlOptions(clock=4.0, output_kind=kind), nothing
    )
    mapped = mapping.map_design(design, target, place / "synthesize", threads=1)
    return Subject(design, network, place / "network.npz", mapped.netlist)


def faulty(content: Content, seed: int) -> tuple[str, Content]:
    """Return `content` with one fault, drawn by `seed`, and its name."""
    random = np.random.default_rng(seed)
    for _ in range(1000):
        mutant = copy.deepcopy(content)
        module = mutant["modules"][random.choice(sorted(mutant["modules"]))]
        kind = random.choice(sorted(FAULTS))
        cells = sorted(module["cells"])
        if cells and FAULTS[kind](module["cells"][random.choice(cells)], module, random):
            return kind, mutant
    raise AssertionError("no fault fits")


def _inputs(cell: Cell) -> list[str]:
    outputs = {"Y", "Q", "O", "CO"}
    return [port for port in cell["connections"] if port not in outputs]


def _operator(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    if cell["type"] == "$mux":
        ports = cell["connections"]
        ports["A"], ports["B"] = ports["B"], ports["A"]
        return True
    known = cell["type"] in SWAPS
    cell["type"] = SWAPS.get(cell["type"], cell["type"])
    return known


def _constant(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    places = [
        (port, at) for port in _inputs(cell) for at, bit in enumerate(cell["connections"][port]) if bit in ("0", "1")
    ]
    if not places:
        return False
    port, at = places[random.integers(len(places))]
    bits = cell["connections"][port]
    bits[at] = {"0": "1", "1": "0"}[bits[at]]
    return True


def _index(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    """Read the bit beside the right one."""
    port = random.choice(_inputs(cell))
    bits = cell["connections"][port]
    at = random.integers(len(bits))
    beside = [
        other
        for net in module["netnames"].values()
        for one, other in [
            *zip(net["bits"], net["bits"][1:], strict=False),
            *zip(net["bits"][1:], net["bits"], strict=False),
        ]
        if one == bits[at] and other != one
    ]
    if isinstance(bits[at], str) or not beside:
        return False
    bits[at] = beside[random.integers(len(beside))]
    return True


def _extension(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    """Fill with zeros where the sign is repeated."""
    for port in _inputs(cell):
        bits = cell["connections"][port]
        if len(bits) > 1 and bits[-1] == bits[-2] and not isinstance(bits[-1], str):
            bits[-1] = "0"
            return True
    return False


def _table(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    entries = cell["parameters"].get("INIT", "")
    if not cell["type"].startswith("LUT"):
        return False
    at = random.integers(len(entries))
    cell["parameters"]["INIT"] = f"{entries[:at]}{'01'[entries[at] == '0']}{entries[at + 1 :]}"
    return True


def _pins(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    """Swap two bits that the cell reads."""
    places = [(port, at) for port in _inputs(cell) for at in range(len(cell["connections"][port]))]
    if len(places) < 2:
        return False
    first, second = (places[index] for index in random.choice(len(places), 2, replace=False))
    ports = cell["connections"]
    a, b = ports[first[0]][first[1]], ports[second[0]][second[1]]
    ports[first[0]][first[1]], ports[second[0]][second[1]] = b, a
    return a != b


def _bypass(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    """Leave a register out: what reads it reads what it would become."""
    if cell["type"] not in CLOCKED:
        return False
    at = random.integers(len(cell["connections"]["Q"]))
    out, data = cell["connections"]["Q"][at], cell["connections"]["D"][at]
    for other in module["cells"].values() if cell["type"] == "$dff" else ():
        if other["type"] == "$mux" and data in other["connections"]["Y"]:
            data = other["connections"]["B"][other["connections"]["Y"].index(data)]
            break
    for other in module["cells"].values():
        for port in _inputs(other):
            other["connections"][port] = [data if bit == out else bit for bit in other["connections"][port]]
    for port in module["ports"].values():
        if port["direction"] == "output":
            port["bits"] = [data if bit == out else bit for bit in port["bits"]]
    return True


def _enable(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    port = {"$mux": "S", "FDRE": "CE"}.get(cell["type"])
    if port is None or isinstance(cell["connections"][port][0], str):
        return False
    cell["connections"][port] = [random.choice(["0", "1"])]
    return True


def _reset(cell: Cell, module: Content, random: np.random.Generator) -> bool:
    if cell["type"] != "FDRE":
        return False
    nets = [bit for net in module["netnames"].values() for bit in net["bits"] if not isinstance(bit, str)]
    cell["connections"]["R"] = [nets[random.integers(len(nets))]]
    return True


FAULTS: Mapping[str, Callable[[Cell, Content, np.random.Generator], bool]] = {
    "operator": _operator, "constant": _constant, "bit index": _index, "sign extension": _extension,
    "LUT entry": _table, "swapped pins": _pins, "register left out": _bypass, "enable": _enable, "reset": _reset,
}  # fmt: skip


class Simulator:
    """A design, cycle by cycle, of many streams at once; its cells are computed with whole integers."""

    def __init__(self, content: Content, top: str) -> None:
        self.count = 0
        self.ports: dict[str, list[int | str]] = {}
        self.cells: list[tuple[str, Mapping[str, str], dict[str, list[int | str]]]] = []
        self._place(content["modules"], top, None)
        self.registers = [one for one in self.cells if one[0] in CLOCKED]
        self.logic = list(self._sorted())
        self.shifted: dict[int | str, list[np.ndarray]] = {}
        self.state = {bit: np.zeros(STREAMS, bool) for one in self.registers for bit in one[2]["Q"]}

    def _new(self) -> int:
        self.count += 1
        return self.count

    def _place(self, modules: Content, name: str, outer: Mapping[str, list[int | str]] | None) -> None:
        module, nets = modules[name], {}
        for port, one in module["ports"].items():
            if outer is None:
                self.ports[port] = [nets.setdefault(bit, self._new()) if not isinstance(bit, str) else bit
                                    for bit in one["bits"]]  # fmt: skip
            elif one["direction"] == "input":
                nets.update(zip(one["bits"], outer.get(port, ["x"] * len(one["bits"])), strict=True))

        def of(bits: list[int | str]) -> list[int | str]:
            return [bit if isinstance(bit, str) else nets.setdefault(bit, self._new()) for bit in bits]

        for cell in module["cells"].values():
            ports = {port: of(bits) for port, bits in cell["connections"].items()}
            if cell["type"] in modules:
                self._place(modules, cell["type"], ports)
            else:
                self.cells.append((cell["type"], cell["parameters"], ports))
        if outer is not None:
            for port, one in module["ports"].items():
                if one["direction"] == "output" and port in outer:
                    self.cells.append(("$pos", {}, {"A": of(one["bits"]), "Y": outer[port]}))

    def _sorted(self) -> Iterator[tuple[str, Mapping[str, str], dict[str, list[int | str]]]]:
        """Yield logic after what it reads. Raises `ValueError` for a loop."""
        known = {bit for one in self.registers for bit in one[2]["Q"]}
        waiting = [one for one in self.cells if one[0] not in CLOCKED]
        driven = {bit for _, _, ports in waiting for port in OUTPUTS for bit in ports.get(port, [])}
        while waiting:
            later = []
            for one in waiting:
                reads = {bit for port in _inputs({"connections": one[2]}) for bit in one[2][port]}
                if any(bit in driven and bit not in known for bit in reads if not isinstance(bit, str)):
                    later.append(one)
                else:
                    known |= {bit for port in OUTPUTS for bit in one[2].get(port, [])}
                    yield one
            if len(later) == len(waiting):
                raise ValueError("a loop of logic")
            waiting = later

    def cycle(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs (streams,) under `inputs`, integers by port, and go on by a clock."""
        values: dict[int | str, np.ndarray] = {"0": FALSE, "1": ~FALSE, "x": FALSE, **self.state}
        for port, numbers in inputs.items():
            for at, bit in enumerate(self.ports[port]):
                values[bit] = np.array([int(number) >> at & 1 for number in numbers], bool)
        for kind, parameters, ports in self.logic:
            _compute(kind, parameters, ports, values)
        state = {}
        for kind, _, ports in self.registers:
            for data, out in zip(ports["D"], ports["Q"], strict=True):
                value = values.get(data, FALSE)
                if kind == "SRL16E":
                    history = self.shifted.setdefault(out, [FALSE] * 16)
                    enable = values.get(ports["CE"][0], FALSE)
                    history[:] = [np.where(enable, new, old)
                                  for new, old in zip([value, *history], history, strict=False)]  # fmt: skip
                    value = history[sum((ports[f"A{place}"][0] == "1") << place for place in range(4))]
                elif kind != "$dff":
                    value = np.where(values.get(ports["CE"][0], FALSE), value, self.state[out])
                    reset = ports["R" if kind == "FDRE" else "S"][0]
                    value = np.where(values.get(reset, FALSE), kind == "FDSE", value)
                state[out] = value
        result = {
            port: sum(values.get(bit, FALSE).astype(object) << at for at, bit in enumerate(bits))
            for port, bits in self.ports.items()
        }
        self.state = state
        return result


OUTPUTS = ("Y", "O", "CO")
FALSE = np.zeros(STREAMS, bool)


def _compute(
    kind: str, parameters: Mapping[str, str], ports: Mapping[str, list[int | str]], values: dict[int | str, np.ndarray]
) -> None:
    def number(port: str, size: int = 0) -> np.ndarray:
        bits = ports.get(port, [])
        signed = parameters.get(f"{port}_SIGNED", "").endswith("1")
        total = sum(
            (values.get(bit, FALSE).astype(np.int64) << at for at, bit in enumerate(bits)), np.zeros(STREAMS, np.int64)
        )
        return np.where(values.get(bits[-1], FALSE), total - (1 << len(bits)), total) if signed and bits else total

    def put(port: str, result: np.ndarray) -> None:
        for at, bit in enumerate(ports.get(port, [])):
            if not isinstance(bit, str):
                values[bit] = (np.asarray(result).astype(np.int64) >> at & 1).astype(bool)

    if kind.startswith("LUT"):
        entries = np.array([int(bit) for bit in reversed(parameters["INIT"])])
        index = sum(number(f"I{place}") << place for place in range(int(kind[3:])))
        put("O", entries[index])
    elif kind == "CARRY4":
        carry, sums, carries = number("CI") | number("CYINIT"), 0, 0
        for place in range(4):
            select, data = number("S") >> place & 1, number("DI") >> place & 1
            sums = sums | (select ^ carry) << place
            carry = np.where(select, carry, data)
            carries = carries | carry << place
        put("O", sums)
        put("CO", carries)
    elif kind in ("MUXF7", "MUXF8"):
        put("O", np.where(number("S"), number("I1"), number("I0")))
    elif kind == "$shiftx":
        entries = np.array([value == "1" for value in ports["A"]])
        put("Y", entries[number("B")])
    else:
        put("O" if kind in ("INV", "BUF") else "Y", WHOLE[kind](number))


Number = Callable[[str], np.ndarray]
WHOLE: Mapping[str, Callable[[Number], np.ndarray]] = {
    "INV": lambda of: 1 - of("I"), "BUF": lambda of: of("I"), "$not": lambda of: ~of("A"), "$pos": lambda of: of("A"),
    "$add": lambda of: of("A") + of("B"), "$sub": lambda of: of("A") - of("B"), "$mul": lambda of: of("A") * of("B"),
    "$and": lambda of: of("A") & of("B"), "$or": lambda of: of("A") | of("B"), "$xor": lambda of: of("A") ^ of("B"),
    "$ge": lambda of: of("A") >= of("B"), "$gt": lambda of: of("A") > of("B"),
    "$mux": lambda of: np.where(of("S"), of("B"), of("A")),
    "$eq": lambda of: of("A") == of("B"), "$ne": lambda of: of("A") != of("B"),
    "$logic_and": lambda of: (of("A") != 0) & (of("B") != 0), "$logic_not": lambda of: of("A") == 0,
    "$reduce_bool": lambda of: of("A") != 0,
    "$logic_or": lambda of: (of("A") != 0) | (of("B") != 0),
}  # fmt: skip


def behaves(content: Content, subject: Subject, seed: int, cycles: int = 240) -> bool:
    """Return whether the simulated design gives the network's outputs for all inputs, under gaps, stalls and resets."""
    design, network = subject.design, subject.network
    try:
        simulator = Simulator(content, design.top)
    except ValueError:
        return False
    source, sink = design.input, design.output
    low, high = network.input.low, network.input.high
    grid = np.meshgrid(*[np.arange(low, high + 1)] * network.inputs)
    vectors = np.stack([axis.ravel() for axis in grid], axis=1)
    expected = outputs(network, design.output_kind, vectors)
    random = np.random.default_rng(seed)
    # Each stream begins at another vector, so that together they send all.
    sent = np.arange(STREAMS) * len(vectors) // STREAMS
    waiting: list[list[int]] = [[] for _ in range(STREAMS)]
    mask, top = (1 << source.bits) - 1, (1 << sink.bits) - 1
    seen: set[int] = set()
    offered, held = np.zeros(STREAMS, bool), [-1] * STREAMS
    paces = random.integers(1, 10, (2, STREAMS))
    for cycle in range(cycles):
        offered |= random.integers(0, 10, STREAMS) < paces[0]
        ready = random.integers(0, 10, STREAMS) < paces[1]
        reset = np.full(STREAMS, cycle < 2) | (random.integers(0, 150, STREAMS) == 0)
        data = [sum((int(value) & mask) << at * source.bits for at, value in enumerate(vectors[index % len(vectors)]))
                for index in sent]  # fmt: skip
        out = simulator.cycle({
            "ap_rst_n": 1 - reset, f"{source.name}_TVALID": offered, f"{sink.name}_TREADY": ready,
            f"{source.name}_TDATA": data,
        })  # fmt: skip
        for stream in range(STREAMS):
            if reset[stream]:
                waiting[stream], held[stream] = [], -1
                continue
            valid, word = (int(out[f"{sink.name}_{port}"][stream]) for port in ("TVALID", "TDATA"))
            if held[stream] >= 0 and (not valid or word != held[stream]):
                return False
            if valid:
                if not waiting[stream]:
                    return False
                wanted = expected[waiting[stream][0]]
                if word != sum((int(value) & top) << at * sink.bits for at, value in enumerate(wanted)):
                    return False
                seen.add(waiting[stream][0])
            held[stream] = word if valid and not ready[stream] else -1
            if valid and ready[stream]:
                waiting[stream].pop(0)
            taken = offered[stream] and out[f"{source.name}_TREADY"][stream]
            if taken:
                waiting[stream].append(int(sent[stream] % len(vectors)))
                sent[stream] += 1
                offered[stream] = False
            if len(waiting[stream]) > (design.latency_cycles or 0):
                return False
    if len(seen) < len(vectors):
        raise AssertionError(f"only {len(seen)} of {len(vectors)} vectors came out")
    return True
