# SPDX-License-Identifier: Apache-2.0
"""State dicts that other programs wrote: the architecture is worked out from the tensors.

Two generations of Brevitas checkpoints are known. In the older one (2019, as in FPGA4HEP) scales sit under
`act_quant_proxy...learned_value`, weights have one scale an output channel and the inputs a signed quantizer;
in the newer one (2020 on, as in "Ps and Qs") under `act_quant...scaling_impl.value`, with one weight scale a
layer. Both store log2 of the activation's largest value. Bit widths are in neither. Later Brevitas stores the
value itself under the same key; only the list of modules that PyTorch keeps beside a state dict tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch

from qap2fpga.frontend.checkpoint import tensors
from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec
from qap2fpga.system import names
from qap2fpga.system.errors import QapError

OLD_SCALE, NEW_SCALE = "scaling_impl.learned_value", "scaling_impl.value"


# Where training programs put the state dict in their checkpoints, and how deep.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "module", "params", "weights")
DEEPEST = 2
# Counts training batches; nothing reads it at inference.
COUNTER = ".num_batches_tracked"
HINT = "save it with qap2fpga.save, or give model.state_dict() alone: torch.save(model.state_dict(), path)"


def unwrap(content: Mapping[object, object], path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the state dict that `content` is, or wraps as training checkpoints do.

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
    _check_scales(getattr(state, "_metadata", {}), path)
    return {
        key: tensors.floats(value, f"{path}: {place}{key}") for key, value in named.items() if not key.endswith(COUNTER)
    }


def _holds_tensors(value: object, depth: int) -> TypeGuard[dict[object, object]]:
    """Whether `value` is a dictionary with tensors in it, or in what it wraps."""
    if not isinstance(value, dict):
        return False
    if any(isinstance(item, torch.Tensor) for item in value.values()):
        return True
    return depth > 1 and any(_holds_tensors(value.get(key), depth - 1) for key in WRAPPERS)


def _check_weights(state: Mapping[str, object], path: Path) -> None:
    """Refuse a network with convolutions for these, whatever else could not be read of it."""
    for key, value in state.items():
        if key.endswith((".weight", ".weight_orig")) and isinstance(value, torch.Tensor) and value.dim() > 2:
            what = f"layer {key.rpartition('.')[0]} has a weight of shape {tuple(value.shape)}, as a convolution has"
            raise QapError(f"{path}: {what}", "qap2fpga takes chains of dense layers, with batch norm")


def _check_scales(modules: object, path: Path) -> None:
    """Refuse a state dict whose activation scales are not stored as log2, or with another arithmetic around it.

    `modules` has the names of the modules that wrote it (`state_dict._metadata`); it is empty when they were not
    kept. Brevitas from 0.11 on has a `restrict_threshold`: its scales differ in the last bit even where they are
    log2.
    """
    if not isinstance(modules, dict) or not all(isinstance(name, str) for name in modules):
        raise QapError(f"{path}: damaged: the list of modules beside the state dict is none", HINT)
    stored = re.compile(r"(.*\.act_quant\b.*\.scaling_impl)\.restrict_\w+\.restrict_value_impl(.*)")
    parts: dict[str, set[str]] = {}
    for match in filter(None, map(stored.fullmatch, modules)):
        parts.setdefault(match[1], set()).add(match[2].removeprefix("."))
    for scale, found in parts.items():
        if "power_of_two" not in found or "float_to_int_impl" in found or f"{scale}.restrict_threshold" in modules:
            raise QapError(
                f"{path}: {scale.split('.act_quant')[0]} has a scale of a kind that a state dict does not describe",
                "save the module itself with qap2fpga.save",
            )


def parse(
    arrays: dict[str, np.ndarray],
    path: Path,
    weight_bits: tuple[int, ...],
    activation_bits: tuple[int, ...],
    input_bits: int | None,
) -> Model:
    """The model behind a state dict. Raises `QapError` when bits or scales are missing or parts do not fit."""
    for key, value in arrays.items():
        if not value.size:
            raise QapError(f"{path}: {key} has shape {value.shape}, no values", "save the trained model again")
    arrays, masks = _apply_masks(arrays)
    norms = [key.removesuffix(".running_mean") for key in arrays if key.endswith(".running_mean")]
    dense = [key.removesuffix(".weight") for key, value in arrays.items() if key.endswith(".weight")]
    dense = [name for name in dense if name not in norms]
    for name in dense:
        if arrays[f"{name}.weight"].ndim != 2:
            raise QapError(
                f"{path}: layer {name} has a weight of shape {arrays[f'{name}.weight'].shape}",
                "qap2fpga takes chains of dense layers, with batch norm",
            )
    if not dense:
        raise QapError(f"{path}: no dense layer", "qap2fpga takes chains of dense layers")
    dense = _chain(dense, arrays)
    if not weight_bits:
        raise QapError(
            f"{path}: bit widths are not in the file", "give --bits N, or --weight-bits and --activation-bits"
        )
    old = any(key.endswith(OLD_SCALE) for key in arrays)
    scales = {key.split(".act_quant")[0]: value.item() for key, value in arrays.items() if _is_scale(key, value)}
    _refuse_unknown(arrays, {*dense, *norms}, path)
    acts = _in_order(list(scales))
    hidden = len(dense) - 1
    if len(acts) not in (hidden, hidden + 1):
        hint = f"{hidden} hidden activations need keys like 'act1.act_quant...{NEW_SCALE}'; save it with qap2fpga.save"
        raise QapError(f"{path}: {len(acts)} activation scales for {len(dense)} dense layers", hint)
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
            ops.append(_activation(name, scales[name], activations[seen - 1], signed=False))
        else:
            ops.append(_activation(name, scales[name], input_bits or (activations or weights)[0], signed=True))
    order = " ".join(names.labels(op.name for op in ops))
    note = f"architecture worked out from the tensors of {names.shown(path.name)}: {order}"
    return Model(tuple(ops), masks, {"source": path.name}, notes=(note,))


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
    return plain, masks


def _refuse_unknown(arrays: dict[str, np.ndarray], layers: set[str], path: Path) -> None:
    """What is not understood may change what the network computes."""
    known = ("weight", "bias", "running_mean", "running_var")
    for key, value in arrays.items():
        layer, _, last = key.rpartition(".")
        if not _is_scale(key, value) and not (layer in layers and last in known):
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


def _is_scale(key: str, value: np.ndarray) -> bool:
    return key.endswith((OLD_SCALE, NEW_SCALE)) and ".act_quant" in key and value.size == 1


def _one_each(bits: tuple[int, ...], count: int, option: str) -> tuple[int, ...]:
    if len(bits) == 1:
        return bits * count
    if len(bits) != count:
        raise QapError(f"{option} has {len(bits)} numbers for {count} layers", f"give one number, or {count}")
    return bits


def _match_norms(dense: list[str], norms: list[str]) -> list[str | None]:
    """The batch norm behind each dense layer: by their numbers (fc2, bn2), else in order."""

    def number(name: str) -> str:
        return (re.findall(r"\d+", name) or [""])[-1]

    by_number = {number(name): name for name in norms}
    if norms and len(by_number) == len(norms) and set(by_number) <= {number(name) for name in dense}:
        found = [by_number.get(number(name)) for name in dense]
    else:
        found = [*norms, *[None] * len(dense)][: len(dense)] if len(norms) <= len(dense) else []
        if not found:
            raise QapError(f"{len(norms)} batch norms for {len(dense)} dense layers", "save it with qap2fpga.save")
    return found


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


def _activation(name: str, stored: float, bits: int, *, signed: bool) -> Op:
    with np.errstate(over="ignore", under="ignore"):  # what comes of it is checked with every other scale
        threshold = np.float32(2.0) ** np.float32(stored)
    if bits == 1:
        return Op(name, "hard_tanh", quantizer=QuantSpec(1, True, True, np.asarray(threshold, np.float32)))
    largest = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    scale = np.asarray(np.float32(threshold) / np.float32(largest), np.float32)
    return Op(name, "quantize" if signed else "relu", quantizer=QuantSpec(bits, signed, signed, scale))
