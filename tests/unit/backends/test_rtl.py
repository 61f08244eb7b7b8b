# SPDX-License-Identifier: Apache-2.0
"""The rtl backend: its netlists compute what the network does, a few in Verilator too; no planted fault goes unseen."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from qap2fpga.backends.rtl import adders, circuit, requant, solver
from qap2fpga.backends.rtl import backend as backend_module
from qap2fpga.backends.rtl import layer as layer_module
from qap2fpga.backends.rtl.adders import Output
from qap2fpga.backends.rtl.backend import RtlBackend
from qap2fpga.backends.rtl.netlist.cells import Cell, Netlist, Sum, Table, Wiring
from qap2fpga.backends.rtl.netlist.evaluate import run
from qap2fpga.backends.rtl.netlist.wiring import Slice
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.estimate import draw
from qap2fpga.exact.integers import width
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.requant.implementations import Piecewise, Search, Target, prove
from qap2fpga.requant.requantize import candidates
from qap2fpga.synth import yosys
from qap2fpga.system.errors import CheckFailed, ConstantNetwork, QapError
from qap2fpga.verify import netlist, rtl
from tests.support import sheets

BOARD = boards.load("pynq-z2")


def network(
    seed: int, widths: tuple[int, ...] = (6, 10, 8, 4), bits: int = 4, sparsity: float = 0.5, *,
    power_of_two: bool = False, step_end: Step | None = None,
) -> Graph:  # fmt: skip
    """A random compacted network; scales as a batch norm would leave them, a channel each."""
    for attempt in range(100):
        random = np.random.default_rng([seed, attempt])
        try:
            return compact(_random(random, widths, bits, sparsity, power_of_two, step_end))
        except ConstantNetwork:
            continue
    raise AssertionError("no seed gives a network that is not a constant")


def _random(random, widths, bits, sparsity, power_of_two, step_end) -> Graph:
    layers = []
    low, high = np.full(widths[0], -8), np.full(widths[0], 7)
    largest = max(1, 2 ** (bits - 1) - 1)
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        final = index == len(widths) - 2
        weights = random.integers(-largest, largest + 1, (inputs, outputs))
        weights[random.random(weights.shape) < (0 if bits == 1 else sparsity)] = 0
        if bits == 1:
            weights = np.where(weights >= 0, 1, -1)
        weights[0, :] = np.where(weights.any(axis=0), weights[0, :], 1)
        if not final and sparsity:
            weights[:, 0] = 0  # a dead neuron
        layer = dense(f"fc{index + 1}", weights, Step(np.zeros((outputs, 1), np.int64)), bits, bits)
        ranges = layer.range(low, high)
        if not final:
            layer = layer.changed(activation=_step(random, ranges, bits, power_of_two))
        elif step_end is not None:
            edges = np.stack([np.sort(random.integers(a, b + 2, step_end.thresholds.shape[1]))
                              for a, b in zip(*ranges, strict=True)])  # fmt: skip
            layer = layer.changed(activation=replace(step_end, thresholds=edges))
        else:
            multiplier = np.array([16] * outputs) if power_of_two else random.integers(5, 3000, outputs)
            if not power_of_two:
                multiplier[0] = -multiplier[0]
            offset = random.integers(-9000, 9000, outputs)
            layer = layer.changed(activation=Logits(multiplier, offset, 8, 4))
        layers.append(layer)
        low, high = layer.activation.range(*ranges)
    return chain(tuple(layers), InputQuantizer(-8, 7, (0.1,)), Fraction(1, 16))


def _step(random, ranges, bits: int, power_of_two: bool) -> Step:
    levels = (1 << bits) - 1
    rows = []
    for low, high in zip(*ranges, strict=True):
        pitch = max(1.0, (high - low) / (levels + 1) * random.uniform(0.3, 1.1))
        if power_of_two:
            pitch = 2.0 ** round(np.log2(pitch))
        start = random.uniform(low, low + max(1, (high - low) / 2))
        rows.append([int(np.ceil(start + pitch * level)) for level in range(levels)])
    return Step(np.array(rows, np.int64))


def generated(one: Graph, folder, **options) -> Design:
    return RtlBackend().generate(one, BOARD, folder / "rtl", RtlOptions(**options), np.zeros((0, one.inputs), np.int64))


def simulated(one: Graph, folder, kind: str = "logits", **options) -> Design:
    design = generated(one, folder, output_kind=kind, **options)
    vectors = np.concatenate([random_vectors(one, 300, 5), extremes(one)])
    found = rtl.Rtl(design, folder / "simulate", threads=1).simulate(vectors, reference.outputs(one, kind, vectors))
    assert sum(run.mismatches for run in found) == 0
    assert rtl.measured(found) == (design.latency_cycles, 1.0)
    return design


def stimuli(one: Graph) -> np.ndarray:
    return np.concatenate([random_vectors(one, 300, 5), extremes(one)])


def evaluated(one: Graph, kind: str = "logits", board: Board = BOARD, **options) -> backend_module.Circuit:
    """The circuit, which gives the network's integers for all of many vectors."""
    made = backend_module.circuit(one, board, RtlOptions(output_kind=kind, **options))
    vectors = stimuli(one)
    outputs = run([module.netlist for module in made.modules], vectors)
    assert (outputs == reference.outputs(one, kind, vectors)).all()
    return made


@pytest.mark.parametrize("bits", [1, 2, 3, 6])
def test_some_widths(bits):
    evaluated(network(10 * bits, (5, 6, 3), bits=bits, sparsity=0.7))


@pytest.mark.slow
@pytest.mark.parametrize("power_of_two", [True, False])
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_and_sparsity(bits, power_of_two):
    """1 bit (binary weights), 2 bits (ternary ones) to 8, four sparsities."""
    for place, sparsity in enumerate((0.0, 0.5, 0.8, 0.95)):
        one = network(10 * bits + place, (5, 6, 3), bits=bits, sparsity=sparsity, power_of_two=power_of_two)
        assert bits > 1 or {abs(int(w)) for layer in one.layers for w in layer.weights.flat} == {1}
        evaluated(one)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["logits", "class", "accumulators"])
def test_networks_as_calibrations_draw_them(kind):
    """Layers and small networks, which end in logits or in a quantizer, for many clocks."""
    recipes = [one for one in draw.recipes(20, 31) if one.kind != "jet" and np.prod(one.widths[:2]) < 400]
    assert {one.step_end for one in recipes} == {True, False}
    for recipe in recipes:
        evaluated(draw.network(recipe), kind, clock=recipe.clock_ns, allow_oversize=True)


@pytest.mark.slow
def test_a_few_in_verilator(tmp_path):
    """Side by side, at the latency that was said."""
    networks = [network(10 * bits, (5, 6, 3), bits=bits, sparsity=0.5) for bits in (1, 2, 4, 6, 8)]
    design = sheets.sheet(networks, tmp_path / "sheet")
    vectors = stimuli(networks[0])
    found = rtl.Rtl(design, tmp_path / "simulate", threads=1).simulate(vectors, sheets.outputs(networks, vectors))
    assert sum(run.mismatches for run in found) == 0
    assert rtl.measured(found)[0] == design.latency_cycles


@pytest.mark.slow
def test_the_netlists_of_a_few(tmp_path):
    kinds = ((1, 0.0, False), (2, 0.5, False), (5, 0.8, True), (6, 0.5, False))
    networks = [
        network(70 + bits, (5, 6, 4, 3), bits=bits, sparsity=sparsity, power_of_two=power)
        for bits, sparsity, power in kinds
    ]
    design = sheets.sheet(networks, tmp_path / "sheet")
    vectors = np.concatenate([random_vectors(networks[0], 200, 5), extremes(networks[0])])
    expected = sheets.outputs(networks, vectors)
    mapped = yosys.map_design(design, BOARD, tmp_path / "yosys", threads=1)
    (found,) = netlist.Netlist(design, BOARD, mapped, tmp_path / "netlist", threads=1).simulate(vectors, expected)
    assert (found.vectors, found.mismatches) == (len(vectors), 0)


@pytest.mark.parametrize("kind", ["class", "accumulators"])
def test_output_kinds(kind):
    evaluated(network(3, (5, 6, 4, 3), bits=3), kind)


@pytest.mark.slow
def test_the_class_in_verilator(tmp_path):
    simulated(network(3, bits=3), tmp_path, "class", clock=3.0)


@pytest.mark.parametrize("multiplier", [4, -4, 37])
def test_values_with_more_results_than_are_listed(multiplier):
    """One output, whose values are its accumulators with two bits more, or any other line of 21 bits."""
    random = np.random.default_rng(multiplier + 9)
    end = Logits(np.array([multiplier]), np.array([-12345]), 0 if multiplier % 2 == 0 else 3, None)
    layer = dense("fc1", random.integers(-8000, 8000, (6, 1)), end, 14, 4)
    one = chain((layer,), InputQuantizer(-8, 7, (0.1,)), Fraction(1, 3))
    low, high = one.ranges[-1].outputs
    assert high[0] - low[0] > layer_module.LISTED
    evaluated(one, "values")


@pytest.mark.parametrize("base, step", [(-4, 3), (-1, 2), (-7, 1), (0, 1), (3, 1)])
def test_a_network_that_ends_in_a_quantizer(base, step):
    one = network(4, (5, 4), bits=3, step_end=Step(np.zeros((1, 5), np.int64), base=base, step=step))
    evaluated(one)
    evaluated(one, "class")


def test_the_clock_and_the_family_cut_the_pipeline():
    """A register too many or too few would mix vectors."""
    one = network(6, (5, 6, 4), bits=4)
    circuits = [
        evaluated(one, "class", boards.load(board), clock=clock)
        for board in ("pynq-z2", "zcu104", "ulx3s-85f")
        for clock in (3.0, 5.0, 40.0)
    ]
    assert len({tuple(module.stages for module in made.modules) for made in circuits}) > 4


def test_a_faster_clock_takes_more_cycles(tmp_path):
    one = network(6, bits=6)
    slow, usual, fast = (generated(one, tmp_path / str(ns), clock=ns).latency_cycles for ns in (100.0, 10.0, 3.0))
    assert slow < usual < fast


def one_cut_lower(cell: Cell) -> Cell | None:
    """A result that is taken one bit lower."""
    if not isinstance(cell, Wiring) or not isinstance(cell.vector, Slice) or not cell.vector.first:
        return None
    return replace(cell, vector=replace(cell.vector, first=cell.vector.first - 1))


# A flipped weight, a changed b and a changed f.
MUTATIONS = {
    "weight": lambda cell: replace(cell, subtract=not cell.subtract) if isinstance(cell, Sum) else None,
    "b": lambda cell: (
        replace(cell, columns=(cell.columns[0] ^ 1, *cell.columns[1:])) if isinstance(cell, Table) else None),
    "f": one_cut_lower,
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(MUTATIONS))
def test_a_changed_cell_makes_the_network_compute_something_else(what):
    """Each of the sums; of tables and of results that are cut, most: not all entries and bits are reached."""
    one = network(8, bits=4)
    modules = backend_module.circuit(one, BOARD, RtlOptions()).modules
    vectors = np.concatenate([random_vectors(one, 2000, 5), extremes(one)])
    wanted = reference.outputs(one, "logits", vectors)
    first, *others = (module.netlist for module in modules)
    seen = []
    for place, cell in enumerate(first.cells):
        changed = MUTATIONS[what](cell)
        if changed:
            broken = replace(first, cells=(*first.cells[:place], changed, *first.cells[place + 1 :]))
            seen.append(differs([broken, *others], vectors, wanted))
    assert len(seen) > 3
    assert all(seen) if what == "weight" else sum(seen) > len(seen) / 2


def differs(netlists: list[Netlist], vectors: np.ndarray, wanted: np.ndarray) -> bool:
    try:
        return bool((run(netlists, vectors) != wanted).any())
    except CheckFailed as error:
        assert "outside" in str(error)
        return True


@pytest.mark.slow
def test_one_changed_number_in_the_verilog_makes_the_simulation_fail(tmp_path):
    one = network(8, bits=4)
    design = generated(one, tmp_path)
    path = design.folder / design.sources[0]
    changed, count = re.subn(r"= ~\((n\d+|i\d+|\{[^}]*\}) \+ ", r"= ~(\1 - ", path.read_text(), count=1)
    assert count == 1
    path.write_text(changed)
    vectors = np.concatenate([random_vectors(one, 2000, 5), extremes(one)])
    with pytest.raises(CheckFailed, match="vectors differ; first vector"):
        rtl.Rtl(design, tmp_path / "simulate", threads=1).simulate(vectors, reference.outputs(one, "logits", vectors))


@pytest.mark.parametrize("what", ["offsets", "shift", "terms", "above"])
def test_one_changed_number_in_an_implementation_is_found_by_its_proof(what):
    one = network(8, bits=4)
    layer, ranges = one.layers[0], one.ranges[0]
    graph = solver.solve(layer.weights, *ranges.inputs, layer.name)
    implementations = backend_module.choose(layer, graph, ranges)
    low, high = ranges.accumulators
    tried = 0
    for channel, implementation in enumerate(implementations):
        target = layer_module.target(layer, channel, graph.outputs[channel], int(low[channel]), int(high[channel]))
        if not isinstance(implementation, Piecewise) or not any(implementation.offsets) or implementation.above is None:
            continue
        tried += 1
        changed = {
            "offsets": {"offsets": tuple(offset + (1 << implementation.shift) for offset in implementation.offsets)},
            "shift": {"shift": implementation.shift + 1},
            "terms": {"terms": ((1, implementation.terms[0][1] + 1), *implementation.terms[1:])},
            "above": {"above": implementation.above - (implementation.above - int(target.thresholds[-2])) - 1},
        }[what]
        with pytest.raises(CheckFailed, match="channel"):
            prove(replace(implementation, **changed), target, f"channel {channel}")
    assert tried


def test_the_adder_graph_is_proven():
    random = np.random.default_rng(2)
    weights = random.integers(-31, 32, (12, 9))
    weights[:, 3] = 6 * np.eye(12, dtype=np.int64)[4]
    graph = solver.solve(weights, np.full(12, 0), np.full(12, 63), "fc")
    values = random.integers(0, 64, (50, 12))
    nodes = graph.coefficients()
    for column, output in enumerate(graph.outputs):
        found = output.sign * output.factor * (values @ nodes[output.node])
        assert (found * 2.0**output.shift == values @ weights[:, column]).all()
    assert graph.outputs[3].factor == 3 and graph.outputs[3].node == 4  # one weight: no adder at all
    broken = replace(graph.adders[5], shift=graph.adders[5].shift + 1)
    with pytest.raises(CheckFailed, match="channel"):
        replace(graph, adders=(*graph.adders[:5], broken, *graph.adders[6:])).prove(weights, "fc")


def test_weights_that_the_solver_would_round_are_refused():
    for largest, refused in ((2**24 - 1, False), (2**24, True), (-(2**24) - 1, True), (3 * (2**24 - 1), False)):
        weights = np.array([[largest], [largest % 2 + (largest % 3 == 0) * 2]])
        if refused:
            with pytest.raises(CheckFailed, match="layer fc1: weights of more than 24 bits"):
                solver.solve(weights, np.zeros(2, int), np.ones(2, int), "fc1")
        else:
            solver.solve(weights, np.zeros(2, int), np.ones(2, int), "fc1").prove(weights, "fc1")


def test_what_the_search_makes_of_a_graph_is_proven(monkeypatch):
    settled = solver.signs.settled

    def wrong(*given):
        graph = settled(*given)
        first = graph.adders[0]
        return replace(graph, adders=(replace(first, shift=first.shift + 1), *graph.adders[1:]))

    monkeypatch.setattr(solver.signs, "settled", wrong)
    with pytest.raises(CheckFailed, match=r"layer fc1, channel \d: the adder graph computes other weights"):
        solver.solve(np.array([[3, 5], [7, -3]]), np.zeros(2, int), np.ones(2, int), "fc1")


@pytest.mark.parametrize("nonzeros, tries", [(0, 16), (300, 16), (1000, 6), (5000, 1), (9000, 1)])
def test_a_large_layer_is_solved_fewer_times(nonzeros, tries):
    weights = (np.arange(10000) < nonzeros).astype(np.int64).reshape(100, 100)
    methods = [method for method, _ in solver._tries(weights)]
    assert methods == (["wmc", "mc"] * 8)[:tries]


def test_no_flipped_sign_would_save_a_lut():
    passes = []
    for seed in range(4, 11):
        weights = np.random.default_rng(seed).integers(-31, 32, (8, 10))
        low, high = np.full(8, -8 if seed % 2 == 0 else 0), np.full(8, 7)
        bare = solver.pruned(solver._graph(weights, np.ones(10, int), low, high, "wmc", np.arange(8), np.arange(10)))
        graph = solver.signs.settled(bare, low, high)
        graph.prove(weights, "fc1")
        assert solver.signs.luts(graph, low, high) < solver.signs.luts(bare, low, high)
        nodes = range(8, 8 + len(graph.adders))
        search = solver.signs._Search(graph, low, high)
        assert not any(search.try_flip(node) for node in nodes)
        search = solver.signs._Search(bare, low, high)
        passes.append(sum(max([search.try_flip(node) for node in nodes]) for _ in range(3)))
    assert 2 in passes  # one pass is not always enough


RIGHT = [
    Target(np.array([-3, 4, 16, 20, 21]), -10, 31, 1), Target(np.array([2, 5, 9, 13, 14, 15]), 0, 15),
    Target(np.arange(-60, 61, 8), -64, 63, 0), Target(np.arange(-115, 120, 15), -128, 127, 3),
    Target(np.array([1, 2, 2, 2, 7]), 0, 8, -2), Target(np.array([0]), -1, 0), Target(np.zeros(0, np.int64), -5, 9, -3),
]  # fmt: skip


@pytest.mark.parametrize("clock", [1.5, 100.0])
@pytest.mark.parametrize("target", RIGHT)
def test_every_implementation_in_cells_gives_its_targets_results(target, clock):
    """For all x of the range, at a clock that cuts it into stages and at one that does not."""
    values = np.arange(target.low, target.high + 1)
    seen = set()
    for implementation in islice(candidates(target), 60):
        made = circuit.Circuit(clock, circuit.Delays(0.5, 0.5, 0.05, 0.2))
        result = requant.build(made, implementation, made.inputs([(target.low, target.high)])[0])
        found = run([made.netlist([result])], values[:, None])[:, 0]
        assert (found == target.apply(values)).all(), implementation
        seen.add(type(implementation))
    assert seen


def test_when_the_bits_of_a_binary_search_are_ready():
    """A comparison of five bits is a LUT; after it are a table of constants, a LUT, and a carry chain."""
    made = circuit.Circuit(100.0, circuit.Delays(1.0, 2.0, 0.25, 0.5))
    result = requant.build(made, Search((3, 7, 12), 2), made.inputs([(-8, 12)])[0])
    assert (result.stage, result.ready) == (0, 1.0 + (2.0 + 5 * 0.25 + 1.0))


def test_a_cycle_a_stage_and_one_to_leave():
    """At a clock this slow every module is one stage; the Verilog's own latency is compared in the slow tests."""
    one = network(15, (5, 6, 4), bits=3)
    made = backend_module.circuit(one, BOARD, RtlOptions(output_kind="class", clock=200.0), lambda line: None)
    assert [module.stages for module in made.modules] == [1, 1, 1]
    assert (made.expected.latency_cycles, made.expected.interval_cycles) == (4, 1)
    assert [node.layer for node in made.expected.nodes] == ["fc1", "fc2", "fc2", ""]


def test_the_ports_hold_every_output_and_the_probes_name_their_nodes(tmp_path):
    one = network(15, (5, 6, 4, 3), bits=3)
    kinds = {kind: generated(one, tmp_path / kind, output_kind=kind) for kind in ("logits", "accumulators", "class")}
    for kind, node in (("logits", "fc3/requantize"), ("accumulators", "fc3"), ("class", "fc3/requantize")):
        assert [probe.node for probe in kinds[kind].probes] == ["fc1/requantize", "fc2/requantize", node]
    low, high = one.ranges[-1].outputs
    port = kinds["logits"].output
    assert (port.elements, port.bits, port.signed) == (3, width(int(low.min()), int(high.max())), int(low.min()) < 0)
    port = kinds["class"].output
    assert (port.elements, port.bits, port.signed) == (1, 2, False)


@pytest.mark.parametrize("weights, bits", [((-5, 1), 8), ((5, -1), 8), ((5, 1), 7)])
def test_a_port_has_the_bits_of_its_lowest_and_its_highest_value(weights, bits, tmp_path):
    """Of inputs from 0 to 15; which output has the lowest and which the highest is not the same."""
    layer = dense("fc1", np.array([weights]), Logits(np.array([1, 1]), np.array([0, 0]), 0, 0), 4, 4)
    one = chain((layer,), InputQuantizer(0, 15, (0.1,)), Fraction(1))
    port = generated(one, tmp_path, output_kind="accumulators").output
    assert (port.bits, port.signed) == (bits, min(weights) < 0)


def test_an_operation_that_is_no_adder_is_refused():
    stage = SimpleNamespace(ops=[SimpleNamespace(opcode=7)])
    with pytest.raises(CheckFailed, match="alkaid's graph has an operation 7 that is neither sum nor difference"):
        solver.Builder(2).stage(stage, [])


def test_a_wire_has_the_bits_of_what_is_known_to_be_on_it():
    made = circuit.Circuit(10.0, circuit.Delays(1.0, 1.0, 0.1, 0.5))
    (node,) = made.inputs([(-8, 12)])
    whole = layer_module._whole(made, node, Output(0, -2, 1))
    assert (whole.low, whole.high, whole.bits) == (-2, 3, 3)
    assert layer_module._whole(made, node, Output(0, 2, 1)) is node
    assert layer_module.narrowed(node, (-2, 1)).bits == 2
    with pytest.raises(AssertionError, match=r"cannot hold \(-8, 16\)"):
        layer_module.narrowed(node, (-8, 16))


@pytest.mark.parametrize("kind", ["logits", "accumulators"])
def test_an_output_without_weights_is_a_constant(kind):
    one = network(15, (5, 6, 4), bits=3)
    weights = one.layers[-1].weights.copy()
    weights[:, 1] = 0
    weights[:, 0] = np.where(weights[:, 0] == 0, 1, weights[:, 0])
    evaluated(one.with_layers((*one.layers[:-1], one.layers[-1].changed(weights=weights))), kind)


@pytest.mark.parametrize("kind", ["logits", "accumulators"])
def test_factors_shifts_and_signs_that_outputs_share(kind):
    """Outputs that are multiples of one another, some falling, are one node with a factor each."""
    one = network(15, (5, 6, 4), bits=3)
    weights = one.layers[-1].weights.copy()
    weights[:, 1], weights[:, 2], weights[:, 0] = 6 * weights[:, 0], -12 * weights[:, 3], -20 * weights[:, 0]
    evaluated(one.with_layers((*one.layers[:-1], one.layers[-1].changed(weights=weights))), kind)


@pytest.mark.slow
def test_a_layer_of_zeros_costs_nothing(tmp_path):
    """What is left are the handshake and the chain of valid bits."""
    one = chain(
        (dense("fc1", np.zeros((6, 3), np.int64), Logits(np.array([3, 5, 7]), np.array([9, -9, 100]), 1, 4), 4, 4),),
        InputQuantizer(-8, 7, (1.0,)),
        Fraction(1),
    )
    found = yosys.synthesize(simulated(one, tmp_path), BOARD, tmp_path / "yosys")
    assert found.total.lut <= 2 and found.total.ff <= 1


def test_a_hidden_layer_of_zeros_makes_a_constant_which_is_refused():
    one = network(3, bits=4)
    zero = one.layers[1].changed(weights=np.zeros_like(one.layers[1].weights))
    with pytest.raises(QapError, match="layer fc2 is pruned away"):
        compact(one.with_layers((one.layers[0], zero, one.layers[2])))


def test_same_input_same_bytes(tmp_path):
    one = network(9)
    for name in ("a", "b"):
        generated(one, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a" / "rtl").iterdir())
    assert len(files) == len(one.layers) + 1
    for name in files:
        assert (tmp_path / "a" / "rtl" / name).read_bytes() == (tmp_path / "b" / "rtl" / name).read_bytes()


def test_zeros_cost_nothing():
    """Another zero never adds an adder beyond what sharing may lose, and a dead neuron has none at all."""
    random = np.random.default_rng(4)
    weights = random.integers(-31, 32, (16, 12))
    ends = np.full(16, 0), np.full(16, 63)
    before = len(solver.solve(weights, *ends, "fc").adders)
    order = random.permutation(weights.size)[: weights.size * 4 // 5]
    weights.ravel()[order] = 0
    weights[0] = np.where(weights.any(axis=0), weights[0], 1)
    assert len(solver.solve(weights, *ends, "fc").adders) < before / 3


# The same network with its neurons and inputs in another order takes up to 5.6 % more LUTs (twelve networks of the
# shape below, 3 to 6 bits, four orders each: 250 to 940 LUTs, spread 2.3 % on average): neither the adder graph's
# search nor the mapping is exact.
NOISE = 0.06


@pytest.mark.slow
def test_one_more_zero_never_costs_more_than_the_noise(tmp_path):
    """Two networks lose five weights one after the other."""
    sequences = []
    for seed, bits in ((4, 4), (5, 6)):
        one = network(500 + seed, (6, 8, 5, 3), bits=bits, sparsity=0.3)
        random = np.random.default_rng(seed)
        sequences.append([one])
        for _ in range(5):
            one = sequences[-1][-1]
            index = int(random.integers(len(one.layers)))
            layer = one.layers[index]
            weights = layer.weights.copy()
            weights[tuple(random.choice(np.argwhere(weights)))] = 0
            layers = (*one.layers[:index], layer.changed(weights=weights), *one.layers[index + 1 :])
            sequences[-1].append(compact(one.with_layers(layers)))
    design = sheets.sheet([one for sequence in sequences for one in sequence], tmp_path / "sheet")
    mapped = yosys.map_design(design, BOARD, tmp_path / "yosys")
    parts = yosys.measurement(mapped).parts
    numbers = iter(range(len(parts)))
    for sequence in sequences:
        luts = [parts[f"n{next(numbers)}"].lut for _ in sequence]
        assert all(after <= before * (1 + NOISE) for before, after in pairwise(luts)), luts
        assert luts[-1] < luts[0], luts


@pytest.mark.parametrize("shape", [(784, 128), (64, 64)])
def test_too_large_is_refused_before_any_work(shape, tmp_path):
    random = np.random.default_rng(1)
    bits = 8 if shape[0] > 100 else 16
    weights = random.integers(1 - 2 ** (bits - 1), 2 ** (bits - 1), shape)
    layer = dense("fc1", weights, Logits(np.ones(shape[1], np.int64), np.zeros(shape[1], np.int64), 0, 0), bits, 8)
    one = chain((layer,), InputQuantizer(0, 255, (1.0,)), Fraction(1))
    with pytest.raises(QapError, match=r"take about [\d,]+ LUTs") as caught:
        generated(one, tmp_path)
    assert caught.value.exit_code == 2 and "--backend finn" in caught.value.hint
    assert not (tmp_path / "rtl").exists()


def test_the_estimate_is_made_of_digits():
    assert adders.signed_digits(np.array([[0, 1, -7, 5, 31, 21]])).tolist() == [[0, 1, 2, 2, 2, 3]]
    assert width(0, 1) == 1


@pytest.mark.parametrize("options", [{"clock": 0.0}, {"output_kind": "nonsense"}])
def test_nonsense_options_are_refused(options):
    with pytest.raises(QapError):
        RtlOptions(**options)
