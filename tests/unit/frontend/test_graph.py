# SPDX-License-Identifier: Apache-2.0
"""Graphs with kernels and branches, from the file to integers, compared with qonnx's own execution."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.frontend import export, onnxfile, ties
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.frontend.trial import Trial
from qap2fpga.frontend.values import RawGraph, RawStep
from qap2fpga.ir.channelwise import Max, Repeat
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import CheckFailed, ConstantNetwork, QapError
from tests.support.drawn import drawn
from tests.support.onnx_graphs import prepared
from tests.support.qonnx_builder import CHANNELS_LAST, QONNX, Builder
from tests.support.rational import execute, fractions


def residual() -> Any:
    """Two convolutions with a skip around the second, a pool and a dense layer."""
    random = np.random.default_rng(0)
    one = Builder((1, 3, 6, 5))

    def weights(*size: int) -> str:
        return one.weights(random.integers(-7, 8, size) / 4, 0.25)

    start = one.quant("x", 0.25)
    first = one.add("Conv", start, weights(4, 3, 3, 3), one.constant(random.normal(size=4)), pads=[1, 1, 1, 1])
    normal = [random.normal(size=4) for _ in range(3)]
    first = one.add("Relu", one.batch_norm(first, *normal, random.uniform(0.5, 3, 4)))
    skip = one.quant(first, 0.2, signed=False)
    second = one.quant(one.add("Conv", skip, weights(4, 4, 3, 3), pads=[1, 1, 1, 1]), 1.613)
    total = one.quant(one.add("Add", second, skip), 0.3)
    pool = one.add("Flatten", one.add("MaxPool", total, kernel_shape=[2, 2], strides=[2, 2]))
    return one.model(one.add("MatMul", pool, weights(24, 3)))


def test_a_residual_network_is_exact(tmp_path: Path) -> None:
    result = prepared(residual(), tmp_path)
    kinds = [type(node) for node in result.lowered.nodes]
    assert (kinds.count(Linear), kinds.count(Sum), kinds.count(Max)) == (3, 1, 1)
    qonnx = result.simulations[-1]
    assert (qonnx.engine, qonnx.mismatches) == ("qonnx", 0)
    assert qonnx.vectors > 1000
    layers = result.facts.network.record()["layers"]
    assert isinstance(layers, list)
    assert [one.get("kernel") for one in layers] == [(3, 3), (3, 3), None]
    assert [one.get("pads") for one in layers] == [(1, 1, 1, 1), (1, 1, 1, 1), None]
    assert [one["kind"] for one in layers] == ["conv", "conv", "dense"]
    record = result.facts.network.record()
    assert record["frame"] == {
        "height": 6, "width": 5, "channels": 3, "model": [3, 6, 5], "parts": [3, 6, 5], "moves": [1, 2, 0],
    }  # fmt: skip
    nodes = record["nodes"]
    assert isinstance(nodes, list)
    assert [node["name"] for node in nodes] == [node.name for node in result.lowered.nodes]


def channels_last() -> Any:
    """Convolution and pool of qonnx's domain for channels last, then curves, a global pool and a truncation."""
    random = np.random.default_rng(1)
    one = Builder((1, 5, 6, 2))
    start = one.quant("x", 0.3)
    weights = one.weights(random.integers(-7, 8, (3, 3, 3, 2)) / 4, 0.25)
    options = {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 1], "domain": CHANNELS_LAST}
    sums = one.add("Conv", start, weights, **options)
    normal = [random.normal(size=3) for _ in range(3)]
    sums = one.batch_norm(sums, *normal, random.uniform(0.5, 3, 3), domain=CHANNELS_LAST)
    leaky = one.quant(one.add("LeakyRelu", sums, alpha=0.1), 0.21)
    pool = one.add("MaxPool", leaky, kernel_shape=[2, 2], domain=CHANNELS_LAST)
    smooth = one.quant(one.add("Tanh", pool), 0.07, 4)
    hard = one.quant(one.add("HardSigmoid", smooth, alpha=0.3, beta=0.4), 2.0**-6, 6, signed=False)
    first = one.add("Transpose", hard, perm=[0, 3, 1, 2])
    mean = one.add("Mul", one.add("GlobalAveragePool", first), one.constant(10))
    parts = [one.constant(value) for value in (2.0**-6, 0, 9, 6)]
    short = one.add("Trunc", mean, *parts, domain=QONNX, rounding_mode="FLOOR")
    return one.model(one.add("Gemm", one.add("Flatten", short), one.weights(random.integers(-7, 8, (3, 2)) / 4, 0.25)))


def test_channels_last_curves_and_a_truncation_are_exact(tmp_path: Path) -> None:
    result = prepared(channels_last(), tmp_path)
    assert str(result.lowered.source.size) == "5x6x2"
    assert [one.mismatches for one in result.simulations] == [0, 0]
    assert result.simulations[-1].rounding_ties is not None
    assert result.simulations[-1].rounding_ties < 50
    steps = [one for one in result.lowered.nodes if isinstance(one, Requantizer) and one.bits]
    assert [one.bits for one in steps] == [4, 4, 6, 6]


def test_a_wrong_value_in_a_position_is_named(tmp_path: Path) -> None:
    """The comparison of a frame's values says in which row and column they differ."""
    (tmp_path / "net.onnx").write_bytes(residual().SerializeToString())
    model = onnxfile.load(tmp_path / "net.onnx")
    graph = read(model)
    network = lower(graph)
    rows = np.random.default_rng(0).normal(size=(4, 90)).astype(np.float32)
    values = export.execute(model, graph.input_axes.rows(rows))
    raw = graph.nodes["quant10"]
    assert isinstance(raw, RawStep)
    trial = Trial(rows, (("recorded", 4),))
    assert ties.compare(network, graph, ties.Execution("qonnx", trial, values)).ties < 9
    values[raw.tensor] = values[raw.tensor].copy()
    values[raw.tensor][2, 3, 4, 1] += float(raw.units[0])
    with pytest.raises(CheckFailed, match="in layer quant10, channel 3, row 4, column 1, recorded vector 2: "):
        ties.compare(network, graph, ties.Execution("qonnx", trial, values))


# ---- drawn graphs beside rational arithmetic

DRAWN = 200
# A root of a variance has 1024 bits in the program, 400 digits in the reference; sums of them may differ by this.
CLOSE = Fraction(1, 2**800)


TOO_WIDE = "integers of [0-9]+ bits are too wide"


def walked(model: onnx.ModelProto) -> tuple[RawGraph, Graph]:
    """What is read of a graph, and lowered."""
    graph = read(ModelWrapper(model).transform(InferShapes()))
    return graph, verify(lower(graph), "lowering")


def assert_exact(graph: RawGraph, network: Graph, model: onnx.ModelProto, rows: np.ndarray) -> int:
    """Every activation and the sums at the end have the value that rational arithmetic gives them."""
    exact = execute(model, fractions(rows))
    results = network.trace(network.input.quantize(graph.input_axes.frames(rows)))
    compared = 0
    for raw in graph.nodes.values():
        if isinstance(raw, RawStep) and raw.name in results:
            signal = raw.entering
            units = np.tile(np.array(raw.units, object), signal.shape.positions)
            assert (results[raw.name] * units == signal.axes.frames(exact[raw.tensor])).all(), raw.name
            compared += results[raw.name].size
    end = graph.output
    if not end.quantized:
        (source,) = network[network.output].sources
        values = end.axes.frames(exact[end.tensor])
        for row, wanted in zip(results[source].tolist(), values, strict=True):
            found = [end.affine.value(place % end.affine.channels, value) for place, value in enumerate(row)]
            assert all(abs(one - other) <= CLOSE for one, other in zip(found, wanted, strict=True))
    return compared


@pytest.mark.parametrize("seed", range(DRAWN))
def test_a_drawn_graph_equals_rational_arithmetic(seed: int) -> None:
    """Each quantized tensor, exactly, and compaction changes no output."""
    model, rows = drawn(seed)
    try:
        graph, network = walked(model)
    except QapError as error:  # scales that are drawn at random may have no common step of 64 bits
        assert re.search(TOO_WIDE, str(error))
        return
    assert assert_exact(graph, network, model, rows) > 0
    vectors = random_vectors(network, 20, seed)
    try:
        compacted = compact(network, vectors)
    except ConstantNetwork:
        return
    assert (compacted.run(vectors) == network.run(vectors)).all()


# ---- what cannot be read, by the node's name


def around(*tensors: Any, shape: tuple[int, ...] = (1, 4, 4, 4)) -> Any:
    """A graph of what `tensors` (functions of the builder and a tensor) make of the quantized input, one by one."""
    one = Builder(shape)
    tensor = one.quant("x", 0.25)
    for make in tensors:
        tensor = make(one, tensor)
    return one.model(tensor)


def node(operator: str, *constants: Any, **attributes: Any) -> Any:
    """A node `bad` with constants; those of whole numbers are int64."""

    def make(one: Builder, tensor: str) -> str:
        names = ["" if value is None else one.constant(value, _kind(value)) for value in constants]
        result = one.add(operator, tensor, *names, **attributes)
        one.nodes[-1].name = "bad"
        return result

    return make


def _kind(value: Any) -> type:
    whole = isinstance(value, list) and all(isinstance(one, int) for one in value)
    return np.int64 if whole else np.float32


def conv(*size: int, scale: Any = 0.25, **attributes: Any) -> Any:
    """A convolution `bad` with weights of one."""

    def make(one: Builder, tensor: str) -> str:
        result = one.add("Conv", tensor, one.quant(one.constant(np.full(size, 0.25)), scale, 3), **attributes)
        one.nodes[-1].name = "bad"
        return result

    return make


def quant(scale: Any = 0.5, **options: Any) -> Any:
    return lambda one, tensor: one.quant(tensor, scale, **options)


def twice(operator: str, change: Any, **attributes: Any) -> Any:
    """A node `bad` of a tensor and of what `change` makes of it."""

    def make(one: Builder, tensor: str) -> str:
        result = one.add(operator, tensor, change(one, tensor), **attributes)
        one.nodes[-1].name = "bad"
        return result

    return make


ONES = [1, 1, 1, 1]
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
REFUSED: dict[str, tuple[Any, str]] = {
    "a kernel that does not fit": (around(conv(2, 4, 5, 5)), "its kernel of 5x5 does not fit"),
    "pads as large as the kernel": (around(conv(2, 4, 3, 3, pads=[3, 0, 0, 0])), "its pad at the top or bottom"),
    "a negative pad": (around(conv(2, 4, 3, 3, pads=[-1, 0, 0, 0])), "none may be negative"),
    "a stride of 0": (around(conv(2, 4, 3, 3, strides=[0, 1])), "none may be below 1"),
    "groups that do not divide": (around(conv(4, 1, 3, 3, group=3)), "3 groups for 4 channels|does not fit together"),
    "a mean of channels": (around(node("ReduceMean", axes=[1])), "means over rows, columns or both"),
    "a mean of everything": (around(node("ReduceMean")), "its axes are None"),
    "a mean of frames": (around(node("ReduceMean", axes=[0, 2])), "means over rows, columns or both"),
    "other channels": (around(conv(2, 3, 3, 3)), "weights of shape|does not fit together"),
    "no outputs": (around(conv(0, 4, 3, 3)), r"its weights have shape \(0, 4, 3, 3\): there are none"),
    "three dimensions": (around(conv(2, 4, 1, 1, 1), shape=(1, 4, 2, 2, 2)), "1 and 2 are supported"),
    "an unknown auto_pad": (around(conv(2, 4, 3, 3, auto_pad="ODD")), "auto_pad is ODD|does not fit together"),
    "a scale per input": (
        around(conv(2, 4, 3, 3, scale=np.array([1, 3, 1, 1]).reshape(1, 4, 1, 1) / 4)), "varies over the inputs",
    ),
    "a Relu of sums before it": (around(conv(4, 4, 1, 1), node("Relu"), conv(2, 4, 3, 3)), "Relu or Clip of sums"),
    "a bound that is no level": (around(node("Clip", -0.1, 0.3), conv(2, 4, 3, 3)), "take 2. bits as integers"),
    "a slope that is no fraction": (around(node("LeakyRelu", alpha=0.1), conv(2, 4, 3, 3)), "bits as integers"),
    "a curve before it": (around(node("Sigmoid"), conv(2, 4, 3, 3)), "a curve stands between the quantizer"),
    "no integer for 0": (around(node("Add", 0.1), conv(2, 4, 3, 3, pads=ONES)), "no integer of its input stands for 0"),
    "channels in another place": (
        around(conv(4, 4, 1, 1), quant(), node("Transpose", perm=[0, 2, 1, 3]), conv(2, 4, 1, 1)),
        "does not hold channels, rows and columns",
    ),
    "windows out of the frame": (around(node("MaxPool", kernel_shape=[2, 2], ceil_mode=1)), "ceil_mode is 1"),
    "another divisor at borders": (
        around(node("AveragePool", kernel_shape=[3, 3], pads=ONES, count_include_pad=0)), "leaves its pads out",
    ),
    "a mean of what bends": (around(node("Tanh"), node("AveragePool", kernel_shape=[2, 2])), "a curve stands"),
    "zeros before something else": (
        around(node("Pad", [0, 0, 1, 1, 0, 0, 1, 1]), node("Relu")), "zeros were padded before it",
    ),
    "pads of channels": (around(node("Pad", [0, 1, 0, 0, 0, 0, 0, 0])), "pads something else than rows"),
    "pads of some axes": (around(node("Pad", [1, 1, 1, 1], 0.0, [2, 3])), "4 inputs, at most 3 are known"),
    "negative pads": (around(node("Pad", [0, 0, -1, 0, 0, 0, 0, 0])), "none negative"),
    "other pads than zeros": (around(node("Pad", [0, 0, 1, 1, 0, 0, 1, 1], 1.5)), "another value than 0"),
    "mirrored pads": (around(node("Pad", [0, 0, 1, 1, 0, 0, 1, 1], mode="reflect")), "constant is supported"),
    "pads twice": (
        around(node("Pad", [0, 0, 1, 1, 0, 0, 1, 1]), node("MaxPool", kernel_shape=[3, 3], pads=ONES)), "it pads too",
    ),
    "between neighbours": (around(node("Resize", None, [1.0, 1, 2, 2], mode="linear")), "nearest is supported"),
    "half as large": (around(node("Resize", None, [1.0, 1, 0.5, 0.5], **NEAREST)), "not a whole number of times"),
    "larger channels": (around(node("Resize", None, [1.0, 2, 1, 1], **NEAREST)), "something else than rows"),
    "more rows": (around(node("Resize", None, [2.0, 1, 1, 1], **NEAREST)), "it makes 2 rows of 1"),
    "aligned corners": (
        around(node("Resize", None, [1.0, 1, 2, 2], mode="nearest", coordinate_transformation_mode="align_corners")),
        "align_corners",
    ),
    "the next one": (
        around(node("Resize", None, [1.0, 1, 2, 2], **(NEAREST | {"nearest_mode": "ceil"}))), "does not repeat each",
    ),
    "a slope that falls": (around(node("LeakyRelu", alpha=-0.5), quant()), "does not rise"),
    "a slope of 0 in one channel": (
        around(node("PRelu", np.array([0, 1, 1, 1]).reshape(4, 1, 1) / 2), quant()), "does not rise",
    ),
    "branches of other extents": (around(twice("Add", conv(4, 4, 1, 1, strides=[2, 2]))), "joins branches of|not fit"),
    "branches of other rows": (around(twice("Add", node("MaxPool", kernel_shape=[4, 1]))), "it joins branches of"),
    "a branch that bends": (around(twice("Add", node("Tanh"))), "a curve stands"),
    "rows side by side": (around(twice("Concat", conv(4, 4, 1, 1), axis=2)), "only channels can be joined"),
    "frames one after the other": (around(twice("Concat", conv(4, 4, 1, 1), axis=0)), "joins rows instead of channels"),
    "a constant beside channels": (around(node("Concat", np.ones((1, 2, 4, 4)), axis=1)), "it joins a constant with"),
    "a value per position": (
        around(node("Add", np.arange(16).reshape(1, 1, 4, 4) / 7), conv(2, 4, 1, 1)), "other values at other positions",
    ),
    "another quantizer of the input": (
        around(lambda one, tensor: one.add("Add", tensor, one.quant("x", 0.3))), "another quantizer already",
    ),
    "a quantizer of one level": (
        around(lambda one, tensor: one.quant(tensor, 0.5, 1, signed=False, narrow=True)), "it has one level: 0",
    ),
    "a bounded input of one level": (
        (lambda one: one.model(one.quant(one.add("Relu", "x"), 0.5, 1, signed=False, narrow=True)))(Builder((1, 4))),
        "it has one level: 0",
    ),
    "a trunc of floats": (around(node("Trunc", 0.25, 0.5, 8.0, 4.0, domain=QONNX)), "zero point must be"),
    "a trunc with a zero point": (around(node("Trunc", 0.25, 1.0, 8.0, 4.0, domain=QONNX)), "zero point must be 0"),
    "a trunc that widens": (around(node("Trunc", 0.25, 0.0, 4.0, 8.0, domain=QONNX)), "widens its input by 4 bits"),
    "a trunc of no scale": (around(node("Trunc", 0.0, 0.0, 8.0, 4.0, domain=QONNX)), "scale must be above 0"),
    "a trunc of no bits": (around(node("Trunc", 0.25, 0.0, 8.0, 0.0, domain=QONNX)), "a bit width of 0"),
    "a trunc to a finer scale": (
        around(node("Trunc", 0.25, 0.0, 8.0, 0.125, 4.0, domain=QONNX)), "second scale is below the first",
    ),
    "a trunc to two scales": (
        around(node("Trunc", 0.25, 0.0, 8.0, np.array([0.5, 1]), 4.0, domain=QONNX)), "one number each",
    ),
    "another trunc": (
        around(node("Trunc", 0.25, 0.0, 8.0, 4.0, domain=QONNX, rounding_mode="ODD")), "rounding mode ODD",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(name: str, tmp_path: Path) -> None:
    model, reason = REFUSED[name]
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(QapError) as caught:
        read(onnxfile.load(tmp_path / "net.onnx"))
    assert re.search(r"node \S+ \(\w+\) cannot|does not fit together", str(caught.value))
    assert re.search(reason, str(caught.value)), caught.value


# ---- what stands between a quantizer and the next kernel


def behind(*between: Any) -> Any:
    """Signed levels, what stands `between` them and a padded convolution, and a dense end."""
    random = np.random.default_rng(3)

    def kernel(one: Builder, tensor: str) -> str:
        weights = one.weights(random.integers(-7, 8, (3, 4, 3, 3)) / 4, 0.25)
        return one.quant(one.add("Conv", tensor, weights, pads=ONES), 0.7)

    def end(one: Builder, tensor: str) -> str:
        flat = one.add("Flatten", tensor)
        return one.add("MatMul", flat, one.weights(random.integers(-7, 8, (48, 3)) / 4, 0.25))

    return around(*between, kernel, end)


SMOOTH: dict[str, Any] = {"kernel_shape": [3, 3], "pads": ONES, "count_include_pad": 1}
PER_CHANNEL = np.array([-0.5, 1.0, 0.0, 2.0]).reshape(4, 1, 1)
BETWEEN: dict[str, tuple[Any, ...]] = {
    "Relu": (node("Relu"),),
    "Clip between levels": (node("Clip", -0.375, 1.0),),
    "a padded pool of levels that fall in some channels": (
        quant(0.25, signed=True), node("Mul", PER_CHANNEL), node("MaxPool", kernel_shape=[3, 3], pads=ONES),
    ),
    "a padded pool of sums": (
        quant(0.3), conv(4, 4, 1, 1), node("Mul", PER_CHANNEL), node("MaxPool", kernel_shape=[3, 3], pads=ONES),
        quant(0.5),
    ),
    "a bound below 0": (node("Clip", -1.0, 0.5), node("Relu")),
    "Relu after a falling line": (node("Mul", -2.0), node("Relu")),
    "LeakyRelu of a power of two": (node("LeakyRelu", alpha=0.25),),
    "LeakyRelu, then a shift and a bound": (node("LeakyRelu", alpha=0.5), node("Add", 0.25), node("Clip", -0.125, 1.0)),
    "a factor per channel": (node("Mul", PER_CHANNEL),),
    "a factor per channel and a Relu": (node("Mul", PER_CHANNEL), node("Relu")),
    "Relu, then a pool": (node("Relu"), node("MaxPool", kernel_shape=[3, 3], pads=ONES)),
    "Relu of two branches": (twice("Add", node("Relu")), quant(0.5)),
    "Relu beside itself": (twice("Concat", node("Relu"), axis=1), conv(4, 8, 1, 1), quant(0.5)),
    "Relu before a mean": (node("Relu"), node("AveragePool", **SMOOTH), quant(0.25)),
    "zeros around a Relu": (node("Relu"), node("Pad", [0, 0, 1, 1, 0, 0, 1, 1]), conv(4, 4, 3, 3), quant(0.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", BETWEEN)
def test_what_bends_levels_before_a_kernel_is_exact(name: str) -> None:
    model = behind(*BETWEEN[name])
    graph, network = walked(model)
    rows = np.random.default_rng(4).normal(0, 1.5, (6, 4, 4, 4)).astype(np.float32)
    assert assert_exact(graph, network, model, rows) > 0
    vectors = random_vectors(network, 20, 1)
    assert (compact(network, vectors).run(vectors) == network.run(vectors)).all()


def grouped(groups: int = 2, **attributes: Any) -> Any:
    """A convolution of 4 channels in groups, padded, and a dense end."""
    random = np.random.default_rng(6)

    def make(one: Builder, tensor: str) -> str:
        weights = one.weights(random.integers(-7, 8, (6, 4 // groups, 3, 3)) / 4, 0.25)
        bias = one.constant(random.normal(size=6))
        return one.add("Conv", tensor, weights, bias, group=groups, pads=ONES, **attributes)

    def end(one: Builder, tensor: str) -> str:
        flat = one.add("Flatten", one.quant(tensor, 0.5))
        return one.add("MatMul", flat, one.weights(random.integers(-7, 8, (96, 3)) / 4, 0.25))

    return around(make, end)


def test_groups_of_channels_are_exact_and_only_real_products_count(tmp_path: Path) -> None:
    model = grouped()
    graph, network = walked(model)
    rows = np.random.default_rng(4).normal(0, 1.5, (6, 4, 4, 4)).astype(np.float32)
    assert assert_exact(graph, network, model, rows) > 0
    layer = prepared(model, tmp_path).facts.network.layers[0]
    assert (layer.kind, layer.inputs, layer.outputs, layer.weights) == ("conv", 18, 6, 108)
    (raw, _) = graph.layers
    assert layer.zeros == 108 - np.count_nonzero(raw.weights)
    assert layer.bops.paper == pytest.approx(
        16 * 6 * 18 * ((108 - layer.zeros) / 108 * 4 * 4 + 4 + 4 + np.log2(18)), rel=1e-12
    )
    assert raw.stored_density == pytest.approx((108 - layer.zeros + 6) / 114)


MEANS: dict[str, tuple[int, dict[str, Any], list[Any]]] = {
    "an attribute": (13, {"axes": [2, 3], "keepdims": 1}, []),
    "from the end, without the dimensions": (13, {"axes": [-1, -2], "keepdims": 0}, []),
    "columns alone": (13, {"axes": [3]}, []),
    "rows alone, without their dimension": (13, {"axes": [2], "keepdims": 0}, []),
    "an input": (18, {"keepdims": 0}, [[2, 3]]),
}


@pytest.mark.parametrize("name", MEANS)
def test_means_over_axes_are_exact(name: str, tmp_path: Path) -> None:
    opset, options, constants = MEANS[name]
    one = Builder((1, 4, 4, 3), opset)
    start = one.quant(one.add("Conv", one.quant("x", 0.25), one.weights(np.eye(4).reshape(4, 4, 1, 1))), 0.5)
    mean = one.add("ReduceMean", start, *(one.constant(value, np.int64) for value in constants), **options)
    flat = one.add("Flatten", one.quant(mean, 0.25))
    size = 4 if len(options.get("axes", [2, 3])) == 2 else 12 if options["axes"] == [2] else 16
    model = one.model(one.add("MatMul", flat, one.weights(np.arange(size * 2).reshape(size, 2) % 5 / 2)))
    graph, network = walked(model)
    rows = np.random.default_rng(4).normal(0, 1.5, (5, 4, 4, 3)).astype(np.float32)
    assert assert_exact(graph, network, model, rows) > 0
    assert [one.mismatches for one in prepared(model, tmp_path).simulations] == [0, 0]


@pytest.mark.parametrize("opset", [7, 9, 11])
def test_an_upsample_of_old_opsets_repeats(opset: int, tmp_path: Path) -> None:
    one = Builder((1, 2, 3, 3), opset)
    start = one.quant("x", 0.25)
    scales = [1.0, 1.0, 2.0, 3.0]
    if opset == 7:
        large = one.add("Upsample", start, mode="nearest", scales=scales)
    elif opset == 9:
        large = one.add("Upsample", start, one.constant(scales), mode="nearest")
    else:
        large = one.add("Resize", start, one.constant(np.zeros(0)), one.constant(scales), **NEAREST)
    sums = one.add("Conv", large, one.weights(np.arange(18).reshape(1, 2, 3, 3) % 5 / 4, 0.25))
    flat = one.add("Reshape", one.quant(sums, 0.5), one.constant([1, 28], np.int64))
    result = prepared(one.model(one.add("MatMul", flat, one.weights(np.ones((28, 2))))), tmp_path)
    assert [(node.rows, node.columns) for node in result.lowered.nodes if isinstance(node, Repeat)] == [(2, 3)]
    assert [one.mismatches for one in result.simulations] == [0, 0]


def test_an_upsample_of_an_opset_without_it_is_named(tmp_path: Path) -> None:
    one = Builder((1, 2, 3, 3), 13)
    model = one.model(one.add("Upsample", one.quant("x", 0.25), one.constant([1.0, 1.0, 2.0, 2.0])))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(QapError, match=r"node upsample\d+ \(Upsample\) cannot be lowered") as caught:
        onnxfile.load(tmp_path / "net.onnx")
    assert "opset 13 does not have it any more" in caught.value.hint


def test_bent_levels_agree_with_qonnx(tmp_path: Path) -> None:
    result = prepared(behind(*BETWEEN["Relu after a falling line"]), tmp_path)
    assert [one.mismatches for one in result.simulations] == [0, 0]
    assert {one.kind for one in result.network.nodes} >= {"requantizer", "linear"}


def test_a_relu_that_changes_no_level_is_no_hardware() -> None:
    model = behind(quant(0.25, signed=False), node("Relu"))
    assert [one.kind for one in walked(model)[1].nodes] == [
        one.kind for one in walked(behind(quant(0.25, signed=False)))[1].nodes
    ]


def test_levels_that_channels_shift_end_the_network_in_one_scale(tmp_path: Path) -> None:
    """What follows the last quantizer is exact, also where it is another line in every channel."""
    shift = np.array([0.5, -0.25, 1.0, 0.0]).reshape(4, 1, 1)
    end = (conv(4, 4, 4, 4), quant(0.5), node("Add", shift), node("Mul", PER_CHANNEL))
    result = prepared(around(*end), tmp_path)
    rows = np.random.default_rng(5).normal(0, 1.5, (9, 64)).astype(np.float32)
    exact = execute(around(*end), fractions(rows.reshape(9, 4, 4, 4)))
    lowered = result.lowered
    values = lowered.run(lowered.input.quantize(walked(around(*end))[0].input_axes.frames(rows.reshape(9, 4, 4, 4))))
    wanted = next(reversed(exact.values())).reshape(9, 4)
    assert (values * lowered.output_scale == wanted).all()
