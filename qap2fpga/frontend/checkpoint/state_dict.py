# SPDX-License-Identifier: Apache-2.0
"""State dicts that other programs wrote: the architecture is worked out from the tensors.

Two generations of Brevitas checkpoints are known. In the older one (2019, as in FPGA4HEP) scales sit under
`act_quant_proxy...learned_value`, weights have one scale per output channel and the inputs a signed quantizer;
in the newer one (2020 on, as in "Ps and Qs") under `act_quant...scaling_impl.value`, with one weight scale a
layer. How scales are stored is `scales`'. Bit widths are in neither, nor are strides, pads and pools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch

from qap2fpga.frontend.checkpoint import scales, tensors
from qap2fpga.frontend.checkpoint.scales import NEW_SCALE, OLD_SCALE, SAVE_IT
from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec
from qap2fpga.system import names
from qap2fpga.system.errors import QapError

# Where training programs put the state dict in their checkpoints, and how deep.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model_dict",
    "model",
    "network",
    "net",
    "module",
    "params",
    "weights",
)
DEEPEST = 2
# Counts training batches; nothing reads it at inference.
COUNTER = ".num_batches_tracked"
CONVOLUTION = f"strides, pads and pools are not in a state dict: {SAVE_IT}"
HINT = "save it with qap2fpga.save, or give model.state_dict() alone: torch.save(model.state_dict(), path)"


@dataclass(frozen=True)
class State:
    """The `arrays` of a state dict; `plain`: the layers whose scale is stored as it is."""

    arrays: dict[str, np.ndarray]
    plain: frozenset[str]


def unwrap(content: Mapping[object, object], path: Path) -> State:
    """Return the state dict that `content` is, or wraps as training checkpoints do.

    Raises `QapError` that names the keys where there is none, or more than one, and the first entry that is
    no tensor, or one that cannot be read exactly.
    """
    state, place = content, ""
    for _ in range(DEEPEST):
        inner = {key: value for key in WRAPPERS if _holds_tensors(value := state.get(key), DEEPEST)}
        if not inner:
            break
        if len(inner) > 1:
            raise QapError(f"{path}: each of {', '.join(place + key for key in inner)} may be the state dict", HINT)
        ((key, state),) = inner.items()
        place = f"{place}{key}."
    named = {key: value for key, value in state.items() if isinstance(key, str)}
    for other in state.keys() - named.keys():
        raise QapError(f"{path}: a key of the state dict is a {type(other).__name__}, not a text", HINT)
    if not any(isinstance(value, torch.Tensor) for value in named.values()):
        some = ", ".join(f"'{key}'" for key in list(named)[:8])
        raise QapError(f"{path}: has no tensors{f' under {place[:-1]}' if place else ''}, but the keys {some}", HINT)
    _check_weights(named, path)
    plain = scales.plain(getattr(state, "_metadata", {}), path)
    arrays = {
        key: tensors.floats(value, f"{path}: {place}{key}") for key, value in named.items() if not key.endswith(COUNTER)
    }
    return State(arrays, plain)


def _holds_tensors(value: object, depth: int) -> TypeGuard[dict[object, object]]:
    """Whether `value` is a dictionary with tensors in it, or in what it wraps."""
    if not isinstance(value, dict):
        return False
    if any(isinstance(item, torch.Tensor) for item in value.values()):
        return True
    return depth > 1 and any(_holds_tensors(value.get(key), depth - 1) for key in WRAPPERS)


def _check_weights(state: Mapping[str, object], path: Path) -> None:
    """Refuse a network with convolutions for these, or as not trained, whatever else could not be read of it."""
    for key, value in state.items():
        if key.endswith((".weight", ".weight_orig")) and isinstance(value, torch.Tensor) and value.dim() > 2:
            name, weights = key.rpartition(".")[0], tensors.floats(value, f"{path}: {key}")
            if not np.isfinite(weights).all():
                raise QapError(f"{path}: layer {name}: weight has NaN or infinite values", "train or export it again")
            what = f"layer {name} has a weight of shape {weights.shape}, as a convolution has"
            raise QapError(f"{path}: {what}", CONVOLUTION)


def parse(
    state: State,
    path: Path,
    weight_bits: tuple[int, ...],
    activation_bits: tuple[int, ...],
    input_bits: int | None,
) -> Model:
    """Return the model of a state dict. Raises `QapError` when bits or scales are missing or parts do not fit."""
    for key, value in state.arrays.items():
        if not value.size:
            raise QapError(f"{path}: {key} has shape {value.shape}, no values", "save the trained model again")
    arrays, masks = _apply_masks(state.arrays)
    norms = [key.removesuffix(".running_mean") for key in arrays if key.endswith(".running_mean")]
    dense = [key.removesuffix(".weight") for key, value in arrays.items() if key.endswith(".weight")]
    dense = [name for name in dense if name not in norms]
    for name in dense:
        if arrays[f"{name}.weight"].ndim != 2:
            raise QapError(
                f"{path}: layer {name} has a weight of shape {arrays[f'{name}.weight'].shape}",
                f"only chains of dense layers, with batch norm, can be worked out from tensors: {SAVE_IT}",
            )
    if not dense:
        raise QapError(f"{path}: no dense layer", "qap2fpga takes chains of dense layers")
    dense = _chain(dense, arrays)
    if not weight_bits:
        raise QapError(
            f"{path}: bit widths are not in the file", "give --bits N, or --weight-bits and --activation-bits"
        )
    old = any(key.endswith(OLD_SCALE) for key in arrays)
    thresholds = scales.thresholds(arrays, state.plain)
    _refuse_unknown(arrays, {*dense, *norms}, path)
    acts = _in_order(list(thresholds))
    hidden = len(dense) - 1
    if len(acts) not in (hidden, hidden + 1):
        hint = f"{hidden} hidden activations need keys like 'act1.act_quant...{NEW_SCALE}'; save it with qap2fpga.save"
        layers = f" ({', '.join(dense)})" if not acts else ""
        raise QapError(f"{path}: {len(acts)} activation scales for {len(dense)} dense layers{layers}", hint)
    weights = _one_each(weight_bits, len(dense), "--weight-bits")
    activations = _one_each(activation_bits, hidden, "--activation-bits")
    ops: list[Op] = []
    seen = 0
    for name in _arrange(dense, _in_order(norms), acts, path):
        if name in dense:
            ops.append(_dense(name, arrays, weights[seen], per_channel=old or weights[seen] == 1))
            seen += 1
        elif name in norms:
            ops.append(_norm(name, arrays))
        elif seen:
            ops.append(thresholds[name].quantizer(name, activations[seen - 1], signed=False))
        else:
            ops.append(thresholds[name].quantizer(name, input_bits or (activations or weights)[0], signed=True))
    order = " ".join(names.labels(op.name for op in ops))
    per = "output channel" if old else "layer"
    note = f"architecture worked out from the tensors of {names.shown(path.name)}: {order}"
    assumed = f"a state dict does not say how weights were scaled: one scale per {per} was assumed, of the largest"
    return Model(tuple(ops), masks, {"source": path.name}, notes=(note, assumed))


def _apply_masks(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`torch.nn.utils.prune` keeps `weight_orig` and `weight_mask`; the weight is their product."""
    plain: dict[str, np.ndarray] = {}
    masks: dict[str, np.ndarray] = {}
    for key, value in arrays.items():
        name = key.removesuffix(".weight_orig")
        if name != key:
            mask = arrays.get(f"{name}.weight_mask")
            if mask is None or mask.shape != value.shape:
                raise QapError(f"layer {name}: 'weight_orig' without a fitting 'weight_mask'", "save both")
            masks[name] = mask != 0
            plain[f"{name}.weight"] = np.where(masks[name], value, np.float32(0))
        elif not key.endswith(".weight_mask"):
            plain[key] = value
        elif f"{(layer := key.removesuffix('.weight_mask'))}.weight" in arrays:
            weight, masks[layer] = arrays[f"{layer}.weight"], value != 0
            if weight.shape != value.shape or weight[~masks[layer]].any():
                raise QapError(f"layer {layer}: 'weight_mask' does not fit its 'weight'", "save the masked weights")
    return plain, masks


def _refuse_unknown(arrays: dict[str, np.ndarray], layers: set[str], path: Path) -> None:
    """What is not understood may change what the network computes."""
    known = ("weight", "bias", "running_mean", "running_var")
    for key, value in arrays.items():
        layer, _, last = key.rpartition(".")
        if not scales.is_scale(key, value) and not (layer in layers and last in known):
            raise QapError(f"{path}: '{key}' is not known", "save the module itself with qap2fpga.save")


def _in_order(names: list[str]) -> list[str]:
    """Names in the order people count where they differ by a number (act2 before act10), else as in the file,

    which is the order in which the module was written.
    """
    return sorted(names, key=_numbers) if len({_pattern(name) for name in names}) < 2 else names


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _numbers(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


def _arrange(dense: list[str], norms: list[str], acts: list[str], path: Path) -> list[str]:
    """All layers in the order they run. `acts` are the hidden layers' activations, perhaps with the input's."""
    if len({_pattern(name) for name in (*dense, *norms, *acts)}) == 1:  # an nn.Sequential numbers all its layers
        chain = _in_order([*dense, *norms, *acts])
        kinds = "".join("d" if name in dense else "n" if name in norms else "a" for name in chain)
        if not re.fullmatch(r"a?dn?(adn?)*", kinds):
            raise QapError(f"{path}: layers in the order {' '.join(chain)}", "save the module with qap2fpga.save")
        return chain
    chain = []
    if len(acts) == len(dense):
        chain.append(_input_activation(dense, acts, path))
        acts = [name for name in acts if name != chain[0]]
    for index, (name, norm) in enumerate(zip(dense, _match_norms(dense, norms), strict=True)):
        chain += [name, *([norm] if norm else []), *acts[index : index + 1]]
    return chain


def _input_activation(dense: list[str], acts: list[str], path: Path) -> str:
    """The input's of as many activations as dense layers: the first, if it is the odd one or numbered before them."""
    odd = [name for name in acts if [_pattern(other) for other in acts].count(_pattern(name)) == 1]
    if odd == acts[:1] or len(odd) == len(acts) or _numbers(acts[0])[-1:] < _numbers(dense[0])[-1:]:
        return acts[0]
    raise QapError(
        f"{path}: of the activations {' '.join(acts)} the first may be the input's, or the last the output's",
        "save the module with qap2fpga.save",
    )


def _chain(names: list[str], arrays: dict[str, np.ndarray]) -> list[str]:
    names = _in_order(names)
    for left, right in pairwise(names):
        outputs, inputs = arrays[f"{left}.weight"].shape[0], arrays[f"{right}.weight"].shape[1]
        if outputs != inputs:
            raise QapError(
                f"layer {right} takes {inputs} inputs but {left} gives {outputs}",
                "only chains of dense layers can be worked out from tensors; save it with qap2fpga.save",
            )
    return names


def _one_each(bits: tuple[int, ...], count: int, option: str) -> tuple[int, ...]:
    if len(bits) == 1:
        return bits * count
    if len(bits) != count:
        raise QapError(f"{option} has {len(bits)} numbers for {count} layers", f"give one number, or {count}")
    return bits


def _match_norms(dense: list[str], norms: list[str]) -> list[str | None]:
    """The batch norm after each dense layer: by their numbers (fc2, bn2), else in order."""

    def number(name: str) -> str:
        return (re.findall(r"\d+", name) or [""])[-1]

    by_number = {number(name): name for name in norms}
    if norms and len(by_number) == len(norms) and set(by_number) <= {number(name) for name in dense}:
        matches = [by_number.get(number(name)) for name in dense]
    else:
        matches = [*norms, *[None] * len(dense)][: len(dense)] if len(norms) <= len(dense) else []
        if not matches:
            raise QapError(f"{len(norms)} batch norms for {len(dense)} dense layers", "save it with qap2fpga.save")
    return matches


def _norm(name: str, arrays: dict[str, np.ndarray]) -> Op:
    """A batch norm; one without affine parameters has gamma 1 and beta 0."""
    mean = arrays[f"{name}.running_mean"]
    if f"{name}.running_var" not in arrays:
        raise QapError(f"layer {name}: 'running_mean' without 'running_var'", "save both")
    tensors = {"running_mean": mean, "running_var": arrays[f"{name}.running_var"]}
    tensors["weight"] = arrays.get(f"{name}.weight", np.ones_like(mean))
    tensors["bias"] = arrays.get(f"{name}.bias", np.zeros_like(mean))
    return Op(name, "batch_norm", tensors)


def _dense(name: str, arrays: dict[str, np.ndarray], bits: int, *, per_channel: bool) -> Op:
    weight = arrays[f"{name}.weight"]
    tensors = {"weight": weight}
    if f"{name}.bias" in arrays:
        tensors["bias"] = arrays[f"{name}.bias"]
    largest = np.abs(weight).max(axis=1) if per_channel else np.abs(weight).max()
    # A neuron that is pruned away has no scale of its own; any will do for zeros.
    largest = np.where(largest > 0, largest, np.float32(1))
    scale = largest.astype(np.float32) / np.float32(max(1, 2 ** (bits - 1) - 1))
    return Op(name, "dense", tensors, QuantSpec(bits, True, True, np.asarray(scale, np.float32)))
