# SPDX-License-Identifier: Apache-2.0
"""The table of operators against the specifications, and every refusal of it on a graph of its own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.defs import OpSchema, get_all_schemas_with_history
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.bipolar_quant import BipolarQuant
from qonnx.custom_op.general.multithreshold import MultiThreshold
from qonnx.custom_op.general.quant import Quant
from qonnx.custom_op.general.trunc import Trunc_v2
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.frontend import onnxfile, operators
from qap2fpga.frontend.graph import HANDLERS, read
from qap2fpga.frontend.operators import CONVERTED, ENDS, NEWEST_OPSET, OF_QONNX, OPERATORS
from qap2fpga.frontend.survey import survey
from qap2fpga.system.errors import QapError

Types = OpSchema.AttrType
HISTORY = [
    one for one in get_all_schemas_with_history() if one.domain == "" and one.name in OPERATORS and not one.deprecated
]
# A value of each type that no operator takes where it takes only some.
PLAIN: dict[Any, Any] = {Types.INTS: [1], Types.INT: 1, Types.STRING: "UINT2", Types.FLOAT: 1.0, Types.FLOATS: [1.0]}
# Inputs of an operator that takes any number of them.
MANY = 100
STRANGE: dict[Any, Any] = {Types.INT: 7, Types.FLOAT: 7.5, Types.INTS: [7, 8], Types.STRING: "seven"}


def test_each_handled_operator_is_in_the_table() -> None:
    assert set(HANDLERS) | {*ENDS, *CONVERTED} == set(OPERATORS)
    assert {one.name for one in HISTORY} | set(OF_QONNX) == set(OPERATORS)


@pytest.mark.parametrize("schema", HISTORY, ids=lambda one: f"{one.name}-{one.since_version}")
def test_the_table_has_every_part_of_every_version(schema: OpSchema) -> None:
    operator = OPERATORS[schema.name]
    assert set(schema.attributes) <= set(operator.attributes)
    assert len(schema.inputs) <= len(operator.inputs)
    assert len(schema.outputs) <= len(operator.outputs)
    for part in (*operator.attributes.values(), *operator.inputs.values(), *operator.outputs.values()):
        assert part.use in ("read", "harmless", "refused")
        assert part.why or part.use != "refused"


@pytest.mark.parametrize("name", [one for one in OPERATORS if one not in OF_QONNX])
def test_the_names_are_those_of_the_newest_version(name: str) -> None:
    newest = onnx.defs.get_schema(name, NEWEST_OPSET, "")
    assert list(OPERATORS[name].inputs)[: len(newest.inputs)] == [one.name for one in newest.inputs]
    assert list(OPERATORS[name].outputs)[: len(newest.outputs)] == [one.name for one in newest.outputs]
    known = set().union(*(one.attributes for one in HISTORY if one.name == name))
    assert known == set(OPERATORS[name].attributes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Quant", Quant), ("BipolarQuant", BipolarQuant), ("MultiThreshold", MultiThreshold), ("Trunc", Trunc_v2)],
)
def test_the_quantizers_are_those_of_qonnx(name: str, kind: Any) -> None:
    node = helper.make_node(name, list(OPERATORS[name].inputs), ["Y"], domain=operators.QONNX_DOMAIN)
    types = kind(node, 1).get_nodeattr_types()
    schema = operators.schema(name, 13)
    assert set(schema.attributes) == set(OPERATORS[name].attributes)
    assert set(types) == set(schema.attributes) - {operators.ROUNDS_FIRST}
    for key, (letter, required, *_) in types.items():
        assert schema.attributes[key].required == (required and name != "Trunc")
        assert schema.attributes[key].type == {"i": Types.INT, "s": Types.STRING, "f": Types.FLOAT}[letter]


# ---- negative tests, made of the table


def graph_around(node: onnx.NodeProto, opset: int, constants: dict[str, np.ndarray], outputs: list[str]) -> Any:
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def plain_attributes(schema: OpSchema) -> dict[str, Any]:
    """What a node must say to be taken, as far as attributes go."""
    parts = OPERATORS[schema.name].attributes
    taken = {name: parts[name].values[0] for name in schema.attributes if parts[name].values}
    needed = {name: PLAIN[one.type] for name, one in schema.attributes.items() if one.required and one.type in PLAIN}
    return needed | taken


def made(
    schema: OpSchema, attributes: dict[str, Any], inputs: int | None = None, outputs: tuple[int, ...] = (0,)
) -> Any:
    """A graph of one node of `schema`: the signal, constants, and names for the `outputs` that are asked for."""
    count = schema.min_input if inputs is None else inputs
    names = ["x", *(f"c{place}" for place in range(1, count))]
    kept = [f"y{place}" if place in outputs else "" for place in range(max(outputs) + 1)]
    domain = operators.QONNX_DOMAIN if schema.name in OF_QONNX else ""
    node = helper.make_node(schema.name, names, kept, "my_node", domain=domain, **attributes)
    constants = {name: np.ones((), np.float32) for name in names[1:]}
    return graph_around(node, max(schema.since_version, 1), constants, [name for name in kept if name])


ALL = [*HISTORY, *operators.QONNX_SCHEMAS.values()]
ATTRIBUTES = [
    pytest.param(schema, name, id=f"{schema.name}-{schema.since_version}-{name}")
    for schema in ALL
    for name, part in ((name, OPERATORS[schema.name].attributes[name]) for name in schema.attributes)
    if part.use == "refused" or part.values
]


@pytest.mark.parametrize(("schema", "name"), ATTRIBUTES)
def test_a_refused_attribute_is_named(schema: OpSchema, name: str) -> None:
    attributes = plain_attributes(schema) | {name: STRANGE[schema.attributes[name].type]}
    with pytest.raises(QapError, match=r"node my_node") as caught:
        survey(made(schema, attributes))
    assert f"its attribute {name} is" in caught.value.hint
    assert OPERATORS[schema.name].attributes[name].why in caught.value.hint


@pytest.mark.parametrize("schema", ALL, ids=lambda one: f"{one.name}-{one.since_version}")
def test_what_is_in_no_specification_is_named(schema: OpSchema) -> None:
    plain = plain_attributes(schema)
    faults: list[tuple[dict[str, Any], int | None, str]] = [
        (plain | {"surprise": 1}, None, "its attribute surprise is not known")
    ]
    if schema.max_input < MANY:
        faults.append((plain, schema.max_input + 1, f"at most {schema.max_input} are known"))
    if schema.min_input > 1:
        faults.append((plain, schema.min_input - 1, "too few"))
    for attributes, inputs, reason in faults:
        with pytest.raises(QapError, match=r"node my_node") as caught:
            survey(made(schema, attributes, inputs))
        assert reason in caught.value.hint
    outputs = len(OPERATORS[schema.name].outputs)
    with pytest.raises(QapError) as caught:
        survey(made(schema, plain, outputs=(1 if schema.name == "TopK" else 0, outputs)))
    assert f"it has {outputs + 1} outputs" in caught.value.hint


@pytest.mark.parametrize("schema", ALL, ids=lambda one: f"{one.name}-{one.since_version}")
def test_an_attribute_of_another_type_is_named(schema: OpSchema) -> None:
    for name, attribute in schema.attributes.items():
        wrong = 1.5 if attribute.type != Types.FLOAT else "text"
        with pytest.raises(QapError) as caught:
            survey(made(schema, plain_attributes(schema) | {name: wrong}))
        assert f"its attribute {name} is not of type {attribute.type.name}" in caught.value.hint


def refused_outputs() -> Iterator[Any]:
    for schema in ALL:
        for place, (name, part) in enumerate(OPERATORS[schema.name].outputs.items()):
            if part.use != "read" and place < len(schema.outputs):
                yield pytest.param(schema, place, id=f"{schema.name}-{schema.since_version}-{name}")


@pytest.mark.parametrize(("schema", "place"), [*refused_outputs()])
def test_an_output_that_is_not_computed_is_refused_where_it_is_read(schema: OpSchema, place: int) -> None:
    with pytest.raises(QapError, match="node my_node") as caught:
        survey(made(schema, plain_attributes(schema), outputs=tuple({0, place})))
    reasons = ("training mode", "is read, which is not supported", "the places of the largest")
    assert any(words in caught.value.hint for words in reasons)


@pytest.mark.parametrize("name", ["signed", "narrow"])
def test_what_a_quantizer_must_say(name: str) -> None:
    schema = operators.schema("Quant", 13)
    attributes = {key: value for key, value in plain_attributes(schema).items() if key != name}
    with pytest.raises(QapError) as caught:
        survey(made(schema, attributes))
    assert caught.value.hint == f"its attribute {name} is missing"


def test_an_attribute_that_stands_twice() -> None:
    model = made(onnx.defs.get_schema("Flatten", 13), {"axis": 1})
    model.graph.node[0].attribute.append(helper.make_attribute("axis", 0))
    with pytest.raises(QapError) as caught:
        survey(model)
    assert "the attribute axis twice" in caught.value.hint


def test_training_by_default_before_opset_7() -> None:
    """A batch norm of opset 6 that does not say `is_test` is in training mode."""
    with pytest.raises(QapError) as caught:
        survey(made(onnx.defs.get_schema("BatchNormalization", 6), {}, 5))
    assert "its attribute is_test is 0: it is in training mode" in caught.value.hint


# ---- values that only the walk knows: axes, shapes, constant inputs


def network(*nodes: onnx.NodeProto, opset: int = 13, rows: tuple[int, ...] = (1, 4), **constants: Any) -> Any:
    """A QONNX model: an input quantizer, a dense layer of 4 to 3, and `nodes` on its output 'h' to 'y'."""
    quantizer = {"signed": 1, "narrow": 0, "domain": operators.QONNX_DOMAIN}
    scalars = {"scale": np.float32(0.25), "zero": np.float32(0), "bits": np.float32(4)}
    weights = np.array([[1, -2, 3], [0, 1, -1], [2, 2, 0], [-3, 1, 1]], np.float32) / 4
    body = [
        helper.make_node("Quant", ["x", "scale", "zero", "bits"], ["q"], "input", **quantizer),
        helper.make_node("Quant", ["weights", "scale", "zero", "bits"], ["w"], "weight", **quantizer),
        helper.make_node("MatMul", ["q", "w"], ["h"], "dense"),
        *nodes,
    ]
    stored = scalars | {"weights": weights} | constants
    graph = helper.make_graph(
        body,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(rows))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(operators.QONNX_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _saved(model: Any, folder: Path) -> Path:
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


def lowered(model: Any, folder: Path) -> Any:
    return read(onnxfile.load(_saved(model, folder)))


def node(operator: str, *more: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["h", *more], ["y"], "my_node", **attributes)


def quantized(zero: str = "zero", scale: str = "scale", bits: str = "bits", **attributes: Any) -> onnx.NodeProto:
    options = {"signed": 1, "narrow": 0, "domain": operators.QONNX_DOMAIN} | attributes
    return node("Quant", scale, zero, bits, **options)


def to(operator: str, *names: str) -> onnx.NodeProto:
    """A node from all but the last of `names` to that."""
    quantizer = {"signed": 1, "narrow": 0, "domain": operators.QONNX_DOMAIN} if operator == "Quant" else {}
    inputs = [*names[:-1], *(("scale", "zero", "bits") if quantizer else ())]
    return helper.make_node(operator, inputs, [names[-1]], names[-1], **quantizer)


def second(*between: onnx.NodeProto) -> Any:
    """A network whose second dense layer reads 'b', which `between` makes of the quantized 'a'."""
    dense = helper.make_node("MatMul", ["b", "w2"], ["y"], "my_node")
    constants = {"weights2": np.ones((3, 2), np.float32), "c": np.array([1, 1.1, 3], np.float32)}
    return network(to("Quant", "h", "a"), to("Quant", "weights2", "w2"), *between, dense, **constants)


INT = np.int64
REFUSED: dict[str, tuple[Any, str]] = {
    "argmax over rows": (network(node("ArgMax")), "its axis is 0"),
    "argmax of the last of equals": (network(node("ArgMax", axis=1, select_last_index=1)), "select_last_index is 1"),
    "softmax over rows": (network(node("Softmax", axis=0)), "its axis is 0"),
    "softmax over rows, from the end": (network(node("Softmax", axis=-2)), "its axis is -2"),
    "log softmax over rows": (network(node("LogSoftmax", axis=0)), "its axis is 0"),
    "softmax far away": (network(node("Softmax", axis=5), opset=13), "does not fit together|its axis is 5"),
    "topk of rows": (
        network(helper.make_node("TopK", ["h", "k"], ["v", "y"], "my_node", axis=0), k=np.array([1], INT)),
        "its axis is 0",
    ),
    "topk of two": (
        network(helper.make_node("TopK", ["h", "k"], ["v", "y"], "my_node"), k=np.array([2], INT)),
        "several classes",
    ),
    "values of topk": (
        network(helper.make_node("TopK", ["h", "k"], ["y", "i"], "my_node"), k=np.array([1], INT)),
        "its output Values is read",
    ),
    "dropout in training": (
        network(node("Dropout", "ratio", "mode"), ratio=np.float32(0.5), mode=np.bool_(True)),
        "training mode",
    ),
    "batch norm in training": (
        network(node("BatchNormalization", *"abcd", training_mode=1), opset=15,
                **{name: np.ones(3, np.float32) for name in "abcd"}),
        "training_mode is 1",
    ),
    "clip upside down": (
        network(node("Clip", "low", "high"), low=np.float32(1), high=np.float32(-1)), "lower bound is above",
    ),
    "rows flattened away": (network(node("Flatten", axis=0)), "does not keep the first dimension"),
    "a shape that is one float": (
        network(node("Reshape", "shape"), shape=np.float32(3)),
        r"its input 1 has shape \[\] of float32; it must be a list of int64",
    ),
    "rows squeezed away": (network(node("Squeeze")), "does not keep the first dimension"),
    "a dimension before the rows": (network(node("Unsqueeze", "axes"), axes=np.array([0], INT)), "first dimension"),
    "rows reshaped away": (network(node("Reshape", "shape"), shape=np.array([3, 1], INT)), "cannot be rows of shape"),
    "a column added to a row": (network(node("Add", "c"), c=np.ones((3, 1), np.float32)), "does not fit rows of shape"),
    "rows added": (network(node("Add", "c"), c=np.ones((5, 3), np.float32)), "does not fit rows of shape"),
    "transposed rows": (network(node("Transpose")), "does not keep the first dimension"),
    "division by the signal": (
        network(helper.make_node("Div", ["c", "h"], ["y"], "my_node"), c=np.float32(1)), "a division by the signal",
    ),
    "an endless epsilon": (
        network(
            node("BatchNormalization", *"abcd", epsilon=float("inf")), **dict.fromkeys("abcd", np.ones(3, np.float32))
        ),
        "its attribute epsilon is inf",
    ),
    "a variance below 0": (
        network(node("BatchNormalization", *"abcd"), **{name: -np.ones(3, np.float32) for name in "abcd"}),
        "a running variance below 0",
    ),
    "half a zero point": (network(quantized("half"), half=np.float32(0.5)), "its zero point must be one whole number"),
    "a zero point far away": (network(quantized("far"), far=np.float32(2.0**40)), "must be one whole number"),
    "a sign with a zero point": (
        network(quantized("three", bits="one"), three=np.float32(3), one=np.float32(1)), "has no zero point",
    ),
    "33 bits": (network(quantized(bits="wide"), wide=np.float32(33)), "a bit width of 33"),
    "a negative scale": (network(quantized(scale="minus"), minus=np.float32(-1)), "its scale must be above 0"),
    "a scale for each of five": (network(quantized(scale="five"), five=np.ones(5, np.float32)), "does not fit rows"),
    "a rounding rule": (network(quantized(rounding_mode="HALF_UP")), "rounding mode HALF_UP; known: ROUND"),
    "a bound per output": (network(node("Clip", "low"), low=np.zeros(3, np.float32)), "is not one number"),
    "an end that goes on": (
        network(helper.make_node("Softmax", ["h"], ["s"], "soft"), helper.make_node("Relu", ["s"], ["y"], "my_node")),
        "it comes after Softmax",
    ),
    "float weights": (
        network(helper.make_node("MatMul", ["h", "c"], ["y"], "my_node"), c=np.ones((3, 1), np.float32)),
        "weights are floats",
    ),
    "a curve before a dense layer": (second(to("Tanh", "a", "b")), "a curve stands between the quantizer and it"),
    "a scale per channel before a dense layer": (second(to("Mul", "a", "c", "b")), "its input has a scale per channel"),
    "a dense layer of another size": (network(helper.make_node("MatMul", ["h", "w"], ["y"], "my_node")), "3 inputs"),
    "a product of two branches": (network(node("Mul", "h")), "it multiplies or divides two tensors"),
    "branches of two shapes": (network(node("Add", "q")), "Incompatible dimensions|it joins branches of shapes"),
    "another operator": (network(node("Erf")), "supported: dense"),
    "transposed inputs of Gemm": (
        network(node("Gemm", "w2", transA=1), w2=np.ones((1, 2), np.float32)), "its attribute transA is 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_another_network_is_refused(name: str, tmp_path: Path) -> None:
    model, reason = REFUSED[name]
    with pytest.raises(QapError) as caught:
        lowered(model, tmp_path)
    assert "my_node" in str(caught.value)
    assert re.search(reason, str(caught.value)), caught.value


def test_what_may_not_stand_before_the_inputs_quantizer(tmp_path: Path) -> None:
    model = network(node("Relu"), minus=np.float32(-1))
    model.graph.node.insert(0, to("Mul", "x", "minus", "x2"))
    model.graph.node[1].input[0] = "x2"
    with pytest.raises(QapError, match="node input") as caught:
        lowered(model, tmp_path)
    assert caught.value.hint == "only scaling, shifting and clipping may stand before the input's quantizer"


def test_a_clip_before_the_inputs_quantizer_bounds_it(tmp_path: Path) -> None:
    model = network(node("Relu"))
    plain = lowered(model, tmp_path).input
    model.graph.node.insert(0, to("Relu", "x", "x2"))
    model.graph.node[1].input[0] = "x2"
    quantizer = lowered(model, tmp_path).input
    assert plain.low < 0 and quantizer == dataclasses.replace(plain, low=0)


def walked(model: Any) -> Any:
    """What is read of a graph that was not looked over first, as `lowered` does."""
    return read(ModelWrapper(model).transform(InferShapes()))


def two_inputs() -> Any:
    model = network(node("Relu"))
    model.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1, 4]))
    return model


def dense(*names: str) -> onnx.NodeProto:
    return helper.make_node("MatMul", names[:2], names[2:], "my_node")


# The walk itself refuses what the first look would have named before.
WALKED: dict[str, tuple[Callable[[], Any], str]] = {
    "no operator of ours": (lambda: network(node("Erf")), "my_node.*\n.*supported: dense"),
    "two inputs": (two_inputs, "the graph has 2 inputs"),
    "no dense layer": (lambda: without_dense(), "the graph has no dense layer"),
    "a Relu of a constant": (
        lambda: network(helper.make_node("Relu", ["c"], ["y"], "my_node"), c=np.ones((1, 3), np.float32)),
        "my_node.*\n.*its first input is not a tensor that depends on the network's input",
    ),
    "a batch norm of the signal": (
        lambda: network(node("BatchNormalization", *"abc", "h"), **dict.fromkeys("abc", np.ones(3, np.float32))),
        "my_node.*\n.*its input 4 is not a constant",
    ),
    "not finite": (
        lambda: network(node("Add", "c"), c=np.array([1, np.nan, 3], np.float32)),
        "my_node.*c has NaN or infinite values",
    ),
    "a join of two shapes": (lambda: network(node("Add", "q")), "my_node.*\n.*it joins branches of shapes"),
    "weights quantized twice": (
        lambda: network(to("Quant", "w", "ww"), node("Relu")), "node ww.*\n.*it quantizes what is quantized already",
    ),
    "floats into a dense layer": (
        lambda: network(to("Quant", "weights2", "w2"), dense("x", "w2", "y"), weights2=np.ones((4, 2), np.float32)),
        "my_node.*\n.*its input is not quantized",
    ),
    "what follows the last quantizer": (
        lambda: network(to("Quant", "h", "a"), helper.make_node("LeakyRelu", ["a"], ["y"], "my_node", alpha=0.1)),
        "bits as integers",
    ),
}  # fmt: skip


def without_dense() -> Any:
    model = network(helper.make_node("Relu", ["q"], ["y"], "my_node"))
    del model.graph.node[1:3]
    return model


@pytest.mark.parametrize("name", WALKED)
def test_what_the_walk_itself_refuses(name: str) -> None:
    make, reason = WALKED[name]
    with pytest.raises(QapError) as caught:
        walked(make())
    assert re.search(reason, str(caught.value)), caught.value


def test_weights_that_do_not_fit_the_inputs() -> None:
    graph = ModelWrapper(network(node("Relu"))).transform(InferShapes())
    graph.set_initializer("weights", np.ones((5, 3), np.float32))
    with pytest.raises(QapError, match="node dense") as caught:
        read(graph)
    assert caught.value.hint == "weights of shape (5, 3) for 4 inputs"


def test_a_scale_that_does_not_fit_the_weights(tmp_path: Path) -> None:
    model = network(node("Relu"), five=np.ones(5, np.float32))
    model.graph.node[1].input[1] = "five"
    with pytest.raises(QapError, match="node weight") as caught:
        lowered(model, tmp_path)
    assert caught.value.hint == "a scale of shape (5,) for a tensor of shape (4, 3)"


def test_arithmetic_after_a_weights_quantizer(tmp_path: Path) -> None:
    model = network(node("Relu"), two=np.float32(2))
    model.graph.node[2].input[1] = "w2"
    model.graph.node.insert(2, helper.make_node("Mul", ["w", "two"], ["w2"], "twice"))
    with pytest.raises(QapError, match="node twice") as caught:
        lowered(model, tmp_path)
    assert "it stands between a weight and its quantizer" in caught.value.hint


def test_shapes_of_quantized_weights_move_with_their_scales(tmp_path: Path) -> None:
    """A scale per output, given for (3, 4) weights that are transposed, is the same network."""
    steps = np.array([0.25, 0.5, 0.125], np.float32)
    plain = network(node("Identity"), steps=steps)
    plain.graph.node[1].input[1] = "steps"
    turned = network(node("Identity"), steps=steps.reshape(3, 1))
    turned.graph.node[1].input[1] = "steps"
    weights = next(one for one in turned.graph.initializer if one.name == "weights")
    weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(weights).T), "weights"))
    turned.graph.node[1].output[0] = "upright"
    turned.graph.node.insert(2, helper.make_node("Transpose", ["upright"], ["w"], "turn", perm=[1, 0]))
    one, other = (lowered(model, tmp_path).layers[0] for model in (plain, turned))
    assert (one.weights == other.weights).all()
    assert one.affine == other.affine
