# SPDX-License-Identifier: Apache-2.0
"""What hls4ml 1.3.0 needs to be told, or kept from, so that an integer network stays exact. All of it is here.

- Its QONNX reader fails on distributed arithmetic and on compression (`get_input_layers` looks up tensor names as
  layers; `bn_fuse` raises). The model is made from a list of layers instead, whose tensors are named as the layers.
- A weight type `int<2>` is taken as ternary: -2 would become +1 (`product_type`, `weight_ternary`).
  `weight_bits` gives one bit more then.
- 'resource_unrolled' takes another reuse factor than asked for, or none at all, and then writes code that does not
  compile. `reuse_factor` chooses among those that it can do.
- 'distributed_arithmetic' takes fixed-point inputs only, so integers become `fixed<n,n>` there (`precision`).
- A convolution's kernel of one row ignores the stride of rows in a stream, and a depthwise one has an empty line buffer
  there (`kernels`). Pooling pads unsigned numbers with half their range, takes no stride but its kernel's in a stream,
  and averages in the output's type: pools, pads and joins are layers of ours (`translate`).
- Depthwise layers know 'latency' alone (`reuse_factor`), and a convolution in parallel becomes 'resource' where
  'resource_unrolled' was asked for (`limits`).
- A convolution of one tap gets another number, while its weights keep theirs (`weights_number`).
- Writing stamps a random number and the absolute output folder into the project (`write`).
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

from qap2fpga.backends.hls4ml.options import DISTRIBUTED, LATENCY, RESOURCE, UNROLLED
from qap2fpga.system.errors import QapError

TESTED = ("1.3.0",)
TESTED_DA4ML = ("0.5.2",)


def version() -> str:
    """The installed hls4ml version. Raises `QapError` if it is missing or not one that was tested."""
    return _tested("hls4ml", TESTED)


def require(strategy: str) -> None:
    """Raise `QapError` if hls4ml, or what it needs for `strategy`, is missing or not a tested version."""
    version()
    if strategy == DISTRIBUTED:
        _tested("da4ml", TESTED_DA4ML, f" for strategy '{DISTRIBUTED}'")


def _tested(package: str, versions: tuple[str, ...], why: str = "") -> str:
    hint = f"pip install {package}=={versions[-1]}"
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise QapError(f"{package} is not installed; it is needed{why or ' for backend hls4ml'}", hint) from error
    if installed not in versions:
        tested = versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"
        raise QapError(f"{package} {installed} was not tested with this program (tested: {tested})", hint)
    return installed


def precision(bits: int, signed: bool, strategy: str) -> str:
    """hls4ml's name for an integer of `bits`."""
    sign = "" if signed else "u"
    return f"{sign}fixed<{bits},{bits}>" if strategy == DISTRIBUTED else f"{sign}int<{bits}>"


def weight_bits(low: int, high: int, width: int) -> int:
    """Bits of the signed type that hls4ml multiplies weights `low..high`, which need `width`, rightly with."""
    return 3 if width == 2 and low < -1 else max(2, width)


def reuse_factor(
    backend: Any, inputs: int, outputs: int, target: int, strategy: str, depthwise: bool = False
) -> tuple[str, int]:
    """(strategy, reuse factor) of one layer, the nearest to `target` that hls4ml can do and write.

    A layer in which no multiplier can be shared is written as 'latency'.
    """
    if depthwise:
        return LATENCY, target
    if strategy not in (UNROLLED, RESOURCE):
        return strategy, target
    possible = [factor for factor in backend.get_valid_reuse_factors(inputs, outputs) if factor > 1]
    if strategy == UNROLLED:
        possible = possible[:-1]
    if not possible:
        return LATENCY, target
    return strategy, min(possible, key=lambda factor: (abs(factor - target), factor))


def weights_number(layer: Any) -> int:
    """Return the number in the name of `layer`'s file of weights; its own where an adder graph takes their place."""
    weights = [int(one.name.removeprefix("w")) for name, one in layer.weights.items() if name == "weight"]
    return weights[0] if weights else int(layer.index)


def write(model: Any, folder: Path) -> None:
    """Write the project of `model` into `folder`; the same network gives the same bytes."""
    model.config.config["Stamp"] = hashlib.sha256(model.config.get_project_name().encode()).hexdigest()[:8]
    model.config.backend.writer.write_hls(model)
    described = folder / "hls4ml_config.yml"
    described.write_text(described.read_text().replace(str(folder), "."))
