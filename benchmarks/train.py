# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of training, ours and the plain way: `python benchmarks/train.py`. Prints one JSON object.

- Epochs a second on the CPU, at 6 bits, batch 1024, one thread: `qap2fpga.train.loop` beside a torch DataLoader over
  a Dataset that gives one row at a time and a Brevitas network, as in the code of Hawks et al. 2021. The same rows,
  the same network, in turns; the gradient step is also timed without the DataLoader, to say where the gain is.
- The largest memory of a process that loads 830,000 x 16 rows from a file and trains an epoch of a run on them.
- With CUDA, the time of a whole fine-tuning schedule on 470,000 rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from qap2fpga.train import config as configs
from qap2fpga.train import loss
from qap2fpga.train.adam import Adam
from qap2fpga.train.loop import Recipe, Rows, _one_epoch
from qap2fpga.train.network import Network, Shape
from qap2fpga.train.run import one_thread, run

SIZES, BITS, BATCH = (16, 64, 32, 32, 5), 6, 1024
LEARNING_RATE, L1 = 1e-3, 1e-4
ALL_ROWS, GPU_ROWS = 830_000, 470_000
SCALE = 2.0**-5


def jets(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the shape of the jets: `rows` x 16 normal features around one centre a class, and 5 classes."""
    random = np.random.default_rng(1)
    y = random.integers(0, SIZES[-1], rows)
    centres = random.normal(0, 1, (SIZES[-1], SIZES[0]))
    return (centres[y] + random.normal(0, 1, (rows, SIZES[0]))).astype(np.float32), y


class RowByRow(Dataset[tuple[np.ndarray, np.ndarray]]):
    """One row at a time, with its label as a row of zeros and a one, as the paper's code gives them."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x, np.eye(SIZES[-1], dtype=np.float32)[y]

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[row], self.y[row]


def brevitas_network() -> nn.Sequential:
    """The network in Brevitas' own modules."""
    import brevitas.nn as qnn
    from brevitas.core.restrict_val import RestrictValueType
    from brevitas.core.scaling import ScalingImplType
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat

    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["input"] = qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat,
        bit_width=8,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=SCALE * 128,
        restrict_scaling_type=RestrictValueType.POWER_OF_TWO,
    )
    for number, (inputs, outputs) in enumerate(pairwise(SIZES), 1):
        layers[f"fc{number}"] = qnn.QuantLinear(
            inputs, outputs, bias=True, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=BITS
        )
        if number < len(SIZES) - 1:
            layers[f"bn{number}"] = nn.BatchNorm1d(outputs)
            layers[f"act{number}"] = qnn.QuantReLU(
                act_quant=Uint8ActPerTensorFloat,
                bit_width=BITS,
                scaling_impl_type=ScalingImplType.PARAMETER,
                scaling_init=6.0,
                restrict_scaling_type=RestrictValueType.LOG_FP,
            )
    return nn.Sequential(layers)


class Plain:
    """An epoch the plain way; `by_rows` False leaves out the DataLoader: slices of tensors instead."""

    def __init__(self, x: np.ndarray, y: np.ndarray, *, by_rows: bool) -> None:
        self.network = brevitas_network().train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE)
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.loader = DataLoader(RowByRow(x, y), batch_size=BATCH, shuffle=True) if by_rows else None

    def __call__(self) -> None:
        layers = [layer for name, layer in self.network.named_children() if name.startswith("fc")]
        for x, y in self.loader if self.loader is not None else self._slices():
            value = cross_entropy(self.network(x), y)
            value = value + L1 * torch.stack([layer.weight.abs().sum() for layer in layers]).sum()  # type: ignore[operator,union-attr]
            self.optimizer.zero_grad()
            value.backward()
            self.optimizer.step()

    def _slices(self) -> Any:
        order = torch.randperm(len(self.y))
        return zip(torch.split(self.x[order], BATCH), torch.split(self.y[order], BATCH), strict=True)


class Ours:
    """An epoch of `qap2fpga.train.loop`."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        bits = (BITS,) * (len(SIZES) - 1)
        self.network = Network(Shape(SIZES, bits, bits[1:], None, 8, SCALE, True))
        self.network.initialise()
        self.rows = Rows(torch.from_numpy(x), torch.from_numpy(y))
        self.recipe = Recipe(100, 100, LEARNING_RATE, BATCH, L1, loss.choose("cross_entropy", False), "constant")
        self.optimizer = Adam(self.network.parameters, self.network.gradient)
        self.generator = torch.Generator().manual_seed(1)

    @torch.no_grad()
    def __call__(self) -> None:
        _one_epoch(self.network, self.rows, self.recipe, self.optimizer, LEARNING_RATE, self.generator)


def speed(rows: int, turns: int) -> dict[str, Any]:
    """Epochs a second of each way, in turns, after one epoch that does not count."""
    x, y = jets(rows)
    ways = {
        "ours": Ours(x, y),
        "DataLoader by rows, Brevitas": Plain(x, y, by_rows=True),
        "slices of tensors, Brevitas": Plain(x, y, by_rows=False),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    with one_thread():
        for turn in range(turns + 1):
            for name, epoch in ways.items():
                begin, begin_cpu = time.perf_counter(), time.process_time()
                epoch()
                if turn:
                    times[name].append(time.perf_counter() - begin)
                    cpu[name].append(time.process_time() - begin_cpu)
    report: dict[str, Any] = {"rows": rows, "batch": BATCH, "bits": BITS, "turns": turns}
    for name in ways:
        report[name] = {
            "epochs_per_second": spread([1 / seconds for seconds in times[name]]),
            "epochs_per_cpu_second": spread([1 / seconds for seconds in cpu[name]]),
        }
    for unit in ("epochs_per_second", "epochs_per_cpu_second"):
        base = report["ours"][unit]["median"]
        report[f"times_faster_by_{unit}"] = {
            name: round(base / report[name][unit]["median"], 2) for name in ways if name != "ours"
        }
    return report


def spread(values: list[float]) -> dict[str, float]:
    """Lowest, middle and highest."""
    return {
        name: round(float(of(values)), 4) for name, of in (("min", min), ("median", statistics.median), ("max", max))
    }


def memory() -> dict[str, Any]:
    """Largest resident memory, in MiB, of a fresh process: as it starts, and with `ALL_ROWS` rows and an epoch."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "jets.npz"
        x, y = jets(ALL_ROWS)
        np.savez(file, X=x, y=y)
        command = [sys.executable, __file__, "--one-epoch-of", str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])


def one_epoch_of(file: Path) -> dict[str, Any]:
    """A whole run of one epoch over the rows of `file`, in this process."""
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # noqa: E731
    imported = peak()
    tree = {
        "data": {"source": str(file)},
        "training": {"epochs": 1, "batch": BATCH, "device": "cpu"},
        "pruning": {"schedule": "none"},
    }
    with tempfile.TemporaryDirectory() as name:
        begin = time.perf_counter()
        run(configs.from_dict(tree), Path(name) / "run", lambda text: None)
    return {
        "rows": ALL_ROWS,
        "imported_mib": imported,
        "peak_mib": peak(),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def on_gpu() -> dict[str, Any] | str:
    """Seconds of the default fine-tuning schedule at 6 bits on `GPU_ROWS` training rows."""
    if not torch.cuda.is_available():
        return "there is no GPU here: not measured"
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "jets.npz"
        x, y = jets(GPU_ROWS + 150_000)
        np.savez(file, X=x, y=y)
        tree = {
            "data": {"source": str(file), "split": [GPU_ROWS, 75_000, 75_000]},
            "training": {"batch": BATCH, "device": "cuda"},
            "pruning": {"sparsities": "paper"},
        }
        begin = time.perf_counter()
        record = run(configs.from_dict(tree), Path(name) / "run", lambda text: print(text, file=sys.stderr))
        return {
            "device": torch.cuda.get_device_name(),
            "rows": GPU_ROWS,
            "steps": len(record["steps"]),
            "epochs": sum(len(step["epochs"]) for step in record["steps"]),
            "seconds": round(time.perf_counter() - begin, 1),
        }


def main() -> None:
    """Print what was measured."""
    warnings.filterwarnings("ignore", message="Named tensors")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000, help="rows of the epochs that are timed")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", choices=["speed", "memory", "gpu"])
    parser.add_argument("--one-epoch-of", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one_epoch_of is not None:
        print(json.dumps(one_epoch_of(chosen.one_epoch_of)))
        return
    result: dict[str, Any] = {"torch": torch.__version__, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    if chosen.only in (None, "speed"):
        result["speed"] = speed(chosen.rows, chosen.turns)
    if chosen.only in (None, "memory"):
        result["memory"] = memory()
    if chosen.only in (None, "gpu"):
        result["gpu"] = on_gpu()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
