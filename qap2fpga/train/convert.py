# SPDX-License-Identifier: Apache-2.0
"""A trained network to what is saved: the values of a `model.pt`, or a state dict of floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec, check
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.quiet import quiet
from qap2fpga.train.network import EPSILON, Layer, Network
from qap2fpga.train.prune import layers_of
from qap2fpga.train.quantizers import ActivationQuantizer, PowerOfTwoActivationQuantizer


def integer_weights(network: Network) -> dict[str, NDArray[np.int64]]:
    """The integers, (outputs, inputs) by layer, that a quantized network really multiplies with."""
    network.apply_mask()
    found = {}
    for number, layer in enumerate(network.layers, 1):
        assert layer.quantizer is not None
        values = layer.quantizer.forward(layer.weight)
        found[f"fc{number}"] = torch.round(values / layer.quantizer.scale).cpu().numpy().astype(np.int64)
    return found


def zeros(network: Network) -> dict[str, NDArray[np.bool_]]:
    """Which weights are zero, (outputs, inputs) by layer: masked, or in a quantized network rounded to nothing."""
    if network.shape.weight_bits is not None:
        return {name: values == 0 for name, values in integer_weights(network).items()}
    network.apply_mask()
    return {name: (part == 0).cpu().numpy() for name, part in layers_of(network, network.weights)}


def to_model(network: Network, example: NDArray[np.float32], labels: NDArray[np.int64]) -> Model:
    """The values of a quantized network on the CPU; `example` (rows, inputs) are real, standardised inputs.

    Raises `CheckFailed` if the Brevitas module that these values make gives other logits for the example: a bug.
    """
    shape = network.shape
    assert shape.input_bits is not None
    scale = np.asarray(shape.input_scale, np.float32)
    ops = [Op("input", "quantize", quantizer=QuantSpec(shape.input_bits, True, False, scale))]
    for number, layer in enumerate(network.layers, 1):
        ops += _ops(number, layer)
    masks = {
        name: (part != 0).numpy()
        for name, part in layers_of(network, network.weights if network.mask is None else network.mask)
    }
    model = check(Model(tuple(ops), masks, {}, example, labels))
    with quiet(), torch.no_grad():
        built = build(model)(torch.from_numpy(example))
    ours = network.forward(quantize_inputs(torch.from_numpy(example), shape.input_bits, float(scale)), training=False)
    if not torch.equal(built, ours):
        difference = float((built - ours).abs().max())
        raise CheckFailed(f"the saved network gives other logits than the trained one ({difference:g})")
    return model


def quantize_inputs(x: Tensor, bits: int, scale: float) -> Tensor:
    """Standardised inputs as the network gets them: signed integers of `bits` times a power-of-two `scale`."""
    limit = 2 ** (bits - 1)
    return (x / scale).round_().clamp_(-limit, limit - 1).mul_(scale)


def float_state(network: Network) -> dict[str, Tensor]:
    """The state dict of the same network as a `torch.nn.Sequential` of fc1, bn1, act1, ..."""
    network.apply_mask()
    state: dict[str, Tensor] = {}
    for number, layer in enumerate(network.layers, 1):
        state |= {f"fc{number}.weight": layer.weight, f"fc{number}.bias": layer.bias}
        norm = {"weight": layer.gamma, "bias": layer.beta, "running_mean": layer.mean, "running_var": layer.variance}
        state |= {f"bn{number}.{key}": value for key, value in norm.items() if value is not None}
    return {key: value.detach().cpu().clone() for key, value in state.items()}


def _ops(number: int, layer: Layer) -> Sequence[Op]:
    """The operations of one layer."""
    assert layer.quantizer is not None
    weight, bias = layer.values()
    scale = layer.quantizer.scale.numpy()
    quantizer = QuantSpec(layer.quantizer.bits, True, True, scale.reshape(()) if scale.size == 1 else scale.reshape(-1))
    ops = [Op(f"fc{number}", "dense", {"weight": weight.numpy(), "bias": bias.clone().numpy()}, quantizer)]
    if layer.gamma is not None:
        norm = {"weight": layer.gamma, "bias": layer.beta, "running_mean": layer.mean, "running_var": layer.variance}
        tensors = {key: value.clone().numpy() for key, value in norm.items() if value is not None}
        ops.append(Op(f"bn{number}", "batch_norm", tensors, epsilon=EPSILON))
    activation = layer.activation
    if isinstance(activation, ActivationQuantizer | PowerOfTwoActivationQuantizer):
        rounding = "FLOOR" if isinstance(activation, PowerOfTwoActivationQuantizer) else "ROUND"
        step = activation.scale.clone().numpy()
        ops.append(Op(f"act{number}", "relu", quantizer=QuantSpec(activation.bits, False, False, step, 0, rounding)))
    return ops
