# SPDX-License-Identifier: Apache-2.0
"""Every ONNX and QONNX operator that is handled: what of it is read, what is harmless, what is refused.

The table is the one source. `check` holds to it for each node before anything is made of the node: an attribute, an
input or an output that is not in the table is refused by name, and so is a value that asks for something else than
is computed. The tests compare the table with the specifications (`onnx.defs`, and qonnx) at every version.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from onnx import AttributeProto, NodeProto, defs, helper
from onnx.defs import OpSchema

from qap2fpga.frontend.values import refused

QONNX_DOMAIN = "qonnx.custom_op.general"
CHANNELS_LAST = "qonnx.custom_op.channels_last"
# Where the quantizers stood before qonnx gave them a domain: old exporters left it out or used their own.
QUANT_DOMAINS = ("", QONNX_DOMAIN, "onnx.brevitas", "finn.custom_op.general", "finn")
ONNX_DOMAINS = ("", "ai.onnx")
# An attribute of our own: halves are rounded before the zero point is added, as in the file that it was written from.
ROUNDS_FIRST = "rounds_first"
NEWEST_OPSET = defs.onnx_opset_version()
SUPPORTED = (
    "supported: dense (MatMul, Gemm), Conv, MaxPool, AveragePool, Add, Sub, Mul, Div, Concat, BatchNormalization, "
    "Relu, Clip, Quant, BipolarQuant, MultiThreshold"
)


@dataclass(frozen=True)
class Part:
    """What becomes of one attribute, input or output: 'read', 'harmless' or 'refused'.

    `values` of an attribute are those that are taken; none: all are. A harmless output is so while it is dead, a
    refused input or output may be absent. `why` says what the part would ask for.
    """

    use: str
    values: tuple[object, ...] = ()
    why: str = ""


READ = Part("read")
HARMLESS = Part("harmless")
SWITCH = Part("read", (0, 1), "it must be 0 or 1")
IN_PLACE = Part("harmless", (), "a permission to overwrite inputs")
TRAINING = Part("refused", (), "it is in training mode; export the network for inference, after eval()")


def _only(*values: object, why: str) -> Part:
    return Part("refused", values, why)


@dataclass(frozen=True)
class Operator:
    """The parts of one operator; inputs and outputs in their order, with the names of the newest version."""

    inputs: Mapping[str, Part]
    outputs: Mapping[str, Part]
    attributes: Mapping[str, Part]


def _operator(inputs: str | Mapping[str, Part], outputs: str | Mapping[str, Part], **attributes: Part) -> Operator:
    """An `Operator`; inputs and outputs that are named in one text are read, all of them."""
    return Operator(_parts(inputs), _parts(outputs), attributes)


def _parts(parts: str | Mapping[str, Part]) -> Mapping[str, Part]:
    return dict.fromkeys(parts.split(), READ) if isinstance(parts, str) else parts


_TWO_WAYS = {
    "axis": Part("refused", (), "the alignment of operators before opset 7"),
    "broadcast": _only(0, 1, why="only whether shapes may differ"),
    "consumed_inputs": IN_PLACE,
}
_NO_RUNNING = dict.fromkeys(("running_mean", "running_var", "saved_mean", "saved_var"), TRAINING)

# Attributes that are divided by, also by libraries that do not look at them first.
COUNTS = ("strides", "dilations", "kernel_shape")
_KERNEL = dict.fromkeys(("auto_pad", "kernel_shape", "pads", "strides"), READ)

OPERATORS: dict[str, Operator] = {
    "MatMul": _operator("A B", "Y"),
    "Gemm": _operator(
        "A B C", "Y", alpha=READ, beta=READ, transB=SWITCH, broadcast=_only(0, 1, why="only whether shapes may differ"),
        transA=_only(0, why="its first input would be transposed: rows would become features"),
    ),
    **{name: _operator("A B", "C", **_TWO_WAYS) for name in ("Add", "Sub", "Mul", "Div")},
    "BatchNormalization": _operator(
        "X scale B input_mean input_var", {"Y": READ, **_NO_RUNNING}, epsilon=READ, consumed_inputs=IN_PLACE,
        momentum=Part("harmless", (), "used in training only"),
        training_mode=_only(0, why=TRAINING.why), is_test=_only(1, why=TRAINING.why),
        spatial=_only(1, why="it has statistics per position instead of per channel"),
    ),
    "Conv": _operator("X W B", "Y", **_KERNEL, dilations=READ, group=READ),
    "MaxPool": _operator(
        "X", {"Y": READ, "Indices": Part("refused", (), "the places of the largest values")}, **_KERNEL, dilations=READ,
        ceil_mode=READ, storage_order=Part("harmless", (), "the order of places that nothing reads"),
    ),
    "AveragePool": _operator("X", "Y", **_KERNEL, dilations=READ, ceil_mode=READ, count_include_pad=READ),
    "GlobalMaxPool": _operator("X", "Y"),
    "GlobalAveragePool": _operator("X", "Y"),
    "Concat": _operator("inputs", "concat_result", axis=READ),
    "Relu": _operator("X", "Y", consumed_inputs=IN_PLACE),
    "Clip": _operator("input min max", "output", min=READ, max=READ, consumed_inputs=IN_PLACE),
    "Max": _operator("data_0", "max", consumed_inputs=IN_PLACE),
    "Min": _operator("data_0", "min", consumed_inputs=IN_PLACE),
    "LeakyRelu": _operator("X", "Y", alpha=READ, consumed_inputs=IN_PLACE),
    "PRelu": _operator("X slope", "Y", consumed_inputs=IN_PLACE),
    "HardSigmoid": _operator("X", "Y", alpha=READ, beta=READ, consumed_inputs=IN_PLACE),
    "Sigmoid": _operator("X", "Y", consumed_inputs=IN_PLACE),
    "Tanh": _operator("input", "output", consumed_inputs=IN_PLACE),
    "Resize": _operator(
        {"X": READ, "roi": HARMLESS, "scales": READ, "sizes": READ}, "Y", mode=READ,
        coordinate_transformation_mode=READ, nearest_mode=READ, antialias=_only(0, why="it mixes neighbours"),
        cubic_coeff_a=Part("harmless", (), "used by another mode"),
        exclude_outside=Part("harmless", (), "used by another mode"),
        extrapolation_value=Part("harmless", (), "used by another mode"),
        axes=Part("harmless", (), "which dimensions have sizes; the result's shape tells"),
        keep_aspect_ratio_policy=_only(b"stretch", why="sizes that do not say what the result's are"),
    ),
    "Pad": _operator(
        {"data": READ, "pads": READ, "constant_value": READ, "axes": READ}, "output", mode=READ, pads=READ,
        value=READ, paddings=READ,
    ),
    "ReduceMean": _operator(
        "data axes", "reduced", axes=READ, keepdims=SWITCH,
        noop_with_empty_axes=Part("harmless", (), "only where there are no axes, which is refused"),
    ),
    "Upsample": _operator("X scales", "Y", mode=READ, scales=READ, height_scale=READ, width_scale=READ),
    "Transpose": _operator("data", "transposed", perm=READ),
    "Identity": _operator("input", "output"),
    "Dropout": _operator(
        {"data": READ, "ratio": HARMLESS, "training_mode": READ}, {"output": READ, "mask": HARMLESS},
        ratio=Part("harmless", (), "used in training only"), seed=Part("harmless", (), "used in training only"),
        is_test=_only(1, why=TRAINING.why), consumed_inputs=IN_PLACE,
    ),
    "Flatten": _operator("input", "output", axis=READ),
    "Reshape": _operator("data shape", "reshaped", shape=READ, allowzero=READ, consumed_inputs=IN_PLACE),
    "Squeeze": _operator("data axes", "squeezed", axes=READ),
    "Unsqueeze": _operator("data axes", "expanded", axes=READ),
    "Softmax": _operator("input", "output", axis=READ),
    "LogSoftmax": _operator("input", "output", axis=READ),
    "ArgMax": _operator(
        "data", "reduced", axis=READ, keepdims=Part("harmless", (), "the shape of the class number"),
        select_last_index=_only(0, why="of equal outputs it takes the last, the hardware the first"),
    ),
    "TopK": _operator(
        "X K", {"Values": HARMLESS, "Indices": READ}, axis=READ,
        k=_only(1, why="it asks for several classes; take them from the logits, on the host"),
        largest=_only(1, why="it asks for the smallest outputs instead of the largest"),
        sorted=Part("harmless", (), "one class has no order"),
    ),
    "Quant": _operator(
        "X scale zeropt bitwidth", "Y", signed=SWITCH, narrow=SWITCH, rounding_mode=READ, **{ROUNDS_FIRST: SWITCH}
    ),
    "BipolarQuant": _operator("X scale", "Y"),
    "MultiThreshold": _operator("X thresholds", "Y", out_dtype=READ, out_scale=READ, out_bias=READ, data_layout=READ),
    "Trunc": _operator(
        "X scale zeropt in_bitwidth out_bitwidth out_scale", "Y", signed=SWITCH, narrow=SWITCH, rounding_mode=READ
    ),
}  # fmt: skip
# Those that keep the order of values, those of them that change a tensor's dimensions, and what only moves values.
RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
SHAPE_ONLY = ("Identity", *RESHAPING)
MOVING = (*SHAPE_ONLY, "Transpose")
# What stays on the host at the end of a network: the class, or a value's likeness, follows from what enters it.
ENDS = ("ArgMax", "LogSoftmax", "Softmax", "TopK")
RISING_ENDS = ("Sigmoid", "Tanh")
QUANTIZERS = ("Quant", "BipolarQuant", "MultiThreshold")
# What qonnx has beside them in its own domain.
OF_QONNX = (*QUANTIZERS, "Trunc")
# Of this, bringing a graph to one opset leaves none.
CONVERTED = ("Upsample",)
# What is rewritten before anything else looks at it.
REWRITTEN = ("XnorPopcountMatMul", "Im2Col", "MaxPoolNHWC")
SINGLE, OPTIONAL = OpSchema.FormalParameterOption.Single, OpSchema.FormalParameterOption.Optional
DENSE = ("MatMul", "Gemm")
WEIGHTED = (*DENSE, "Conv")
# Those that take channels, rows and columns, each from its own dimension.
SPATIAL = ("Conv", "MaxPool", "GlobalMaxPool", "AveragePool", "GlobalAveragePool")
# Those of them that qonnx also has for channels in the last dimension.
ALSO_CHANNELS_LAST = ("Conv", "MaxPool", "BatchNormalization")


def _qonnx_schema(name: str, *attributes: OpSchema.Attribute, optional: int = 0) -> OpSchema:
    """The specification of an operator that onnx does not know, after qonnx's documentation; the last inputs may be
    `optional`.
    """
    parts = list(OPERATORS[name].inputs)
    needed = len(parts) - optional
    tensors = [
        OpSchema.FormalParameter(part, "tensor(float)", param_option=SINGLE if place < needed else OPTIONAL)
        for place, part in enumerate(parts)
    ]
    result = [OpSchema.FormalParameter("Y", "tensor(float)")]
    return OpSchema(name, QONNX_DOMAIN, 1, inputs=tensors, outputs=result, attributes=list(attributes))


_INT = OpSchema.AttrType.INT
QONNX_SCHEMAS = {
    "Quant": _qonnx_schema(
        "Quant",
        OpSchema.Attribute("signed", _INT, required=True),
        OpSchema.Attribute("narrow", _INT, required=True),
        OpSchema.Attribute("rounding_mode", helper.make_attribute("rounding_mode", "ROUND")),
        OpSchema.Attribute(ROUNDS_FIRST, helper.make_attribute(ROUNDS_FIRST, 0)),
    ),
    "BipolarQuant": _qonnx_schema("BipolarQuant"),
    "MultiThreshold": _qonnx_schema(
        "MultiThreshold",
        OpSchema.Attribute("out_dtype", OpSchema.AttrType.STRING, required=True),
        OpSchema.Attribute("out_scale", helper.make_attribute("out_scale", 1.0)),
        OpSchema.Attribute("out_bias", helper.make_attribute("out_bias", 0.0)),
        OpSchema.Attribute("data_layout", helper.make_attribute("data_layout", "")),
    ),
    "Trunc": _qonnx_schema(
        "Trunc",
        OpSchema.Attribute("rounding_mode", helper.make_attribute("rounding_mode", "FLOOR")),
        OpSchema.Attribute("signed", helper.make_attribute("signed", 1)),
        OpSchema.Attribute("narrow", helper.make_attribute("narrow", 0)),
        optional=1,
    ),
}


@cache
def schema(name: str, opset: int) -> OpSchema:
    """Return the specification of a handled operator as it is at `opset`."""
    known = QONNX_SCHEMAS.get(name)
    return known if known is not None else defs.get_schema(name, opset, "")


def is_handled(node: NodeProto) -> bool:
    """Return whether the table has the operator, of the domain that it means there."""
    domains = QUANT_DOMAINS if node.op_type in OF_QONNX else ONNX_DOMAINS
    if node.op_type in ALSO_CHANNELS_LAST:
        domains = (*domains, CHANNELS_LAST)
    return node.op_type in OPERATORS and node.domain in domains


def option(node: NodeProto, name: str, opset: int) -> object:
    """Return the value of an attribute, by default the one that the specification gives it; None if it gives none."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    known = schema(node.op_type, opset).attributes.get(name)
    if known is None or known.default_value.type == AttributeProto.UNDEFINED:
        return None
    return helper.get_attribute_value(known.default_value)


def check(node: NodeProto, opset: int, wanted: Collection[str]) -> None:
    """Raise `QapError` for what the table refuses of a handled `node`; `wanted` are the tensors that somebody reads."""
    operator, known = OPERATORS[node.op_type], schema(node.op_type, opset)
    if known.deprecated:
        raise refused(node, f"opset {opset} does not have it any more")
    _check_attributes(node, operator, known, opset)
    _check_inputs(node, known)
    for place, tensor in enumerate(node.output):
        name, part = _part(operator.outputs, place)
        if tensor and part is None:
            raise refused(node, f"it has {len(node.output)} outputs; known: {', '.join(operator.outputs)}")
        if tensor and part is not None and (part.use == "refused" or (part.use == "harmless" and tensor in wanted)):
            raise refused(node, part.why or f"its output {name} is read, which is not supported")


def _check_attributes(node: NodeProto, operator: Operator, known: OpSchema, opset: int) -> None:
    names = [item.name for item in node.attribute]
    for item in node.attribute:
        if names.count(item.name) > 1:
            raise refused(node, f"it has the attribute {item.name} twice")
        if item.name not in known.attributes or item.name not in operator.attributes:
            raise refused(node, f"its attribute {item.name} is not known in opset {opset}")
        if item.ref_attr_name or item.type != known.attributes[item.name].type.value:
            raise refused(node, f"its attribute {item.name} is not of type {known.attributes[item.name].type.name}")
    for name, item in known.attributes.items():
        if item.required and name not in names:
            raise refused(node, f"its attribute {name} is missing")
        part, value = operator.attributes[name], option(node, name, opset)
        taken = value is None or not part.values or value in part.values
        if name in COUNTS and isinstance(value, list) and min(value, default=1) < 1:
            raise refused(node, f"its {name} are {value}: none may be below 1")
        if not taken or (part.use == "refused" and not part.values and name in names):
            raise refused(node, f"its attribute {name} is {value}: {part.why}")


def _check_inputs(node: NodeProto, known: OpSchema) -> None:
    if len(node.input) > known.max_input:
        raise refused(node, f"it has {len(node.input)} inputs, at most {known.max_input} are known")
    if len(node.input) < known.min_input or not all(node.input[: known.min_input]):
        raise refused(node, f"it has {len(node.input)} inputs, too few")


def _part(parts: Mapping[str, Part], place: int) -> tuple[str, Part | None]:
    """The name of the part at `place`, and the part; None if there is none."""
    return list(parts.items())[place] if place < len(parts) else ("", None)
