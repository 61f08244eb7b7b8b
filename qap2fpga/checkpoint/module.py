# SPDX-License-Identifier: Apache-2.0
"""Between Brevitas modules and `Model`: read a user's own module, and build one with the same integers.

The built module has constant scales, exactly the stored ones: Brevitas divides a quantizer's threshold by the
largest integer to get its scale, which in float32 does not always give the scale back, so that divisor is 1.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qap2fpga.quiet import quiet

with quiet():
    import brevitas.nn as qnn
    from brevitas.core.utils import SingleArgStatelessBuffer
    from brevitas.core.zero_point import ZeroZeroPoint
    from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType, QuantType, RestrictValueType, ScalingImplType
    from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
    from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver

from qap2fpga.checkpoint.spec import Model, Op, QuantSpec, check
from qap2fpga.errors import QapError

LEAVES: dict[type[nn.Module], str] = {
    qnn.QuantLinear: "dense",
    qnn.QuantReLU: "relu",
    qnn.QuantHardTanh: "hard_tanh",
    qnn.QuantIdentity: "quantize",
    nn.BatchNorm1d: "batch_norm",
    nn.ReLU: "relu",
}
NOTHING_AT_INFERENCE = (nn.Identity, nn.Dropout, nn.AlphaDropout, nn.Flatten)
SUPPORTED = "supported: QuantIdentity, QuantLinear, BatchNorm1d, ReLU, QuantReLU, QuantHardTanh, Dropout, Flatten"


class ConstZeroPoint(nn.Module):
    """A zero point that does not depend on the data."""

    def __init__(self, value: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(float(value)), persistent=False)

    def forward(self, _x: Tensor, _scale: Tensor, _bit_width: Tensor) -> Tensor:
        return self.value  # type: ignore[return-value]


# ---- a user's module to values


def describe(module: nn.Module, example: Tensor) -> Model:
    """The `Model` of a user's sequential Brevitas module, in the order its layers run on `example`.

    Raises `QapError` with the name of the first layer that can not be lowered. The module is run in eval mode
    and left in the mode it was in.
    """
    training = module.training
    module.eval()
    try:
        calls = _record_calls(module, example)
        ops: list[Op] = []
        masks: dict[str, np.ndarray] = {}
        for name, layer, _ in calls:
            ops += _ops_of(name, layer)
            if isinstance(layer, qnn.QuantLinear):
                mask = getattr(layer, "weight_mask", None)
                masks[name] = (mask if mask is not None else layer.weight != 0).detach().cpu().numpy().astype(bool)
        model = check(Model(tuple(ops), masks, {}, example.detach().cpu().numpy().astype(np.float32)))
        _compare(model, calls, example)
    finally:
        module.train(training)
    return model


def _record_calls(module: nn.Module, example: Tensor) -> list[tuple[str, nn.Module, Tensor]]:
    """Name, layer and output of every leaf that runs, in order."""
    calls: list[tuple[str, nn.Module, Tensor]] = []
    hooks = []

    def visit(name: str, part: nn.Module) -> None:
        if type(part) in LEAVES or isinstance(part, NOTHING_AT_INFERENCE) or not list(part.children()):

            def record(layer: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                calls.append((name, layer, _plain(output)))

            hooks.append(part.register_forward_hook(record))
            return
        for child, inner in part.named_children():
            visit(f"{name}.{child}" if name else child, inner)

    visit("", module)
    try:
        with torch.no_grad():
            module(example)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise QapError(f"the model does not run on the example input: {error}", "check the example's shape") from error
    finally:
        for hook in hooks:
            hook.remove()
    seen: set[int] = set()
    kept = []
    for name, layer, output in calls:
        if isinstance(layer, NOTHING_AT_INFERENCE):
            continue
        if type(layer) not in LEAVES:
            raise QapError(f"layer {name} ({type(layer).__name__}) can not be lowered", SUPPORTED)
        if id(layer) in seen:
            raise QapError(f"layer {name} runs more than once", "give every place in the chain its own layer")
        seen.add(id(layer))
        kept.append((name, layer, output))
    return kept


def _plain(value: Any) -> Tensor:
    return value.value if hasattr(value, "value") else value  # type: ignore[no-any-return]


def _ops_of(name: str, layer: nn.Module) -> list[Op]:
    kind = LEAVES[type(layer)]
    if kind == "dense":
        before, after = _io_quantizer(name, layer, "input_quant"), _io_quantizer(name, layer, "output_quant")
        return [*before, _dense(name, layer), *after]
    if kind == "batch_norm":
        return [_batch_norm(name, layer)]
    proxy = getattr(layer, "act_quant", None)
    quantizer = _activation_quantizer(name, proxy) if proxy is not None and proxy.is_quant_enabled else None
    if kind == "relu" and quantizer is not None and quantizer.signed:
        cure = "half of its integers can never occur: use an unsigned quantizer, for example Uint8ActPerTensorFloat"
        raise QapError(f"layer {name}: a ReLU with a signed quantizer", cure)
    if kind == "quantize" and quantizer is None:
        return []
    return [Op(name, kind, quantizer=quantizer)]


def _io_quantizer(name: str, layer: nn.Module, attribute: str) -> list[Op]:
    proxy = getattr(layer, attribute, None)
    if proxy is None or not proxy.is_quant_enabled:
        return []
    return [Op(f"{name}.{attribute}", "quantize", quantizer=_activation_quantizer(name, proxy))]


def _dense(name: str, layer: Any) -> Op:
    if not layer.weight_quant.is_quant_enabled:
        raise QapError(f"layer {name}: its weights are not quantized", "give it a weight quantizer")
    with torch.no_grad():
        quantized = layer.quant_weight()
    if not hasattr(quantized, "zero_point") or not hasattr(quantized, "bit_width"):
        raise QapError(f"layer {name}: its weight quantizer is not an integer one", "use an Int or Binary quantizer")
    if (quantized.zero_point != 0).any():
        raise QapError(f"layer {name}: its weights have a zero point", "use a symmetric weight quantizer")
    bits = int(quantized.bit_width.item())
    scale = quantized.scale.detach().cpu().numpy().astype(np.float32)
    quantizer = QuantSpec(
        bits,
        bool(quantized.signed),
        bool(layer.weight_quant.is_narrow_range),
        _squeeze(name, scale),
        rounding=_rounding(layer.weight_quant),
    )
    # The quantized values: a user's quantizer may do more than round (learned rounding), the integers are what counts.
    tensors = {"weight": quantized.value.detach().cpu().numpy().astype(np.float32)}
    if layer.bias is not None:
        bias = layer.bias
        if layer.bias_quant.is_quant_enabled:
            cached = layer.quant_bias() if hasattr(layer, "quant_bias") else None
            if cached is None:
                cure = "build it with cache_inference_quant_bias=True, or leave bias_quant out"
                raise QapError(f"layer {name}: its quantized bias can not be read", cure)
            bias = _plain(cached)
        tensors["bias"] = bias.detach().cpu().numpy().astype(np.float32)
    return Op(name, "dense", tensors, quantizer)


def _batch_norm(name: str, layer: Any) -> Op:
    if layer.running_mean is None:
        raise QapError(f"layer {name}: a batch norm without running statistics", "use track_running_stats=True")
    size = layer.num_features
    tensors = {
        "weight": layer.weight if layer.affine else torch.ones(size),
        "bias": layer.bias if layer.affine else torch.zeros(size),
        "running_mean": layer.running_mean,
        "running_var": layer.running_var,
    }
    plain = {key: value.detach().cpu().numpy().astype(np.float32) for key, value in tensors.items()}
    return Op(name, "batch_norm", plain, epsilon=float(layer.eps))


def _activation_quantizer(name: str, proxy: Any) -> QuantSpec:
    try:
        scale = proxy.scale().detach().cpu().numpy().astype(np.float32)
        bits, zero_point = int(proxy.bit_width().item()), int(proxy.zero_point().max().item())
    except (AttributeError, RuntimeError, TypeError) as error:
        raise QapError(f"layer {name}: its quantizer is not a uniform integer one", SUPPORTED) from error
    return QuantSpec(
        bits, bool(proxy.is_signed), bool(proxy.is_narrow_range), _squeeze(name, scale), zero_point, _rounding(proxy)
    )


def _rounding(proxy: Any) -> str:
    return str(getattr(proxy, "rounding_mode", "ROUND") or "ROUND").upper()


def _squeeze(name: str, scale: np.ndarray) -> np.ndarray:
    if max(scale.shape, default=1) != scale.size:
        raise QapError(f"layer {name}: a scale of shape {scale.shape}", "scales are per tensor or per output channel")
    return scale.reshape(()) if scale.size == 1 else scale.reshape(-1)


def _compare(model: Model, calls: list[tuple[str, nn.Module, Tensor]], example: Tensor) -> None:
    """The built module must give the user's own values after every layer, bit for bit."""
    built = build(model)
    found = {name: output for name, _, output in _record_calls(built, example.to("cpu", torch.float32))}
    for name, _, wanted in calls:
        ours = found.get(name.replace(".", "_"))
        if ours is not None and f"{name}.output_quant" not in {op.name for op in model.ops}:
            difference = (ours - wanted.detach().cpu()).abs().max().item()
            if difference > 0:
                cure = f"what stands before it in forward() is not a layer, or its quantizer is unusual; {SUPPORTED}"
                raise QapError(f"layer {name}: it computes something else than its parts ({difference:g})", cure)


# ---- values to a module


def build(model: Model) -> nn.Sequential:
    """A Brevitas module in eval mode that computes `model`; its layers have the operations' names."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for op in model.ops:
        layers[op.name.replace(".", "_")] = _layer(op)
    return nn.Sequential(layers).eval()


def _layer(op: Op) -> nn.Module:
    if op.kind == "dense":
        assert op.quantizer is not None
        outputs, inputs = op.tensors["weight"].shape
        layer = qnn.QuantLinear(inputs, outputs, bias="bias" in op.tensors, weight_quant=_weight_injector(op.quantizer))
        _fill(layer, op.tensors)
        return layer  # type: ignore[no-any-return]
    if op.kind == "batch_norm":
        norm = nn.BatchNorm1d(len(op.tensors["weight"]), eps=op.epsilon)
        _fill(norm, op.tensors)
        return norm
    if op.quantizer is None:
        return nn.ReLU() if op.kind == "relu" else nn.Hardtanh()
    if op.kind == "relu":
        return qnn.QuantReLU(act_quant=_activation_injector(op.quantizer))  # type: ignore[no-any-return]
    if op.kind == "hard_tanh":
        return qnn.QuantHardTanh(act_quant=_activation_injector(op.quantizer))  # type: ignore[no-any-return]
    return qnn.QuantIdentity(act_quant=_activation_injector(op.quantizer))  # type: ignore[no-any-return]


def _fill(layer: nn.Module, tensors: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for key, values in tensors.items():
            getattr(layer, key).copy_(torch.from_numpy(values))


def _injector(base: Any, quantizer: QuantSpec, scale: Tensor, **more: Any) -> Any:
    zero_point = ZeroZeroPoint() if quantizer.zero_point == 0 else ConstZeroPoint(quantizer.zero_point)
    return base.let(
        quant_type=QuantType.INT,
        bit_width_impl_type=BitWidthImplType.CONST,
        float_to_int_impl_type=FloatToIntImplType[quantizer.rounding],
        scaling_impl_type=ScalingImplType.CONST,
        restrict_scaling_type=RestrictValueType.FP,
        scaling_per_output_channel=False,
        int_scaling_impl=SingleArgStatelessBuffer(1.0),
        zero_point_impl=zero_point,
        bit_width=quantizer.bits,
        signed=quantizer.signed,
        narrow_range=quantizer.narrow,
        scaling_init=scale,
        **more,
    )


def _weight_injector(quantizer: QuantSpec) -> Any:
    scale = torch.from_numpy(quantizer.scale.reshape(-1, 1) if quantizer.scale.ndim else quantizer.scale)
    if quantizer.bits == 1:
        return SignedBinaryWeightPerTensorConst.let(scaling_impl_type=ScalingImplType.CONST, scaling_init=scale)
    return _injector(WeightQuantSolver, quantizer, scale)


def _activation_injector(quantizer: QuantSpec) -> Any:
    scale = torch.from_numpy(np.asarray(quantizer.scale))
    limit = float(quantizer.scale.max())
    if quantizer.bits == 1:
        return SignedBinaryActPerTensorConst.let(
            scaling_impl_type=ScalingImplType.CONST, scaling_init=scale, min_val=-limit, max_val=limit
        )
    # min_val and max_val only serve to initialise scales, which are constant here.
    return _injector(ActQuantSolver, quantizer, scale, min_val=-limit, max_val=limit)
