# SPDX-License-Identifier: Apache-2.0
"""Any Brevitas module, run: what it gives for some rows, and what its quantizers give on the way."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from qap2fpga.system.quiet import quiet

with quiet():
    from brevitas.proxy.runtime_quant import ActQuantProxyFromInjectorBase, TruncQuantProxyFromInjector

from qap2fpga.frontend.checkpoint.exported import Recording
from qap2fpga.system.errors import QapError

QUANTIZERS = (ActQuantProxyFromInjectorBase, TruncQuantProxyFromInjector)
# Values of quantizers that are kept, for no less than so many rows and no more than so many.
VALUES, FEWEST_ROWS, MOST_ROWS = 1 << 14, 8, 256


@contextlib.contextmanager
def evaluated(module: nn.Module) -> Iterator[nn.Module]:
    """`module` in eval mode, and afterwards, layer by layer, in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes.items():
            part.training = mode


def record(module: nn.Module, inputs: Tensor, nodes: Collection[str]) -> Recording:
    """Return what the module, which is in eval mode, gives for `inputs` (rows, ...), and at the graph's `nodes`.

    A quantizer that runs more often than it is in the graph, which leaves out what is there twice or unused, is not
    recorded. Raises `QapError` for a module that does not run or that returns something else than one tensor.
    """
    outputs, _ = _run(module, inputs, listening=False)
    _, one = _run(module, inputs[:1])
    values = sum(value.numel() for calls in one.values() for value in calls)
    rows = min(max(VALUES // max(values, 1), FEWEST_ROWS), MOST_ROWS)
    levels: dict[str, np.ndarray] = {}
    for path, calls in _run(module, inputs[:rows])[1].items():
        names = [call_name(path, call) for call in range(len(calls))]
        if all(name in nodes for name in names):
            levels |= {name: _array(value) for name, value in zip(names, calls, strict=True)}
    return Recording(_array(outputs), levels)


def _run(module: nn.Module, inputs: Tensor, *, listening: bool = True) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The outputs, and if `listening` what each call of a quantizer gave, by its path."""
    levels: dict[str, list[Tensor]] = defaultdict(list)
    hooks = []

    def listen(path: str, quantizer: nn.Module) -> None:
        def keep(_quantizer: nn.Module, _inputs: object, output: object) -> None:
            value = plain(output)
            # Brevitas runs a quantizer on nothing, too, to ask for its scale.
            if isinstance(value, Tensor) and value.ndim > 1 and len(value) == len(inputs):
                levels[path].append(value)

        hooks.append(quantizer.register_forward_hook(keep))

    for path, part in module.named_modules():
        of_brevitas = isinstance(part, QUANTIZERS) and part.is_quant_enabled
        if listening and (of_brevitas or getattr(part, "records_levels", False)):
            listen(path, part)
    try:
        with torch.no_grad():
            output = _joined(module(inputs), len(inputs))
    except Exception as error:  # a user's forward() raises what it likes
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise QapError(f"the model does not run on the example input: {first}", "check the example's shape") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(output, Tensor):
        number = f" of {len(output)}" if isinstance(output, list | tuple) else ""
        what = f"a {type(output).__name__}{number}"
        raise QapError(f"forward() returns {what}", "return a tensor, or several of shape (rows, outputs)")
    if output.ndim < 2 or len(output) != len(inputs):
        what = f"forward() returns shape {tuple(output.shape)} for {len(inputs)} rows"
        raise QapError(what, "the first dimension counts rows")
    return output, levels


def _joined(value: object, rows: int) -> object:
    """Several heads, (rows, outputs) each, side by side as they leave the chip; anything else as it is."""
    if not isinstance(value, list | tuple) or hasattr(value, "value"):  # a quantized tensor is a tuple, too
        return plain(value)
    parts = [plain(one) for one in value]
    heads = [one for one in parts if isinstance(one, Tensor) and one.ndim == 2 and len(one) == rows]
    return torch.cat(heads, dim=1) if heads and len(heads) == len(parts) else value


def plain(value: object) -> object:
    """The plain tensor of a quantized tensor; anything else, which a module may return, as it is."""
    return getattr(value, "value", value)


def kept_weights(layer: nn.Module) -> np.ndarray:
    """Return which weights of a layer were kept: as torch's pruning says, or as the zeros do."""
    mask, weight = getattr(layer, "weight_mask", None), layer.weight
    assert isinstance(weight, Tensor)
    kept = mask if mask is not None else weight != 0
    return np.asarray(kept.detach().cpu().numpy().astype(bool))


def call_name(path: str, call: int) -> str:
    """Return the name of a quantizer's `call`: that of the layer that it is of, as a user calls it."""
    owner, _, proxy = path.rpartition(".")
    name = owner if proxy in ("act_quant", "trunc_quant") else path
    return f"{name or proxy}_{call}" if call else name or proxy


def _array(value: Tensor) -> np.ndarray:
    array: np.ndarray = value.detach().numpy().astype(np.float32)
    return array
