# SPDX-License-Identifier: Apache-2.0
"""State dicts that other programs wrote: the architecture is worked out from the tensors.

Two generations of Brevitas checkpoints are known. In the older one (2019, as in FPGA4HEP) scales sit under
`act_quant_proxy...learned_value`, weights have one scale an output channel and the inputs a signed quantizer;
in the newer one (2020 on, as in "Ps and Qs") under `act_quant...scaling_impl.value`, with one weight scale a
layer. Both store log2 of the activation's largest value. Bit widths are in neither.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from qap2fpga.checkpoint.spec import Model, Op, QuantSpec
from qap2fpga.errors import QapError

OLD_SCALE, NEW_SCALE = "scaling_impl.learned_value", "scaling_impl.value"


def parse(
    arrays: dict[str, np.ndarray],
    path: Path,
    weight_bits: tuple[int, ...],
    activation_bits: tuple[int, ...],
    input_bits: int | None,
) -> Model:
    """The model behind a state dict. Raises `QapError` when bits or scales are missing or parts do not fit."""
    arrays, masks = _apply_masks(arrays)
    norms = {key.removesuffix(".running_mean") for key in arrays if key.endswith(".running_mean")}
    dense = _natural(
        key.removesuffix(".weight")
        for key, value in arrays.items()
        if key.endswith(".weight") and value.ndim == 2 and key.removesuffix(".weight") not in norms
    )
    if not dense:
        others = sorted({str(value.ndim) for key, value in arrays.items() if key.endswith("weight")})
        raise QapError(
            f"{path}: no dense layer (weights have {', '.join(others) or 'no'} dimensions)",
            "qap2fpga takes chains of dense layers",
        )
    dense = _chain(dense, arrays)
    if len({arrays[f"{name}.weight"].shape[1] for name in dense}) and not weight_bits:
        raise QapError(
            f"{path}: bit widths are not in the file", "give --bits N, or --weight-bits and --activation-bits"
        )
    old = any(key.endswith(OLD_SCALE) for key in arrays)
    scales = {key.split(".act_quant")[0]: float(value) for key, value in arrays.items() if _is_scale(key, value)}
    acts = _natural(scales)
    hidden = len(dense) - 1
    if len(acts) not in (hidden, hidden + 1):
        cure = f"{hidden} hidden activations need keys like 'act1.act_quant...{NEW_SCALE}'; save it with qap2fpga.save"
        raise QapError(f"{path}: {len(acts)} activation scales for {len(dense)} dense layers", cure)
    weights = _one_each(weight_bits, len(dense), "--weight-bits")
    activations = _one_each(activation_bits, hidden, "--activation-bits")
    ops: list[Op] = []
    if len(acts) > hidden:
        first = acts.pop(0)
        ops.append(_activation(first, scales[first], input_bits or (activations or weights)[0], signed=True))
    norm_of = _match_norms(dense, _natural(norms), arrays)
    for index, name in enumerate(dense):
        ops.append(_dense(name, arrays, weights[index], per_channel=old or weights[index] == 1))
        if norm_of[index] is not None:
            keys = ("weight", "bias", "running_mean", "running_var")
            ops.append(Op(norm_of[index] or "", "batch_norm", {key: arrays[f"{norm_of[index]}.{key}"] for key in keys}))
        if index < hidden:
            ops.append(_activation(acts[index], scales[acts[index]], activations[index], signed=False))
    note = f"architecture worked out from the tensors of {path.name}: {' '.join(op.name for op in ops)}"
    return Model(tuple(ops), masks, {"source": path.name}, notes=(note,))


def _apply_masks(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`torch.nn.utils.prune` keeps `weight_orig` and `weight_mask`; the weight is their product."""
    plain, masks = dict(arrays), {}
    for key in arrays:
        if key.endswith(".weight_orig"):
            name = key.removesuffix(".weight_orig")
            mask = plain.pop(f"{name}.weight_mask", None)
            original = plain.pop(key)
            if mask is None or mask.shape != original.shape:
                raise QapError(f"layer {name}: 'weight_orig' without a fitting 'weight_mask'", "save both")
            masks[name] = mask != 0
            plain[f"{name}.weight"] = np.where(masks[name], original, np.float32(0))
    return plain, masks


def _natural(names: object) -> list[str]:
    """Names in the order people count: act2 before act10."""
    assert hasattr(names, "__iter__")
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def _chain(names: list[str], arrays: dict[str, np.ndarray]) -> list[str]:
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


def _match_norms(dense: list[str], norms: list[str], arrays: dict[str, np.ndarray]) -> list[str | None]:
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
    threshold = np.float32(2.0) ** np.float32(stored)
    if bits == 1:
        return Op(name, "hard_tanh", quantizer=QuantSpec(1, True, True, np.asarray(threshold, np.float32)))
    largest = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    scale = np.asarray(np.float32(threshold) / np.float32(largest), np.float32)
    return Op(name, "quantize" if signed else "relu", quantizer=QuantSpec(bits, signed, signed, scale))
