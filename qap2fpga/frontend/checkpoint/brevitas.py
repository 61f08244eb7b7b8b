# SPDX-License-Identifier: Apache-2.0
"""A user's own Brevitas module to `Model`: its layers, as they run, and the integers that they compute with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from qap2fpga.system.quiet import quiet

with quiet():
    import brevitas.nn as qnn

from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.frontend.checkpoint.recording import evaluated, kept_weights, plain
from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec, check
from qap2fpga.system import arrays
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from brevitas.proxy.quant_proxy import QuantProxyFromInjector
    from brevitas.proxy.runtime_quant import ActQuantProxyFromInjector

LEAVES: dict[type[nn.Module], str] = {
    qnn.QuantLinear: "dense",
    qnn.QuantReLU: "relu",
    qnn.QuantHardTanh: "hard_tanh",
    qnn.QuantIdentity: "quantize",
    nn.BatchNorm1d: "batch_norm",
    nn.ReLU: "relu",
}
NOTHING_AT_INFERENCE = (nn.Identity, nn.Dropout, nn.AlphaDropout, nn.Flatten)
STRESS_ROWS = 64
SUPPORTED = "supported: QuantIdentity, QuantLinear, BatchNorm1d, ReLU, QuantReLU, QuantHardTanh, Dropout, Flatten"


class NotAChain(QapError):
    """The module's layers do not run one after another, or are none that a chain of dense layers has."""


def require_rows(module: nn.Module, example: Tensor) -> None:
    """Raise `QapError` if there is no `example` for `module`, or if it is not on the CPU."""
    arrays.require_finite("the example input", example.numpy(), "give some rows of real inputs")
    if not example.ndim:
        raise QapError("the example input is one number", "give some rows of real inputs")
    places = {str(tensor.device) for tensor in (*module.parameters(), *module.buffers())} - {"cpu"}
    if places:  # whose sums round otherwise
        raise QapError(f"the model is on {', '.join(sorted(places))}", "move it before: save(module.cpu(), ...)")


def describe(module: nn.Module, example: Tensor) -> Model:
    """Return the `Model` of a user's sequential Brevitas module, in the order its layers run on `example`.

    `example` is (rows, ...); the model takes it flattened. Raises `QapError` with the name of the first layer that
    cannot be lowered. The module is run in eval mode and left in the mode it was in.
    """
    with evaluated(module):
        run = _record(module, example)
        ops: list[Op] = []
        masks: dict[str, np.ndarray] = {}
        for call in run.calls:
            ops += _ops_of(call.name, call.layer, call.bias)
            if isinstance(call.layer, qnn.QuantLinear):
                masks[call.name] = kept_weights(call.layer)
        rows = example.detach().cpu().numpy().astype(np.float32)
        model = check(Model(tuple(ops), masks, {}, rows.reshape(len(rows), -1) if rows.ndim > 2 else rows))
        given = [op.name for op in ops]
        _compare(model, given, run, example)
        # The example may never reach where forward() does something else: a clamp, a branch on the values.
        stress = torch.cat([factor * example[:STRESS_ROWS] for factor in (-1, 8, 0)])
        _compare(model, given, _record(module, stress), stress)
    return model


@dataclass(frozen=True)
class _Call:
    """One layer's run: its output, and its quantized bias if it has a bias quantizer."""

    name: str
    layer: nn.Module
    output: object
    bias: Tensor | None


@dataclass(frozen=True)
class _Run:
    """The calls of every leaf in order, and what the module returned."""

    calls: tuple[_Call, ...]
    output: object


def _record(module: nn.Module, example: Tensor) -> _Run:
    """Run `module` and see what its layers do. Raises `QapError` for a layer that is not known or runs twice."""
    calls: list[_Call] = []
    biases: dict[nn.Module, Tensor] = {}
    hooks = []

    def visit(name: str, part: nn.Module) -> None:
        known = isinstance(part, (*LEAVES, *NOTHING_AT_INFERENCE))
        if known or not list(part.children()) or hasattr(part, "weight_quant") or hasattr(part, "act_quant"):

            def record(layer: nn.Module, _inputs: object, output: object) -> None:
                calls.append(_Call(name or LEAVES.get(type(layer), "layer"), layer, plain(output), biases.get(layer)))

            def record_bias(_proxy: nn.Module, _inputs: object, output: object) -> None:
                bias = plain(output)
                assert isinstance(bias, Tensor)
                biases[part] = bias

            hooks.append(part.register_forward_hook(record))
            if isinstance(part, qnn.QuantLinear) and part.bias_quant.is_quant_enabled:
                hooks.append(part.bias_quant.register_forward_hook(record_bias))
            return
        for child, inner in part.named_children():
            visit(f"{name}.{child}" if name else child, inner)

    visit("", module)
    try:
        with torch.no_grad():
            output = plain(module(example))
    except Exception as error:  # a user's forward() raises what it likes
        raise QapError(f"the model does not run on the example input: {error}", "check the example's shape") from error
    finally:
        for hook in hooks:
            hook.remove()
    seen: set[int] = set()
    kept = []
    for call in calls:
        if isinstance(call.layer, NOTHING_AT_INFERENCE):
            continue
        if type(call.layer) not in LEAVES:
            raise NotAChain(f"layer {call.name} ({type(call.layer).__name__}) cannot be lowered", SUPPORTED)
        if id(call.layer) in seen:
            raise NotAChain(f"layer {call.name} runs more than once", "give every place in the chain its own layer")
        seen.add(id(call.layer))
        kept.append(call)
    return _Run(tuple(kept), output)


def _ops_of(name: str, layer: nn.Module, bias: Tensor | None) -> list[Op]:
    kind = LEAVES[type(layer)]
    if kind == "dense":
        before, after = _io_quantizer(name, layer, "input_quant"), _io_quantizer(name, layer, "output_quant")
        return [*before, _dense(name, layer, bias), *after]
    if isinstance(layer, nn.BatchNorm1d):
        return [_batch_norm(name, layer)]
    proxy = getattr(layer, "act_quant", None)
    quantizer = _activation_quantizer(name, proxy) if proxy is not None and proxy.is_quant_enabled else None
    if kind == "relu" and quantizer is not None and quantizer.signed:
        hint = "half of its integers can never occur: use an unsigned quantizer, for example Uint8ActPerTensorFloat"
        raise QapError(f"layer {name}: a ReLU with a signed quantizer", hint)
    if kind == "quantize" and quantizer is None:
        return []
    return [Op(name, kind, quantizer=quantizer)]


def _io_quantizer(name: str, layer: nn.Module, attribute: str) -> list[Op]:
    proxy = getattr(layer, attribute, None)
    if proxy is None or not proxy.is_quant_enabled:
        return []
    return [Op(f"{name}.{attribute}", "quantize", quantizer=_activation_quantizer(name, proxy))]


def _dense(name: str, layer: qnn.QuantLinear, quantized_bias: Tensor | None) -> Op:
    if not layer.weight_quant.is_quant_enabled:
        raise QapError(f"layer {name}: its weights are not quantized", "give it a weight quantizer")
    with torch.no_grad():
        quantized = layer.quant_weight()
    if not hasattr(quantized, "zero_point") or not hasattr(quantized, "bit_width"):
        raise QapError(f"layer {name}: its weight quantizer is not an integer one", "use an Int or Binary quantizer")
    if (quantized.zero_point != 0).any():
        raise QapError(f"layer {name}: its weights have a zero point", "use a symmetric weight quantizer")
    bits = int(quantized.bit_width.item())
    if bits == 1 and not torch.isfinite(quantized.value).all():
        hint = "use a Binary quantizer, for example SignedBinaryWeightPerTensorConst"
        raise QapError(f"layer {name}: an Int quantizer of 1 bit has no level beside 0", hint)
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
        bias = layer.bias if quantized_bias is None else quantized_bias
        tensors["bias"] = bias.detach().cpu().numpy().astype(np.float32).reshape(-1)
    return Op(name, "dense", tensors, quantizer)


def _batch_norm(name: str, layer: nn.BatchNorm1d) -> Op:
    if layer.running_mean is None or layer.running_var is None:
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


def _activation_quantizer(name: str, proxy: ActQuantProxyFromInjector) -> QuantSpec:
    try:
        scale = proxy.scale().detach().cpu().numpy().astype(np.float32)
        bits, zero_point = int(proxy.bit_width().item()), int(proxy.zero_point().max().item())
    except (AttributeError, RuntimeError, TypeError) as error:
        raise QapError(f"layer {name}: its quantizer is not a uniform integer one", SUPPORTED) from error
    return QuantSpec(
        bits, bool(proxy.is_signed), bool(proxy.is_narrow_range), _squeeze(name, scale), zero_point, _rounding(proxy)
    )


def _rounding(proxy: QuantProxyFromInjector) -> str:
    return str(getattr(proxy, "rounding_mode", "ROUND") or "ROUND").upper()


def _squeeze(name: str, scale: np.ndarray) -> np.ndarray:
    if max(scale.shape, default=1) != scale.size:
        raise QapError(f"layer {name}: a scale of shape {scale.shape}", "scales are per tensor or per output channel")
    return scale.reshape(()) if scale.size == 1 else scale.reshape(-1)


def _compare(model: Model, given: list[str], run: _Run, example: Tensor) -> None:
    """The built module must give the user's own values after every layer and at the end, bit for bit.

    `given` are the names in the user's module of the model's operations.
    """
    built = _record(build(model), example.to("cpu", torch.float32).reshape(len(example), -1))
    outputs = {name: call.output for name, call in zip(given, built.calls, strict=True)}
    quantized_behind = {name for name in given if name.endswith(".output_quant")}
    for call in run.calls:
        ours = outputs.get(call.name)
        if ours is not None and f"{call.name}.output_quant" not in quantized_behind:
            difference = _difference(ours, call.output)
            if difference != 0:
                hint = f"what stands before it in forward() is not a layer, or its quantizer is unusual; {SUPPORTED}"
                raise NotAChain(f"layer {call.name}: it computes something else than its parts ({difference:g})", hint)
    if _difference(built.output, run.output) != 0:
        raise NotAChain(
            f"forward() does not return what layer {run.calls[-1].name}, the last one, gives",
            "return that alone; a Softmax or the like belongs after the network, on the host",
        )


def _difference(ours: object, theirs: object) -> float:
    """The largest difference of two tensors (rows, ...), infinite where they are none or their sizes differ."""
    if not isinstance(ours, Tensor) or not isinstance(theirs, Tensor) or ours.numel() != theirs.numel():
        return float("inf")
    return float((ours.reshape(-1) - theirs.detach().cpu().reshape(-1)).abs().max())
