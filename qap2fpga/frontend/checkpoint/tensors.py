# SPDX-License-Identifier: Apache-2.0
"""Tensors of users' files as plain arrays: only what float32 holds exactly, and no more values than are stored."""

from __future__ import annotations

import numpy as np

from qap2fpga.system.errors import QapError

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


def array(value: object, where: str) -> tuple[np.ndarray, str]:
    """Return the values of a tensor, or of an array that stands for one, in their own type, and that type's name.

    Those of a bfloat16, which numpy has not, are float32. Raises `QapError` that names `where` if `value` is no plain
    tensor on the CPU.
    """
    if isinstance(value, np.ndarray):
        return value, str(value.dtype)
    import torch  # an array comes without it, and so without waiting for it

    if not isinstance(value, torch.Tensor):
        raise QapError(f"{where} is a {type(value).__name__}, not a tensor", "save the model again")
    if value.layout != torch.strided or value.is_complex() or value.is_quantized or value.is_nested:
        raise QapError(f"{where} is a complex, sparse or quantized tensor", "save plain float tensors")
    kind = str(value.dtype).removeprefix("torch.")
    if kind not in (*FLOATS, *INTEGERS, "bool"):
        raise QapError(f"{where} is of type {kind}", "save plain float tensors")
    if value.device.type != "cpu":
        raise QapError(f"{where} is on {value.device.type}", "save the model from the CPU")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise QapError(
            f"{where} has shape {tuple(value.shape)}, more values than are stored", "save it as a tensor of its own"
        )
    plain = value.detach().resolve_conj().resolve_neg()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy(), kind


def floats(value: object, where: str) -> np.ndarray:
    """Return the tensor `value` as float32. Raises `QapError` where that would change a value."""
    plain, kind = array(value, where)
    with np.errstate(over="ignore", invalid="ignore"):
        single = plain.astype(np.float32)
        same = (single.astype(plain.dtype) == plain) | (plain != plain)  # NaN is left to whoever reads the value
    if not same.all():
        raise QapError(
            f"{where} is of type {kind} and has values that float32 does not hold",
            "a network that was trained in float32 is expected: save module.float()",
        )
    return single


def whole(value: object, where: str) -> np.ndarray:
    """Return the tensor `value` of whole numbers as int64."""
    plain, kind = array(value, where)
    if kind not in INTEGERS:
        raise QapError(f"{where} is of type {kind}, not whole numbers", "save them as int64")
    return plain.astype(np.int64)


def truths(value: object, where: str) -> np.ndarray:
    """Return the tensor `value` of type bool."""
    plain, kind = array(value, where)
    if kind != "bool":
        raise QapError(f"{where} is of type {kind}, not bool", "save it as bool")
    return plain
