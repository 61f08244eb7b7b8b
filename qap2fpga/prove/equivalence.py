# SPDX-License-Identifier: Apache-2.0
"""The netlist is the Verilog: the same function of the same inputs, as many registers later.

Registers are wires in both (`pipeline.py`). Both are written as graphs of ANDs with common inputs; what is not equal by
construction is compared by ABC (`&cec` or `cec`: simulation, then SAT). Each module is compared for itself.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np

from qap2fpga.prove.algebra import Ands, Sliced
from qap2fpga.prove.cells import Bits, NotProven, Refuted, evaluate
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.reading import Module
from qap2fpga.system.errors import QapError
from qap2fpga.system.programs import run

# Cases tried before ABC is asked, in words of 64.
TRIED = 32
SEED = 5
CONFLICTS = 10_000_000
# Two of ABC's engines, the second for what the first does not know. The first takes a tenth of the time mostly.
ENGINES = {
    "sweep": "&r {0}; &cec -C {conflicts} -T {limit} {1}",
    "cec": "cec -n -C {conflicts} -T {limit} {0} {1}",
}
FILES = ("verilog.aig", "netlist.aig")


@dataclass(frozen=True)
class Side:
    """One of two descriptions of a module: where its data come in, and where they go out, by port."""

    pipeline: Pipeline
    sources: Mapping[str, Bits]
    sinks: Mapping[str, Bits]


@dataclass(frozen=True)
class Equality:
    """What was compared: `outputs` bits, of which ABC compared `solved`."""

    outputs: int
    solved: int


def side(module: Module, clock: str, move: str) -> Side:
    """Return a module as a pipeline between its ports but those of clock and enable."""
    pipeline = Pipeline(module, module.single(clock), module.single(move))
    sources = {port: bits for port, bits in module.inputs.items() if port not in (clock, move)}
    return Side(pipeline, sources, dict(module.outputs))


def compare(gold: Side, gate: Side, place: Path, name: str, limit_s: float) -> Equality:
    """Prove that `gate` is `gold`. Raises `NotProven` where it is not, and where ABC does not know.

    Each of its engines has `limit_s`.
    """
    if _sizes(gold.sources) != _sizes(gate.sources) or _sizes(gold.sinks) != _sizes(gate.sinks):
        raise NotProven(f"{name}: Verilog and netlist have other ports")
    graph = Ands(sum(map(len, gold.sources.values())))
    first, second = (_written(one, graph, list(gold.sources), list(gold.sinks)) for one in (gold, gate))
    pairs = set()
    for (left, stage), (right, other) in zip(first, second, strict=True):
        # A constant may come through fewer registers, but not through more.
        if stage != other if min(left, right) > 1 else stage < other:
            raise NotProven(f"{name}: {stage} registers before an output in the Verilog, {other} in the netlist")
        if left != right:
            pairs.add((left, right))
    equal(graph, pairs, place, name, limit_s)
    return Equality(len(first), len(pairs))


def equal(graph: Ands, pairs: Collection[tuple[int, int]], place: Path, name: str, limit_s: float) -> None:
    """Prove that both bits of each pair are equal. Raises `NotProven`, or `Refuted` where an input shows a difference.

    Each engine of ABC has `limit_s`, and its files go to `place`.
    """
    if pairs:
        _try(graph, sorted(pairs), name)
        _solve(graph, sorted(pairs), place, name, limit_s)


def _sizes(ports: Mapping[str, Bits]) -> dict[str, int]:
    return {port: len(bits) for port, bits in ports.items()}


def _written(one: Side, graph: Ands, sources: list[str], sinks: list[str]) -> list[tuple[int, int]]:
    """Return the outputs of a side as bits of `graph`, each with its stage."""
    leaves = [bit for port in sources for bit in one.sources[port]]
    one.pipeline.require_held(bit for port in sinks for bit in one.sinks[port])
    cone = one.pipeline.cone(tuple(bit for port in sinks for bit in one.sinks[port]), dict.fromkeys(leaves, 0))
    bits = {0: 0, 1: 1, **{bit: graph.input(number) for number, bit in enumerate(leaves)}}
    evaluate(graph, cone.parts, bits)
    return [(bits[bit], cone.stages.get(bit, cone.late.get(bit, 0))) for bit in cone.outputs]


def _try(graph: Ands, pairs: list[tuple[int, int]], name: str) -> None:
    """Raise `NotProven` with an input for which a pair differs, if a few random ones show it."""
    random, algebra = np.random.default_rng(SEED), Sliced()
    nodes = [algebra.zero]
    nodes += [random.integers(0, 1 << 64, TRIED, np.uint64) for _ in range(graph.inputs)]
    for a, b in graph.gates:
        nodes.append(_of(nodes, a) & _of(nodes, b))
    for a, b in pairs:
        if (_of(nodes, a) != _of(nodes, b)).any():
            raise Refuted(f"{name}: the netlist is another function than the Verilog")


def _of(nodes: list[np.ndarray], bit: int) -> np.ndarray:
    return ~nodes[bit >> 1] if bit & 1 else nodes[bit >> 1]


def _solve(graph: Ands, pairs: list[tuple[int, int]], place: Path, name: str, limit_s: float) -> None:
    """Prove with ABC that both bits of each pair are equal."""
    # The name may come from a file: it is neither a path nor part of a script.
    folder = Path(tempfile.mkdtemp(dir=place))
    for file, column in zip(FILES, zip(*pairs, strict=True), strict=True):
        (folder / file).write_bytes(graph.aiger(list(column)))
    why = ""
    for engine, script in ENGINES.items():
        asked = script.format(*FILES, conflicts=CONFLICTS, limit=int(limit_s))
        try:
            output = run([abc(), "-q", asked], log=folder / f"{engine}.log", folder=folder, time_limit_s=limit_s + 60)
        except QapError as error:
            why = f"ABC: {error.message}"
            continue
        if re.search(r"^Networks are equivalent\b", output, re.MULTILINE):
            return
        if "NOT EQUIVALENT" in output:
            raise Refuted(f"{name}: the netlist is another function than the Verilog")
        why = f"ABC did not know after {limit_s:g} s"
    raise NotProven(f"{name}: {why}")


def abc() -> Path:
    """Return the path of the ABC that pyosys brings."""
    spec = util.find_spec("pyosys")
    path = Path(spec.origin).parent / "yosys-abc" if spec and spec.origin else Path("yosys-abc")
    if not path.is_file():
        raise QapError("the installed pyosys has no yosys-abc", "pip install pyosys==0.70")
    return path
