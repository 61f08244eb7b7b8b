# SPDX-License-Identifier: Apache-2.0
"""The activation scales of a state dict, as far as it describes them.

A scale is the largest value divided by the largest integer. Brevitas stores the log2 of that value or the value itself
under the same keys; only the list of modules that PyTorch keeps beside a state dict tells which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.frontend.checkpoint.spec import Op, QuantSpec
from qap2fpga.system.errors import QapError

OLD_SCALE, NEW_SCALE = "scaling_impl.learned_value", "scaling_impl.value"
SAVE_IT = "save the module itself with qap2fpga.save"
RESTRICTION = re.compile(r"(.*\.act_quant\b.*\.scaling_impl)\.restrict_\w+\.restrict_value_impl(.*)")


@dataclass(frozen=True)
class Threshold:
    """The largest `value` of a layer's activations. `plain`: it was stored as it is, by a Brevitas whose signed
    quantizers have one integer more below 0 than above.
    """

    value: np.float32
    plain: bool

    def quantizer(self, name: str, bits: int, *, signed: bool) -> Op:
        """Return the activation of layer `name`, with this scale, of so many `bits`; one bit is the sign."""
        if bits == 1:
            return Op(name, "hard_tanh", quantizer=QuantSpec(1, True, True, np.asarray(self.value)))
        narrow = signed and not self.plain
        largest = 2 ** (bits - 1) - narrow if signed else 2**bits - 1
        scale = np.asarray(self.value / np.float32(largest), np.float32)
        return Op(name, "quantize" if signed else "relu", quantizer=QuantSpec(bits, signed, narrow, scale))


def is_scale(key: str, value: np.ndarray) -> bool:
    """Return whether an entry is the scale of an activation."""
    return key.endswith((OLD_SCALE, NEW_SCALE)) and ".act_quant" in key and value.size == 1


def thresholds(arrays: Mapping[str, np.ndarray], plain: frozenset[str]) -> dict[str, Threshold]:
    """Return the largest value of each layer's activations; of those in `plain` it is stored as it is."""
    stored = {_layer(key): np.float32(value.item()) for key, value in arrays.items() if is_scale(key, value)}
    with np.errstate(over="ignore", under="ignore"):  # what comes of it is checked with every other scale
        return {
            name: Threshold(np.abs(value) if name in plain else np.float32(2.0) ** value, name in plain)
            for name, value in stored.items()
        }


def plain(modules: object, path: Path) -> frozenset[str]:
    """Return the layers whose scale is stored as it is, not as its log2.

    `modules` has the names of the modules that wrote the file (`state_dict._metadata`); it is empty when they were not
    kept. Raises `QapError` for another arithmetic: powers of two are rounded in ways that the names do not tell, and
    from 0.11 on (with a `restrict_threshold`) Brevitas' log2 scales differ in the last bit. Also for a bias quantizer.
    """
    if not isinstance(modules, dict) or not all(isinstance(name, str) for name in modules):
        hint = "give model.state_dict() alone: torch.save(model.state_dict(), path)"
        raise QapError(f"{path}: damaged: the list of modules beside the state dict is none", hint)
    bias = next((name for name in modules if name.endswith(".bias_quant.tensor_quant")), None)
    if bias is not None:
        what = f"the bias of {bias.removesuffix('.bias_quant.tensor_quant')} has a quantizer"
        raise QapError(f"{path}: {what}, which a state dict does not describe", SAVE_IT)
    parts: dict[str, set[str]] = {}
    for match in filter(None, map(RESTRICTION.fullmatch, modules)):
        parts.setdefault(match[1], set()).add(match[2].removeprefix("."))
    kept = set()
    for scale, kinds in parts.items():
        if kinds <= {"", "apply_abs"}:
            kept.add(_layer(scale))
        elif "power_of_two" not in kinds or "float_to_int_impl" in kinds or f"{scale}.restrict_threshold" in modules:
            raise QapError(
                f"{path}: {_layer(scale)} has a scale of a kind that a state dict does not describe", SAVE_IT
            )
    return frozenset(kept)


def _layer(key: str) -> str:
    return key.split(".act_quant")[0]
