# SPDX-License-Identifier: Apache-2.0
"""Float executions against the integer network: what is planted between, in and after layers is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.frontend import export, floats, ties
from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import fit_logits, lower
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.frontend.torch_run import Torch
from qap2fpga.frontend.trial import Trial, real_inputs, trial
from qap2fpga.frontend.values import RawGraph, RawNode, RawStep, Signal, Stored
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import INPUT, Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.system.errors import CheckFailed, QapError
from tests.support.networks import qonnx_graph, random_model


@dataclass(frozen=True)
class Subject:
    """A graph, the integer network that it is, and what both are tried on."""

    qonnx: Any
    graph: RawGraph
    network: Graph
    trial: Trial

    def compared(self, change: Callable[[Any], None] = lambda model: None, **options: Any) -> Simulation:
        """What comes of comparing with a graph that `change` was done to."""
        changed = export.copy(self.qonnx)
        change(changed)
        trial = options.pop("trial", self.trial)
        return floats.compare(
            self.graph, self.network, changed, None, trial, lambda _: None, Torch(), **options
        ).simulations[0]

    def executed(self) -> ties.Execution:
        (run,) = floats._qonnx(self.graph, self.qonnx, self.trial)
        return run


def subject(model: Model, insert: Callable[[Any], None] = lambda model: None) -> Subject:
    """`model` as a graph, to which `insert` adds what a model file cannot say."""
    qonnx = qonnx_graph(model)
    insert(qonnx)
    graph = read(qonnx)
    network = lower(graph)
    assert model.example is not None
    random, corner = random_vectors(network, 300, 1), extremes(network)
    vectors = np.concatenate([network.input.quantize(model.example), random, corner])
    network = fit_logits(network, graph, vectors)
    return Subject(qonnx, graph, network, trial(network.input, model.example, (("random", random), ("corner", corner))))


def after(tensor: str, operation: str, *constants: Any) -> Callable[[Any], None]:
    """Insert a node after a tensor, of which all that read it, or the graph's output, get the result."""

    def insert(model: Any) -> None:
        old = f"{tensor}_before"
        names = []
        for index, value in enumerate(constants):
            names.append(f"{operation}.{index}")
            model.set_initializer(names[-1], np.asarray(value, np.float32))
        place = next(index for index, node in enumerate(model.graph.node) if tensor in node.output)
        producer = model.graph.node[place]
        producer.output[list(producer.output).index(tensor)] = old
        shape = model.get_tensor_shape(tensor)
        model.graph.node.insert(place + 1, helper.make_node(operation, [old, *names], [tensor], operation))
        model.set_tensor_shape(old, shape)

    return insert


def constant(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Any], None]:
    """Computes a constant of a graph anew from its old value."""

    def put(model: Any) -> None:
        model.set_initializer(name, np.asarray(change(model.get_initializer(name)), np.float32))

    return put


def added(index: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: values + value * (np.arange(values.size) == index)


MODEL = random_model(13, widths=(6, 9, 8, 4), bits=6, sparsity=0.5, rows=400)
CHAIN = subject(MODEL)
OFFSETS = np.linspace(-1, 2, 9)


def test_a_right_graph_agrees_and_the_line_says_on_what() -> None:
    done = CHAIN.compared()
    corners = len(extremes(CHAIN.network))
    assert done.vectors == 256 + 300 + corners
    assert done.rounding_ties is not None
    assert done.rounding_ties < 20
    assert f"256 recorded, 300 random and {corners} corner vectors" in done.compared
    whole = int(done.compared.split("; ")[1].split()[0])
    assert done.vectors - done.rounding_ties <= whole <= done.vectors


def test_torch_and_qonnx_are_compared_on_the_same_vectors() -> None:
    """torch runs more recorded vectors; their difference is of the rows that both ran."""
    qonnx = export.export(MODEL)
    graph = read(qonnx)
    done = floats.compare(graph, CHAIN.network, qonnx, MODEL, CHAIN.trial, lambda _: None, Torch())
    assert [(one.engine, one.vectors) for one in done.simulations] == [
        ("torch", len(CHAIN.trial)),
        ("qonnx", len(CHAIN.trial) - 400 + 256),
    ]
    difference = done.difference
    assert difference is not None
    assert (difference.rows, difference.same_class) == (done.simulations[1].vectors, 1)
    assert difference.largest_difference < 1e-4


@pytest.mark.parametrize("share", [0.3, 1.0, -4.0])
def test_a_wrong_value_between_a_quantizer_and_the_next_layer(share: float) -> None:
    """A value per channel there is right, and no alarm; another one in a channel is found, a whole step too."""
    one = subject(MODEL, after("act1", "Add", OFFSETS))
    assert one.compared().rounding_ties < 20
    step = float(one.graph.layers[1].entering[0].affine.slope[0])
    with pytest.raises(CheckFailed, match="what enters layer fc2, channel 2, recorded vector 0: "):
        one.compared(constant("Add.0", added(2, share * step)))


def test_a_wrong_scale_between_a_quantizer_and_the_next_layer() -> None:
    one = subject(MODEL, after("act1", "Mul", np.full(9, 3.0)))
    assert one.compared().rounding_ties < 20
    with pytest.raises(CheckFailed, match=r"what enters layer fc2, channel 7, recorded vector \d+: "):
        one.compared(constant("Mul.0", added(7, 0.01)))


def with_last_quantizer() -> Model:
    end = Op("act3", "quantize", quantizer=QuantSpec(6, True, False, np.asarray(0.25, np.float32)))
    return replace(MODEL, ops=(*MODEL.ops, end))


def test_a_wrong_scale_after_the_last_quantizer() -> None:
    one = subject(with_last_quantizer(), after("act3", "Mul", 3.0))
    assert one.network.output_scale == Fraction(3, 4)
    assert one.compared().rounding_ties < 20
    with pytest.raises(CheckFailed, match=r"in what leaves layer fc3, channel \d, recorded vector \d+: "):
        one.compared(constant("Mul.0", lambda value: value * 1.01))
    wrong = replace(one, network=replace(one.network, output_scale=Fraction(1, 4)))
    with pytest.raises(CheckFailed, match="in what leaves layer fc3"):
        wrong.compared()


def wide() -> Model:
    """Its first activation is far below its largest level on all vectors."""
    model = random_model(13, widths=(6, 9, 8, 4), bits=6, sparsity=0.5, rows=400, batch_norm=False)
    ops = [
        replace(op, quantizer=replace(op.quantizer, bits=8)) if op.name == "act1" and op.quantizer else op
        for op in model.ops
    ]
    return replace(model, ops=tuple(ops))


def test_a_wrong_bound_that_only_corner_vectors_reach() -> None:
    one = subject(wide(), after("fc1", "Clip", -1e6, 1e6))
    context = export.execute(one.qonnx, one.trial.rows)["fc1_before"]
    usual = one.trial.groups[0][1] + one.trial.groups[1][1]
    reached = np.abs(context[:usual]).max()
    assert np.abs(context[usual:]).max() > 1.05 * reached
    bounds = {"Clip.0": lambda _: -1.01 * reached, "Clip.1": lambda _: 1.01 * reached}

    def narrower(model: Any) -> None:
        for name, change in bounds.items():
            constant(name, change)(model)

    seen = replace(one, trial=Trial(one.trial.rows[:usual], one.trial.groups[:2]))
    assert seen.compared(narrower).vectors == 256 + 300
    with pytest.raises(CheckFailed, match=r"in layer fc1, channel \d, corner vector \d+: "):
        one.compared(narrower)


def test_a_permuted_output() -> None:
    def swap(model: Any) -> None:
        for name in ("fc3.weight", "fc3.bias"):
            constant(name, lambda values: values[[0, 2, 1, 3]])(model)

    with pytest.raises(CheckFailed, match="in layer fc3, channel 1, recorded vector 0: "):
        CHAIN.compared(swap)
    run = CHAIN.executed()
    with pytest.raises(CheckFailed, match="in layer fc3, channel 1, recorded vector 0: "):
        agree(CHAIN, with_value(run, CHAIN.graph.output.tensor, lambda values: values[:, [0, 2, 1, 3]]))


def agree(one: Subject, run: ties.Execution, **options: Any) -> ties.Agreement:
    return ties.compare(one.network, one.graph, run, **options)


def with_value(run: ties.Execution, tensor: str, change: Callable[[np.ndarray], Any]) -> ties.Execution:
    """The execution in which a tensor was changed."""
    return replace(run, values={**run.values, tensor: np.asarray(change(run.values[tensor].copy()))})


def put(place: tuple[int, int], change: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """Change one value of a tensor."""

    def at(values: np.ndarray) -> np.ndarray:
        values[place] = change(values[place])
        return values

    return at


def test_a_permuted_output_after_a_last_quantizer() -> None:
    one = subject(with_last_quantizer())
    run = with_value(one.executed(), one.graph.output.tensor, lambda values: values[:, [0, 2, 1, 3]])
    with pytest.raises(CheckFailed, match="in layer fc3, channel"):
        agree(one, run)


def test_another_input_quantizer() -> None:
    for change in (lambda scale: scale * 1.02, lambda scale: scale * 2):
        with pytest.raises(CheckFailed, match=r"qonnx quantizes input \d of recorded vector \d+ to -?\d+, exactly"):
            CHAIN.compared(constant("input.scale", change))


def test_one_value_of_a_layer() -> None:
    raw = CHAIN.graph.nodes["fc2/requantize"]
    assert isinstance(raw, RawStep)
    step = float(raw.levels.scale[2])
    run = with_value(CHAIN.executed(), raw.tensor, put((400 + 17, 2), lambda value: value + step))
    with pytest.raises(CheckFailed, match=r"in layer fc2, channel 2, random vector 17: "):
        agree(CHAIN, run)


def test_outputs_of_the_network_from_end_to_end() -> None:
    """The float execution is right and every layer agrees, but the network's own last integers do not."""
    last = CHAIN.network.layers[-1]
    assert isinstance(last.activation, Logits)
    turned = replace(last.activation, offset=last.activation.offset[[1, 0, 2, 3]])
    wrong = CHAIN.network.with_layers((*CHAIN.network.layers[:-1], last.changed(activation=turned)))
    with pytest.raises(CheckFailed, match=r"from end to end layer fc3, channel [01], recorded vector 0: "):
        replace(CHAIN, network=wrong).compared()


def test_the_class_where_it_is_no_tie() -> None:
    """Logits so coarse that each is within a unit of the exact one, but the largest is another."""
    last = CHAIN.network.layers[-1]
    assert isinstance(last.activation, Logits)
    logits = last.activation
    coarse = replace(logits, shift=logits.shift + 8, fraction=logits.fraction - 8)
    network = replace(
        CHAIN.network.with_layers((*CHAIN.network.layers[:-1], last.changed(activation=coarse))),
        output_scale=CHAIN.network.output_scale * 256,
    )
    one = replace(CHAIN, network=network)
    with pytest.raises(CheckFailed, match=r"the class of recorded vector \d+ is \d in qonnx and \d in the integer"):
        one.compared()
    assert one.compared(classes=False).mismatches == 0


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_numbers_that_overflow(value: float) -> None:
    raw = CHAIN.graph.nodes["fc2/requantize"]
    assert isinstance(raw, RawStep)
    run = with_value(CHAIN.executed(), raw.tensor, put((300, 2), lambda _: value))
    with pytest.raises(QapError, match="layer fc2 leaves the range of floats on recorded vector 300") as caught:
        agree(CHAIN, run)
    assert not isinstance(caught.value, CheckFailed)


def test_scales_that_no_float_holds() -> None:
    huge = Fraction(10) ** 400
    end = CHAIN.graph.output
    graph = replace(CHAIN.graph, ends=[replace(end, affine=replace(end.affine, slope=(huge,) * 4))])
    with pytest.raises(QapError, match="layer fc3 leaves the range of floats"):
        ties.compare(CHAIN.network, graph, CHAIN.executed())


# ---- bounds, on one neuron by hand


ONE = Affine.scaled([Fraction(1)])


def neuron(intercept: Fraction, *, quantized: bool = True, step: int = 1) -> tuple[Graph, RawGraph]:
    """One input of scale `step`, one weight of 1, then `intercept`; its levels 0 to 7 are the rounded sum."""
    levels, weights = Levels(0, 7, (Fraction(1),)), np.ones((1, 1), np.int64)
    one, axes = Shape(1), Axes(((),))
    entering = Affine.scaled([Fraction(step)])
    first = Signal("q", INPUT, one, axes, entering, 4, quantized=True)
    sums = Signal("h", "fc", one, axes, Affine.scaled([Fraction(step)], [intercept]), 0, quantized=False)
    logits = Logits(np.array([1 << 20]), np.array([int(intercept * 2**20)]), 20, 0)
    layer = dense("fc", weights, Step(np.array([steps(intercept)])) if quantized else logits, 2, 4)
    network = chain((layer,), InputQuantizer(-8, 7, (float(step),)), Fraction(step))
    graph = RawGraph(one, axes, network.input, 4, first)
    graph.nodes = {"fc": RawNode(layer.linear, (first,), entering, Stored(1))}
    graph.ends = [sums]
    if quantized:
        graph.nodes["fc/requantize"] = RawStep("fc/requantize", sums, levels, 3, "y", levels.scale)
        graph.ends = [Signal("y", "fc/requantize", one, axes, ONE, 3, quantized=True)]
    return network, graph


def steps(intercept: Fraction) -> list[int]:
    """The smallest accumulators that reach levels 1 to 7 of a rounded sum; none is a tie."""
    return [next(n for n in range(-9, 20) if n + intercept > level - Fraction(1, 2)) for level in range(1, 8)]


def run_of(entered: float, left: float, row: float | None = None) -> ties.Execution:
    rows = np.array([[entered if row is None else row]], np.float32)
    values = {"q": np.array([[entered]]), "h": np.array([[left]]), "y": np.array([[left]])}
    return ties.Execution("torch", Trial(rows, (("recorded", 1),)), values)


def float32_bound(size: float, inputs: int = 1) -> float:
    """Higham's bound with the roundings of the sum and of the steps around it, written out."""
    roundings, unit = inputs + 12, 2.0**-24
    return roundings * unit / (1 - roundings * unit) * size


@pytest.mark.parametrize(("times", "tie"), [(0.5, True), (0.9, True), (1.2, False), (3, False), (100, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_tie_is_within_the_bound_of_a_sum_and_not_beyond(times: float, side: int, *, tie: bool) -> None:
    """4 + intercept lies `times` the bound beside 4.5, and the execution lands on the other side of it."""
    bound = float32_bound(4 + 0.5 + 4.5)
    intercept = Fraction(1, 2) + side * Fraction(times * bound)
    network, graph = neuron(intercept)
    exact, wrong = (4, 5) if side < 0 else (5, 4)
    assert network.run(np.array([[4]]))[0, 0] == exact
    right = ties.compare(network, graph, run_of(4, exact))
    assert (right.ties, right.whole) == (0, 1)
    if tie:
        agreement = ties.compare(network, graph, run_of(4, wrong))
        assert (agreement.ties, agreement.whole) == (1, 0)
    else:
        with pytest.raises(CheckFailed, match="in layer fc, channel 0, recorded vector 0: "):
            ties.compare(network, graph, run_of(4, wrong))


@pytest.mark.parametrize(("times", "right"), [(0.9, True), (1.2, False), (100, False)])
def test_an_output_is_within_the_bound_and_not_beyond(times: float, *, right: bool) -> None:
    network, graph = neuron(Fraction(1, 4), quantized=False)
    run = run_of(4, 4.25 + times * float32_bound(4 + 0.25 + 4.25))
    if right:
        assert ties.compare(network, graph, run).whole == 1
    else:
        with pytest.raises(CheckFailed, match="in layer fc, channel 0"):
            ties.compare(network, graph, run)


@pytest.mark.parametrize(("times", "tie"), [(0.9, True), (1.2, False), (3, False), (500, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_tie_of_the_input_is_within_eight_roundings_and_not_beyond(times: float, side: int, *, tie: bool) -> None:
    network, graph = neuron(Fraction(0), quantized=False, step=2**20)
    row = 2.0**20 * (4.5 + side * times * 8 * 2.0**-24 * 4.5)
    wrong = 2.0**20 * (4 if side > 0 else 5)
    assert network.input.quantize(np.array([[row]]))[0, 0] == (5 if side > 0 else 4)
    rows = np.array([[row]])
    run = replace(run_of(wrong, wrong), trial=Trial(rows, (("recorded", 1),)))
    if tie:
        agreement = ties.compare(network, graph, run)
        assert (agreement.ties, agreement.whole) == (1, 0)
    else:
        with pytest.raises(CheckFailed, match=r"quantizes input 0 of recorded vector 0 to \d+, exactly"):
            ties.compare(network, graph, run)


@pytest.mark.parametrize(("times", "right"), [(0.9, True), (1.2, False), (1000, False)])
def test_what_enters_a_layer_is_within_the_bound_and_not_beyond(times: float, *, right: bool) -> None:
    network, graph = neuron(Fraction(1, 4), quantized=False)
    unit = 2.0**-24
    entered = 4 + times * (4 * unit / (1 - 4 * unit)) * 4
    run = run_of(entered, 4.25, row=4.0)
    if right:
        assert ties.compare(network, graph, run).whole == 1
    else:
        with pytest.raises(CheckFailed, match="what enters layer fc, channel 0, recorded vector 0"):
            ties.compare(network, graph, run)


# ---- vectors


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"])
@pytest.mark.parametrize("zero_point", [0, 3, -2])
@pytest.mark.parametrize(("scale", "offset"), [(0.1, 0.0), (3.7e-5, 0.01), (2.0**20, 7.0)])
def test_real_inputs_quantize_to_the_integers_that_they_are_of(
    rounding: str, zero_point: int, scale: float, offset: float
) -> None:
    quantizer = InputQuantizer(
        -8 - zero_point, 7 - zero_point, (float(np.float32(scale)),), (offset,), zero_point, rounding
    )
    integers = np.arange(quantizer.low, quantizer.high + 1).reshape(-1, 1)
    reals = real_inputs(quantizer, integers)
    assert reals.dtype == np.float32
    assert (quantizer.quantize(reals) == integers).all()
    beside = 0.3 * np.float32(scale)
    for moved in (reals - beside, reals + beside):
        assert (quantizer.quantize(moved) == integers).all()


def test_signs_are_tried_with_signs() -> None:
    quantizer = InputQuantizer(-1, 1, (0.5,), rounding="SIGN")
    tried = trial(quantizer, np.zeros((0, 3)), (("random", np.array([[-1, 0, 1]])),))
    assert tried.rows.tolist() == [[-0.5, 0.5, 0.5]]


def test_integers_that_no_float32_quantizes_to_are_left_out() -> None:
    quantizer = InputQuantizer(0, 255, (1e-3,), (1e5,))
    integers = np.arange(256).reshape(-1, 1)
    tried = trial(quantizer, np.zeros((2, 1)), (("random", integers), ("corner", integers[:0])))
    count = tried.groups[1][1]
    assert 0 < count < 256
    assert tried.groups == (("recorded", 2), ("random", count), ("corner", 0))
    assert len(np.unique(quantizer.quantize(tried.rows[2:]))) == count
    endless = trial(InputQuantizer(0, 255, (1e38,)), np.zeros((0, 1)), (("random", integers),))
    assert len(endless) == 4


def test_names_of_vectors() -> None:
    tried = Trial(np.arange(9.0).reshape(9, 1), (("recorded", 4), ("random", 3), ("corner", 2)))
    assert [tried.name(index) for index in (0, 3, 4, 8)] == [
        "recorded vector 0", "recorded vector 3", "random vector 0", "corner vector 1",
    ]  # fmt: skip
    with pytest.raises(IndexError):
        tried.name(9)
    fewer = tried.first("recorded", 2)
    assert fewer.rows[:, 0].tolist() == [0, 1, 4, 5, 6, 7, 8]
    assert fewer.words == "2 recorded, 3 random and 2 corner vectors"
    assert Trial(tried.rows[4:7], (("recorded", 0), ("random", 3))).words == "3 random vectors"


# ---- what the report says of labels


def accuracy(folder: Path, **arrays: Any) -> tuple[float | None, str]:
    """The accuracy that a report claims of these arrays, and its remarks."""
    path = folder / "model.onnx"
    path.write_bytes(qonnx_graph(MODEL).model.SerializeToString())
    np.savez(folder / "data.npz", X=MODEL.example, **arrays)
    source = Source(path, Widths(), data=folder / "data.npz", compare=False)
    facts = prepare(source, lambda _: None).facts
    return facts.accuracy, " ".join(facts.notes)


def test_labels_count_the_same_flat_in_a_column_and_one_hot(tmp_path: Path) -> None:
    classes = np.random.default_rng(0).integers(0, 4, 400)
    flat, _ = accuracy(tmp_path, y=classes)
    assert flat is not None
    assert 0.05 < flat < 0.6
    for y in (
        classes[:, None],
        np.eye(4)[classes],
        classes.astype(np.float32)[:, None],
        0.9 * np.eye(4)[classes] + 0.025,
    ):
        assert accuracy(tmp_path, y=y)[0] == flat


def test_a_regression_has_no_accuracy(tmp_path: Path) -> None:
    targets = np.random.default_rng(0).normal(size=(400, 4))
    claimed, notes = accuracy(tmp_path, y=targets)
    assert claimed is None
    assert "the targets of a regression, of which no accuracy is claimed" in notes
