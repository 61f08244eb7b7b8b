# SPDX-License-Identifier: Apache-2.0
"""The FINN backend: every step exact for every width and sparsity, faults caught where they are made."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from qap2fpga.backends import BACKENDS
from qap2fpga.backends.finn import check
from qap2fpga.backends.finn import plan as planning
from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.estimate import Mvau
from qap2fpga.backends.finn.folding import Costs
from qap2fpga.backends.finn.nodes import MvauNode
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.padding import choices, divisors, widths
from qap2fpga.backends.finn.search import choose
from qap2fpga.backends.finn.sources import PATCHES, patched
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import Unit, dense
from qap2fpga.system.errors import CheckFailed, QapError

BOARD = boards.load("pynq-z2")


def random_network(
    sizes: list[int], bits: int, sparsity: float, *, seed: int = 0, input_bits: int = 8, signed: bool = True,
    ends_in_step: bool = False,
) -> Graph:  # fmt: skip
    """A random network of dense layers with thresholds spread over each accumulator's range."""
    rng = np.random.default_rng(seed)
    low, high = (-(1 << (input_bits - 1)), (1 << (input_bits - 1)) - 1) if signed else (0, (1 << input_bits) - 1)
    ends = np.full(sizes[0], low), np.full(sizes[0], high)
    layers: list[Unit] = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        largest = max(1, (1 << (bits - 1)) - 1)
        legal = np.arange(-largest, largest + 1) if bits > 1 else np.array([-1, 1])
        weights = rng.choice(legal, (inputs, outputs))
        weights = np.where(rng.random((inputs, outputs)) < sparsity, 0, weights)
        weights[rng.integers(inputs, size=outputs), np.arange(outputs)] = 1  # no dead neuron
        layer = dense(f"fc{index + 1}", weights, Logits(np.ones(1), np.ones(1), 0, 0), bits, input_bits, bits)
        bottom, top = layer.range(*ends)
        activation: Step | Logits
        if index == len(sizes) - 2 and not ends_in_step:
            activation = Logits(rng.integers(900, 9000, outputs), rng.integers(-50000, 50000, outputs), 6, 8)
        else:
            spread = rng.normal(size=(outputs, (1 << bits) - 1)) * ((top - bottom) / 6)[:, None]
            cuts = np.sort(((bottom + top) / 2)[:, None] + spread, axis=1).astype(np.int64)
            activation = Step(np.clip(cuts, bottom[:, None], top[:, None] + 1))
        layers.append(layer.changed(activation=activation))
        ends = activation.range(bottom, top)
    return chain(tuple(layers), InputQuantizer(low, high, (1.0,)), Fraction(1, 256))


def random_vectors(network: Graph, count: int = 24) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(network.input.low, network.input.high + 1, (count, network.inputs))


def build(network: Graph, folder: Path, **options: Any) -> Design:
    own = FinnOptions(sparse="never", **options)
    return FinnBackend().generate(network, BOARD, folder, own, random_vectors(network))


def with_layer(network: Graph, index: int, **changes: Any) -> Graph:
    layers = list(network.layers)
    layers[index] = layers[index].changed(**changes)
    return network.with_layers(tuple(layers))


@pytest.mark.parametrize("sparsity", [0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_every_step_is_exact(bits: int, sparsity: float, tmp_path: Path) -> None:
    network = random_network([7, 12, 6, 5], bits, sparsity, seed=bits)
    design = build(network, tmp_path)  # raises CheckFailed if a step changes the network
    assert design.interval_cycles == max(getattr(node, "cycles", 0) for node in design.nodes)
    assert len(list(tmp_path.glob("[0-9][0-9]_*.onnx"))) == 12
    for name in (*design.sources, *design.data):
        assert (design.folder / name).is_file()
    for kind in ("lut", "ff", "dsp", "bram18"):
        parts = sum(node.estimate[kind] or 0 for node in design.nodes)
        assert parts == design.estimate[kind]
    assert design.output.elements == 5
    if bits == 1:
        assert any("1-bit activation" in note for note in design.details["widened"])


@pytest.mark.parametrize("kind", ["logits", "class", "accumulators"])
def test_output_kinds(kind: str, tmp_path: Path) -> None:
    network = random_network([6, 8, 5], 3, 0.5)
    output = build(network, tmp_path, output_kind=kind).output
    low, high = network.ranges[-1].outputs if kind == "logits" else network.ranges[-1].accumulators
    if kind == "class":
        assert (output.elements, output.lanes, output.bits, output.signed) == (1, 1, 3, False)
    else:
        assert output.signed
        assert -(1 << (output.bits - 1)) <= low.min()
        assert high.max() < 1 << (output.bits - 1)


def test_lowest_weight_is_widened(tmp_path: Path) -> None:
    network = random_network([6, 8, 5], 4, 0)
    weights = network.layers[1].weights.copy()
    weights[2, 3] = -8
    design = build(with_layer(network, 1, weights=weights), tmp_path)
    assert [note for note in design.details["widened"] if note.startswith("fc2: weights reach -8, so 4 bits as 5")]


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sums", "weight", "layer fc2, channel 1"),
        ("activations", "thresholds", "layer fc1, channel 2"),
    ],
)
def test_a_fault_in_a_step_is_named(
    name: str, change: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qap2fpga.backends.finn import steps

    def spoil(model: Any, recipe: Any) -> Any:
        index, inputs = (1, "MVAU") if change == "weight" else (0, "Thresholding")
        node = model.get_nodes_by_op_type(inputs)[index]
        values = model.get_initializer(node.input[1]).copy()
        if change == "weight":
            values[0, 1] = -values[0, 1] or 1
        else:
            values[2, [1, 2]] = values[2, [2, 2]]
        model.set_initializer(node.input[1], values)
        return model

    monkeypatch.setattr(steps, "STEPS", _after(steps.STEPS, "widths", "spoiled", spoil))
    network = random_network([6, 8, 5], 3, 0)
    cuts = network.layers[0].activation.thresholds.copy()  # type: ignore[union-attr]
    network = with_layer(network, 0, activation=Step(cuts))
    with pytest.raises(CheckFailed, match=told) as caught:
        FinnBackend().generate(network, BOARD, tmp_path, FinnOptions(), random_vectors(network, 200))
    assert "'spoiled'" in str(caught.value)
    assert ("accumulator" if name == "sums" else "activation") in str(caught.value)


def _after(steps: Any, name: str, new: str, function: Callable[[Any, Any], Any]) -> Any:
    at = [step for step, _ in steps].index(name) + 1
    return (*steps[:at], (new, function), *steps[at:])


@pytest.mark.parametrize(
    ("folding", "told"),
    [
        ({"MVAU_rtl_9": {"SIMD": 1}}, "did you mean 'MVAU_rtl_"),
        ({"MVAU_rtl_0": {"SMID": 1}}, "did you mean 'SIMD'"),
        ({"MVAU_rtl_0": {"SIMD": 4}}, "does not divide MW = 6"),
        ({"MVAU_rtl_0": {"PE": 3}}, "does not divide MH = 8"),
        ({"MVAU_rtl_0": {"PE": 0}}, "legal: 1, 2, 4, 8"),
        ({"MVAU_rtl_0": {"PE": 2}, "Thresholding_rtl_0": {"PE": 4}}, "the same PE"),
        ({"MVAU_rtl_0": 3}, "it must be like"),
    ],
)
def test_bad_folding(folding: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(QapError, match=told):
        build(random_network([6, 8, 5], 3, 0), tmp_path, folding=folding)


def test_folding_file_is_input_again(tmp_path: Path) -> None:
    network = random_network([6, 8, 5], 3, 0.5)
    folding = {"MVAU_rtl_0": {"SIMD": 3, "PE": 2}, "Thresholding_rtl_0": {"PE": 2}, "MVAU_rtl_1": {"SIMD": 4, "PE": 1}}
    design = build(network, tmp_path, folding=folding)
    assert json.loads((tmp_path / "folding.json").read_text()) == folding == design.folding
    assert design.interval_cycles == 10


def test_target_fps(tmp_path: Path) -> None:
    network = random_network([6, 8, 5], 3, 0.5)
    slow = build(network, tmp_path / "slow", target_fps=3e6)
    assert slow.interval_cycles <= 33
    assert slow.estimate["lut"] < build(network, tmp_path / "fast").estimate["lut"]
    with pytest.raises(QapError, match=r"100,000,000 fps is the best that fits"):
        build(network, tmp_path, target_fps=2e8)


def test_predicted_not_to_fit(tmp_path: Path) -> None:
    tiny = dataclasses.replace(BOARD, lut=300)
    network = random_network([6, 8, 5], 6, 0)
    with pytest.raises(QapError, match="predicted not to fit") as caught:
        FinnBackend().generate(network, tiny, tmp_path, FinnOptions(), random_vectors(network))
    assert caught.value.exit_code == 2
    design = FinnBackend().generate(network, tiny, tmp_path, FinnOptions(allow_oversize=True), random_vectors(network))
    assert design.estimate["lut"] > tiny.lut


def test_too_wide(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="the input has 9 bits"):
        build(random_network([6, 8, 5], 4, 0, input_bits=9), tmp_path)
    network = random_network([6, 8, 5], 4, 0)
    cuts = np.tile(np.arange(300), (8, 1))
    with pytest.raises(QapError, match="activations of 9 bits"):
        build(with_layer(network, 0, activation=Step(cuts)), tmp_path)
    huge = with_layer(network, 1, weights=network.layers[1].weights * (1 << 18))
    with pytest.raises(QapError, match="exact to 24 bits"):
        build(huge, tmp_path)


def test_other_version_of_finn_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.7.0")
    with pytest.raises(QapError, match=r"1\.7\.0 was not tested"):
        build(random_network([6, 8, 5], 3, 0), tmp_path)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: f"{patch.file}: {patch.why}")
def test_patch_must_match_once(patch: Any) -> None:
    for text in ("module nothing; endmodule\n", 2 * (patch.start + patch.end)):
        with pytest.raises(QapError, match=f"FINN's {patch.file}: the text to patch occurs"):
            patched(patch.file, text)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    network = random_network([6, 12, 5], 3, 0.5)
    folding = {"MVAU_rtl_0": {"SIMD": 3, "PE": 4}, "MVAU_rtl_1": {"SIMD": 3, "PE": 1}}
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        build(network, folder, folding=folding)
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in folders]
    assert files[0] == files[1]
    for path in files[0]:
        if (tmp_path / "one" / path).is_file():
            content = (tmp_path / "one" / path).read_bytes()
            assert content == (tmp_path / "two" / path).read_bytes(), path
            assert str(tmp_path).encode() not in content, path


def test_dsp_estimate_is_mvu_sv() -> None:
    """Counts that Yosys found for mvu_vvu_axi alone: (SIMD, PE, W, A) -> DSP48E1."""
    for (simd, pe, weight_bits, input_bits), found in {
        (8, 8, 6, 6): 32, (8, 8, 4, 4): 16, (8, 8, 3, 3): 16, (8, 8, 2, 2): 8, (8, 8, 8, 8): 32, (16, 2, 6, 6): 16,
        (16, 4, 2, 2): 16, (2, 8, 4, 4): 4,
    }.items():  # fmt: skip
        assert Mvau(64, 64, simd, pe, weight_bits, input_bits, 20, 1.0, "DSP48E1").dsp == found


def test_plan_keeps_products_in_the_accumulator() -> None:
    network = random_network([6, 8, 5], 6, 0.95)
    for layer in planning.plan(network, last_thresholds=True).layers:
        assert layer.accumulator_bits >= layer.weight_bits + layer.input_bits - layer.input_signed


def expected_output(network: Graph, vectors: np.ndarray, kind: str) -> np.ndarray:
    if kind == "logits":
        return network.run(vectors)
    if kind == "class":
        return network.run(vectors).argmax(axis=1)[:, None]
    values = vectors.astype(np.int64)
    for layer in network.layers[:-1]:
        values = layer.activation.apply(layer.accumulate(values))
    result: np.ndarray = network.layers[-1].accumulate(values)
    return result


# Sizes, bits, how it ends, what leaves, and SIMD and PE a layer (none: as searched). Among them: the narrowest
# types, width converters that divide and that do not, a SIMD that is no power of two before a slower layer.
SIMULATED = {
    "binary, class": ([8, 12, 6, 5], 1, False, "class", ((4, 3), (4, 2), (3, 1))),
    "ends in a quantizer": ([6, 12, 10, 5], 2, True, "logits", ((3, 4), (6, 5), (2, 5))),
    "backpressure": ([9, 12, 10, 5], 3, False, "class", ((9, 12), (3, 5), (10, 5))),
    "accumulators": ([4, 8, 6, 3], 8, False, "accumulators", ((1, 2), (8, 3), (3, 1))),
    "searched": ([6, 8, 4, 3], 4, False, "logits", None),
    "padded": ([8, 31, 13, 5], 3, False, "class", None),
    "unfolded by one": ([1, 3, 1], 4, False, "logits", ((1, 1), (1, 1))),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SIMULATED)
def test_rtl_is_exact(case: str, tmp_path: Path) -> None:
    from qap2fpga.verify.rtl import Rtl

    sizes, bits, ends_in_step, kind, given = SIMULATED[case]
    network = random_network(sizes, bits, 0.4, seed=len(sizes) + bits, ends_in_step=ends_in_step)
    if case == "ends in a quantizer":
        last = network.layers[-1].activation
        assert isinstance(last, Step)
        network = with_layer(network, -1, activation=dataclasses.replace(last, base=-3, step=2))
    folding = {f"MVAU_rtl_{at}": {"SIMD": simd, "PE": pe} for at, (simd, pe) in enumerate(given)} if given else None
    vectors = random_vectors(network, 100)
    design = build(network, tmp_path, output_kind=kind, folding=folding)
    assert bool(design.details["padded"]) == (case == "padded")
    runs = Rtl(design, tmp_path / "simulation").simulate(vectors, expected_output(network, vectors, kind))
    assert all(run.mismatches == 0 for run in runs)
    assert {run.latency_cycles for run in runs} - {None} == {design.latency_cycles}
    assert {run.interval_cycles for run in runs} - {None} == {design.interval_cycles}


def test_padding_reaches_a_shorter_interval(tmp_path: Path) -> None:
    """The authors' widths after compaction: every step stays exact although hidden layers have more channels."""
    network = random_network([16, 62, 31, 15, 5], 6, 0.8, seed=3)
    design = build(network, tmp_path)  # raises CheckFailed if a step changes the network
    assert design.interval_cycles <= 16
    assert any(note.startswith("fc2: 31 neurons became 32") for note in design.details["padded"])
    assert (design.input.elements, design.output.elements) == (16, 5)
    folding = json.loads((tmp_path / "folding.json").read_text())
    assert folding["MVAU_rtl_1"]["MH"] == 32
    assert "MH" not in folding["MVAU_rtl_3"]
    again = build(network, tmp_path / "again", folding=folding)
    assert again.interval_cycles == design.interval_cycles
    assert (again.details, again.nodes) == (design.details, design.nodes)


def test_widths_that_fold_well_are_left_alone(tmp_path: Path) -> None:
    design = build(random_network([8, 16, 8, 4], 3, 0.5), tmp_path)
    assert design.details["padded"] == []


def test_dummy_neurons_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qap2fpga.backends.finn import steps

    def spoil(model: Any, recipe: Any) -> Any:
        node = model.get_nodes_by_op_type("Thresholding")[0]
        values = model.get_initializer(node.input[1]).copy()
        values[-1, 0] = 0  # a sum of 0 now passes the first threshold
        model.set_initializer(node.input[1], values)
        return model

    monkeypatch.setattr(steps, "STEPS", _after(steps.STEPS, "widths", "spoiled", spoil))
    with pytest.raises(CheckFailed, match=r"layer fc1, channel 7, vector 0: activation 1, must be 0"):
        build(random_network([6, 7, 5], 3, 0), tmp_path, folding={"MVAU_rtl_0": {"PE": 4, "MH": 8}})


@pytest.mark.parametrize(
    ("folding", "told"),
    [
        ({"MVAU_rtl_0": {"MH": 7}}, "has MH 7; the layer has 8 neurons"),
        ({"MVAU_rtl_0": {"MH": 17}}, "legal: 8 to 16"),
        ({"MVAU_rtl_1": {"MH": 6}}, "has no 'MH'"),
        ({"MVAU_rtl_0": {"MH": 9}, "MVAU_rtl_1": {"SIMD": 4}}, "does not divide MW = 9"),
        ({"MVAU_rtl_0": {"PE": 2.5}}, "a whole number"),
    ],
)
def test_bad_padding(folding: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(QapError, match=told):
        build(random_network([6, 8, 5], 3, 0), tmp_path, folding=folding)


def test_padded_widths() -> None:
    assert widths(31) == [31, 32]
    assert widths(62)[1] == 64
    for neurons in range(1, 300):
        found = widths(neurons)
        assert found[0] == neurons
        assert len(found) <= 4
        assert all(neurons < width <= neurons + max(2, neurons / 8) for width in found[1:])


def costs_of(network: Graph, board: Board = BOARD) -> Costs:
    return Costs(planning.plan(network, last_thresholds=True), network, board, "logits")


@pytest.mark.parametrize("scale", [1.0, 0.06])
def test_search_is_as_good_as_trying_all(scale: float) -> None:
    """On a large board, and on one that DSPs run short of."""
    network = random_network([4, 7, 5, 3], 3, 0.5)
    board = dataclasses.replace(BOARD, dsp=int(BOARD.dsp * scale), bram18=BOARD.bram18)
    costs = costs_of(network, board)
    every = []
    for outputs in itertools.product(*choices(costs.plan)):
        sizes = list(zip((4, *outputs), outputs, strict=False))
        folds = [itertools.product(divisors(mw), divisors(mh)) for mw, mh in sizes]
        every += [costs.folding(layers, outputs) for layers in itertools.product(*folds)]
    fitting = [one for one in every if max(costs.used(one.cost).values()) <= 0.7]
    shortest = min(one.interval for one in fitting)
    plain = min(one.interval for one in fitting if one.outputs == (7, 5, 3))
    if shortest > 0.9 * plain:  # so little is no reason to pad
        shortest = plain
    found = choose(costs, FinnOptions())
    assert found.interval == shortest
    if scale == 1:
        price = min(sum(costs.used(one.cost).values()) for one in fitting if one.interval <= shortest)
        assert sum(costs.used(found.cost).values()) == pytest.approx(price, rel=1e-3)


def test_search_is_fast() -> None:
    costs = costs_of(random_network([256, 251, 247, 233, 201, 10], 4, 0.8))
    begin = time.process_time()
    found = choose(costs, FinnOptions())
    assert time.process_time() - begin < 1
    assert found.outputs != tuple(layer.mh for layer in costs.plan.layers)


def test_usual_8_bit_networks_stay_below_24_bits() -> None:
    largest = [np.full(shape, 127) for shape in ((490, 256), (256, 256), (256, 12))]
    network = random_network([490, 256, 256, 12], 8, 0, signed=False)
    for index, weights in enumerate(largest):
        network = with_layer(network, index, weights=weights)
    assert max(layer.accumulator_bits for layer in planning.plan(network, last_thresholds=True).layers) <= 25


def test_refusals_name_a_hint_that_exists() -> None:
    network = random_network([6, 8, 5], 4, 0)
    huge = with_layer(network, 1, weights=network.layers[1].weights * (1 << 18))
    with pytest.raises(QapError, match=r"layer fc2: accumulators reach .* float32, exact to 24 bits") as caught:
        planning.plan(huge, last_thresholds=True)
    assert "fewer weight or activation bits" in caught.value.hint
    for name in re.findall(r"--backend (\w+)", caught.value.hint):
        assert name in BACKENDS
    with pytest.raises(QapError, match="the input has 16 bits") as caught:
        planning.plan(random_network([6, 8, 5], 4, 0, input_bits=16), last_thresholds=True)
    assert "--until model" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "bits"), [("pynq-z2", 6), ("ultra96-v2", 2), ("ultra96-v2", 6), ("zcu104", 3), ("zcu104", 8)]
)
def test_dsp_estimate_is_what_yosys_counts(board: str, bits: int, tmp_path: Path) -> None:
    """On DSP48E1 and DSP48E2, whose multiplier takes two bits more; the RTL is exact on both."""
    from qap2fpga.synth import yosys
    from qap2fpga.verify.rtl import Rtl

    network = random_network([8, 7, 12, 4], bits, 0.5, seed=bits)
    target = boards.load(board)
    folding = {"MVAU_rtl_0": {"SIMD": 4, "PE": 4, "MH": 8}, "MVAU_rtl_1": {"SIMD": 2, "PE": 6},
               "MVAU_rtl_2": {"SIMD": 6, "PE": 4}}  # fmt: skip
    vectors = random_vectors(network, 50)
    design = FinnBackend().generate(network, target, tmp_path, FinnOptions(folding=folding), vectors)
    runs = Rtl(design, tmp_path / "simulation").simulate(vectors, expected_output(network, vectors, "logits"))
    assert all(run.mismatches == 0 for run in runs)
    assert {run.latency_cycles for run in runs} - {None} == {design.latency_cycles}
    measured = yosys.measurement(yosys.map_design(design, target, tmp_path / "synthesis", threads=1))
    assert measured.total.dsp == design.estimate["dsp"]
    parts = {f"u_{node.name}": node.estimate["dsp"] for node in design.nodes if isinstance(node, MvauNode)}
    assert {name: measured.parts[name].dsp for name in parts} == parts


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([("sums", np.zeros((2, 9)))], r"FINN step 'widths': layer fc1 has shape \(2, 9\)"),
        ([("sums", np.zeros((2, 1))), ("activations", np.zeros((2, 1)))], "FINN step 'widths' left 1 of 2 layers"),
    ],
)
def test_a_step_that_takes_a_layer_out_is_named(
    results: list[tuple[str, np.ndarray]], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [dense(name, np.ones((1, 1), np.int64), Step(np.full((1, 1), 5)), 2, 2) for name in ("fc1", "fc2")]
    network = chain(tuple(layers), InputQuantizer(0, 3, (1.0,)), Fraction(1))
    reference = check.Reference(network, np.zeros((2, 1), np.int64), (1, 1))
    monkeypatch.setattr(check, "execute", lambda model, inputs: results)
    with pytest.raises(CheckFailed, match=message):
        reference.compare("widths", None)


def test_a_graph_whose_last_node_is_not_its_output_is_refused() -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("x", "y", "z")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Identity", ["x"], ["z"])]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1], [2.0])
    graph = helper.make_graph(nodes, "finn", value[:1], value[1:2], [weight], value_info=value[2:])
    model = ModelWrapper(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    with pytest.raises(CheckFailed, match="the last node of FINN's graph is not its output"):
        check.execute(model, np.array([[3]]))
    del model.graph.node[1]
    ((kind, sums),) = check.execute(model, np.array([[3]]))
    assert (kind, sums.tolist()) == ("sums", [[6.0]])
