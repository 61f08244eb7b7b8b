# SPDX-License-Identifier: Apache-2.0
"""Random models for the tests, and a slow reference of their own that shares no code with the program."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec


def random_model(
    seed: int,
    widths: tuple[int, ...] = (5, 7, 6, 3),
    bits: int = 4,
    sparsity: float = 0.5,
    *,
    power_of_two: bool = False,
    per_channel: bool = False,
    batch_norm: bool = True,
    last_batch_norm: bool = False,
    input_bits: int = 4,
    scale: float = 1.0,
    rows: int = 64,
) -> Model:
    """A model with random parameters: gammas of both signs, one of them 0, and one dead neuron where pruned.

    `scale` multiplies every weight scale; activations at 1 bit are signs.
    """
    random = np.random.default_rng(seed)

    def scales(size: int | None, around: float) -> np.ndarray:
        values = around * random.uniform(0.5, 1.5, () if size is None else size)
        return np.asarray(2.0 ** np.round(np.log2(values)) if power_of_two else values, np.float32)

    # Statistics and scales follow the data, as training would have them, so that every layer is alive.
    example = random.normal(0, 1, (rows, widths[0])).astype(np.float32)
    values = example.astype(float)
    ops = [
        Op("input", "quantize", quantizer=QuantSpec(input_bits, True, False, scales(None, 2.5 / 2 ** (input_bits - 1))))
    ]
    masks = {}
    for index, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        last = index == len(widths) - 1
        largest = max(1, 2 ** (bits - 1) - 1)
        integers = random.integers(-largest, largest + 1, (outputs, inputs))
        mask = random.random((outputs, inputs)) >= sparsity
        if sparsity and not last:
            mask[0] = False
        mask[-1, 0] = True
        integers = np.where(mask, np.where(integers == 0, 1, integers), 0)
        step = scales(outputs if per_channel else None, 0.1 * scale)
        weight = (integers * step.reshape(-1, 1)).astype(np.float32)
        if bits == 1:
            mask = np.ones_like(mask)
        masks[f"fc{index}"] = mask
        values = values @ weight.T
        bias = random.normal(0, values.std() / 4, outputs).astype(np.float32)
        values = values + bias
        ops.append(Op(f"fc{index}", "dense", {"weight": weight, "bias": bias}, QuantSpec(bits, True, True, step)))
        if batch_norm and (not last or last_batch_norm):
            gamma = random.normal(0, 1, outputs).astype(np.float32)
            gamma[outputs // 2] = 0
            tensors = {
                "weight": gamma,
                "bias": random.normal(0, 1, outputs).astype(np.float32),
                "running_mean": (values.mean(axis=0) + random.normal(0, values.std() / 10, outputs)).astype(np.float32),
                "running_var": (values.var(axis=0) * random.uniform(0.5, 2, outputs)).astype(np.float32),
            }
            spread = np.sqrt(tensors["running_var"] + 1e-5)
            values = (values - tensors["running_mean"]) / spread * gamma + tensors["bias"]
            ops.append(Op(f"bn{index}", "batch_norm", tensors))
        if not last:
            if bits == 1:
                ops.append(Op(f"act{index}", "hard_tanh", quantizer=QuantSpec(1, True, True, scales(None, 1.0))))
            else:
                quantizer = QuantSpec(bits, False, False, scales(None, max(values.max(), 1e-12) / 2**bits))
                ops.append(Op(f"act{index}", "relu", quantizer=quantizer))
                values = np.maximum(values, 0)
            if bits == 1:
                values = np.sign(values)
    labels = random.integers(0, widths[-1], rows)
    return Model(tuple(ops), masks, {}, example, labels)


def exact_outputs(model: Model, row: np.ndarray) -> tuple[list[list[Fraction]], list[Fraction]]:
    """(quantized real value of every activation, exact real outputs) of one row, by plain rational arithmetic."""
    values = [Fraction(float(value)) for value in row]
    activations = []
    for op in model.ops:
        if op.kind == "dense":
            assert op.quantizer is not None
            steps = np.broadcast_to(op.quantizer.scale, op.tensors["weight"].shape[:1])
            weights = [
                [_quantized_weight(w, s, op.quantizer.bits) for w in line]
                for line, s in zip(op.tensors["weight"], steps, strict=True)
            ]
            values = [sum((w * v for w, v in zip(line, values, strict=True)), Fraction(0)) for line in weights]
            if "bias" in op.tensors:
                values = [v + Fraction(float(b)) for v, b in zip(values, op.tensors["bias"], strict=True)]
        elif op.kind == "batch_norm":
            keys = ("weight", "bias", "running_mean", "running_var")
            rows = zip(values, *(op.tensors[key] for key in keys), strict=True)
            values = [
                (v - Fraction(float(m)))
                * Fraction(float(g))
                * _inverse_root(Fraction(float(s)) + Fraction(float(np.float32(op.epsilon))))
                + Fraction(float(b))
                for v, g, b, m, s in rows
            ]
        else:
            if op.kind == "relu":
                values = [max(v, Fraction(0)) for v in values]
            if op.quantizer is not None:
                values = [_quantize(v, op.quantizer) for v in values]
                activations.append(values)
    return activations, values


def _quantized_weight(value: float, step: float, bits: int) -> Fraction:
    if bits == 1:
        return Fraction(float(step)) * (1 if value >= 0 else -1)
    return round(Fraction(float(np.float32(value) / np.float32(step)))) * Fraction(float(step))


def _inverse_root(value: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = 80
        return Fraction(1 / (Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def _quantize(value: Fraction, quantizer: QuantSpec) -> Fraction:
    scale = Fraction(float(quantizer.scale))
    if quantizer.bits == 1:
        return scale if value >= 0 else -scale
    low = -(2 ** (quantizer.bits - 1)) + quantizer.narrow if quantizer.signed else 0
    high = 2 ** (quantizer.bits - 1) - 1 if quantizer.signed else 2**quantizer.bits - 1
    return min(max(round(value / scale), low), high) * scale  # Fraction's round is half to even


def qonnx_graph(model: Model) -> ModelWrapper:
    """The QONNX graph of a model, written node by node: what Brevitas exports, in a hundredth of the time."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: np.ndarray | float) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def quantize(tensor: str, name: str, spec: QuantSpec) -> str:
        scale = spec.scale.reshape(-1, 1) if spec.scale.ndim else spec.scale
        inputs = [tensor, constant(f"{name}.scale", scale)]
        if spec.bits == 1:
            nodes.append(helper.make_node("BipolarQuant", inputs, [name], name, domain="qonnx.custom_op.general"))
            return name
        inputs += [constant(f"{name}.zero", float(spec.zero_point)), constant(f"{name}.bits", float(spec.bits))]
        options = {"signed": int(spec.signed), "narrow": int(spec.narrow), "rounding_mode": spec.rounding}
        nodes.append(helper.make_node("Quant", inputs, [name], name, domain="qonnx.custom_op.general", **options))
        return name

    tensor = "global_in"
    for op in model.ops:
        if op.kind == "dense":
            assert op.quantizer is not None
            weight = quantize(constant(f"{op.name}.weight", op.tensors["weight"]), f"{op.name}.quantized", op.quantizer)
            inputs = [tensor, weight] + (
                [constant(f"{op.name}.bias", op.tensors["bias"])] if "bias" in op.tensors else []
            )
            nodes.append(helper.make_node("Gemm", inputs, [op.name], op.name, transB=1))
            tensor = op.name
        elif op.kind == "batch_norm":
            names = [
                constant(f"{op.name}.{key}", op.tensors[key])
                for key in ("weight", "bias", "running_mean", "running_var")
            ]
            nodes.append(
                helper.make_node("BatchNormalization", [tensor, *names], [op.name], op.name, epsilon=op.epsilon)
            )
            tensor = op.name
        else:
            if op.kind == "relu":
                nodes.append(helper.make_node("Relu", [tensor], [f"{op.name}.relu"], f"{op.name}.relu"))
                tensor = f"{op.name}.relu"
            if op.quantizer is not None:
                tensor = quantize(tensor, op.name, op.quantizer)
    outputs = [op for op in model.ops if op.kind == "dense"][-1].tensors["weight"].shape[0]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("global_in", TensorProto.FLOAT, [1, model.inputs])],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, outputs])],
        constants,
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    return ModelWrapper(helper.make_model(graph, opset_imports=opsets)).transform(InferShapes())
