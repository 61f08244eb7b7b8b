# SPDX-License-Identifier: Apache-2.0
"""Tensors of users' files as plain arrays: only what float32 holds exactly, and no more values than are stored."""

from __future__ import annotations

import numpy as np
import torch

from qap2fpga.system.errors import QapError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def plain_tensor(value: object, where: str) -> torch.Tensor:
    """Return `value`. Raises `QapError` that names `where` if it is no plain tensor on the CPU."""
    if not isinstance(value, torch.Tensor):
        raise QapError(f"{where} is a {type(value).__name__}, not a tensor", "save the model again")
    if value.layout != torch.strided or value.is_complex() or value.is_quantized or value.is_nested:
        raise QapError(f"{where} is a complex, sparse or quantized tensor", "save plain float tensors")
    if value.dtype not in (*FLOATS, *INTEGERS, torch.bool):
        raise QapError(f"{where} is of type {_name(value.dtype)}", "save plain float tensors")
    if value.device.type != "cpu":
        raise QapError(f"{where} is on {value.device.type}", "save the model from the CPU")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise QapError(
            f"{where} has shape {tuple(value.shape)}, more values than are stored", "save it as a tensor of its own"
        )
    return value.detach().resolve_conj().resolve_neg()


def _array(plain: torch.Tensor) -> np.ndarray:
    """The values as an array of their own type; bfloat16, which numpy has not, as float32."""
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def floats(value: object, where: str) -> np.ndarray:
    """Return the tensor `value` as float32. Raises `QapError` where that would change a value."""
    tensor = plain_tensor(value, where)
    plain = _array(tensor)
    with np.errstate(over="ignore", invalid="ignore"):
        single = plain.astype(np.float32)
        same = (single.astype(plain.dtype) == plain) | (plain != plain)  # NaN is left to whoever reads the value
    if not same.all():
        raise QapError(
            f"{where} is of type {_name(tensor.dtype)} and has values that float32 does not hold",
            "a network that was trained in float32 is expected: save module.float()",
        )
    return single


def whole(value: object, where: str) -> np.ndarray:
    """Return the tensor `value` of whole numbers as int64."""
    tensor = plain_tensor(value, where)
    plain = _array(tensor)
    if tensor.dtype not in INTEGERS:
        raise QapError(f"{where} is of type {_name(tensor.dtype)}, not whole numbers", "save them as int64")
    return plain.astype(np.int64)


def truths(value: object, where: str) -> np.ndarray:
    """Return the tensor `value` of type bool."""
    tensor = plain_tensor(value, where)
    plain = _array(tensor)
    if tensor.dtype != torch.bool:
        raise QapError(f"{where} is of type {_name(tensor.dtype)}, not bool", "save it as bool")
    return plain


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
