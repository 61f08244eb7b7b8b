# SPDX-License-Identifier: Apache-2.0
"""Our side of `peers.py`: one training passes all budgets, and leaves a network at the end of each cycle.

The price of a LUT rises with the CPU time that is spent. The learning rate falls to almost nothing within each of the
cycles: what stands at the end of one has been tuned, and is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.peers_side import Candidate, Outcome, Settings, Task, first
from qap2fpga.frontend.saving import save
from qap2fpga.library.measured import unrolled
from qap2fpga.library.network import load
from qap2fpga.qap.bits import LearnedLinear, price
from qap2fpga.qap.bits.budget import is_bits, split
from qap2fpga.system.errors import QapError
from qap2fpga.train.budgeted import network

USUAL: Mapping[str, object] = {
    "widths": [64, 32, 32], "rate": 1e-2, "bits_rate": 2.0, "batch": 1024, "cycles": 24, "restart_factor": 0.93,
    "wait": 0.04,
    "strength": [2e-6, 5e-4], "fraction": 4.0, "activation_fraction": 3.0,
}  # fmt: skip
TRIALS: tuple[Mapping[str, object], ...] = (
    {},
    {"rate": 2e-2},
    {"cycles": 12},
    {"widths": [32, 32, 32]},
    {"rate": 5e-3},
    {"bits_rate": 4.0},
    {"widths": [64, 64, 32]},
    {"batch": 512},
)
# Rows that the integer network is compared with torch on, when it is saved.
EXAMPLES = 64


@dataclass(frozen=True)
class Ours:
    """Networks with learned bits of this program. `environment` is not needed."""

    environment: Path
    name: str = "ours"

    def settings(self, trials: int) -> Sequence[Settings]:
        """Return the first `trials` settings. Raises `QapError` if there are fewer."""
        return first(trials, self.name, USUAL, TRIALS)

    def run(self, task: Task, folder: Path) -> Outcome:
        """Train and write hardware. Raises `QapError` where no cycle ends, or the training diverges."""
        torch.set_num_threads(1)
        torch.manual_seed(task.seed)
        training = _Training(task)
        training.learn()
        if not training.kept:
            raise QapError("no cycle came to its end", "more minutes")
        spent = training.spent  # without the conversion
        candidates = [training.hardware(number, module, folder) for number, module in enumerate(training.kept)]
        return Outcome(spent, tuple(candidates), {"steps": float(training.steps)})


class _Training:
    def __init__(self, task: Task) -> None:
        self.cpu_s, self.settings, self.begin = task.cpu_s, dict(task.settings), time.process_time()
        arrays = {name: torch.from_numpy(one) for name, one in task.arrays().items() if one.ndim}
        self.x, self.y = arrays["X_train"], arrays["y_train"]
        self.parts = {name: (arrays[f"X_{name}"], arrays[f"y_{name}"]) for name in ("validation", "test")}
        widths: Any = self.settings["widths"]
        self.module = network((self.x.shape[1], *widths, int(self.y.max()) + 1))
        with torch.no_grad():
            for name, one in self.module.named_parameters():
                if is_bits(name) and "integer" not in name:
                    of_activation = name.endswith("input_quant.fraction")
                    one.fill_(self.number("activation_fraction" if of_activation else "fraction"))
        self.kept: list[nn.Sequential] = []
        self.steps, self.criterion = 0, nn.CrossEntropyLoss()

    @property
    def spent(self) -> float:
        """CPU seconds since the beginning."""
        return time.process_time() - self.begin

    def number(self, name: str) -> float:
        """Return a setting that is a number."""
        value = self.settings[name]
        assert isinstance(value, (int, float))
        return float(value)

    def learn(self) -> None:
        """Let the price rise, and keep the network at the end of each cycle of the learning rate."""
        weights, bits = split(self.module)
        groups = [{"params": weights, "lr": 0.0}, {"params": bits, "lr": 0.0}]
        optimizer = torch.optim.Adam(groups, fused=True)
        cycle, cycles, rate = 0, self.number("cycles"), self.number("rate")
        while cycle < cycles:
            for rows in self.batches():
                passed = self.spent / self.cpu_s
                if int(passed * cycles) > cycle:
                    cycle = int(passed * cycles)
                    self.kept.append(deepcopy(self.module))
                    if cycle >= cycles:
                        break
                highest = rate * self.number("restart_factor") ** cycle
                falling = highest * max(0.5 * (1 + math.cos(math.pi * (passed * cycles - cycle))), 0.01)
                optimizer.param_groups[0]["lr"] = falling
                optimizer.param_groups[1]["lr"] = falling * self.number("bits_rate")
                optimizer.zero_grad()
                loss = self.criterion(self.module(self.x[rows]), self.y[rows])
                if not torch.isfinite(loss):
                    raise QapError("the training has diverged", "a lower rate")
                (loss + self.strength(passed) * price(self.module)).backward()
                optimizer.step()
                self.steps += 1

    def strength(self, passed: float) -> float:
        """Return what a LUT costs once the share `passed` of the time is spent."""
        strengths, wait = self.settings["strength"], self.number("wait")
        assert isinstance(strengths, (list, tuple))
        first, last = (float(one) for one in strengths)
        return first * (last / first) ** ((passed - wait) / (1 - wait)) if passed > wait else 0.0

    def batches(self) -> list[torch.Tensor]:
        """Return the rows of an epoch in a new order, part by part."""
        batch = int(self.number("batch"))
        return list(torch.randperm(len(self.x))[: len(self.x) // batch * batch].reshape(-1, batch))

    def hardware(self, number: int, module: nn.Sequential, folder: Path) -> Candidate:
        """Write the Verilog of a network, and return its accuracies, which are those of its integers."""
        name = f"cycle-{number:02d}"
        place = folder / name
        place.mkdir(exist_ok=True)
        x, y = (one[:EXAMPLES] for one in self.parts["validation"])
        save(module.eval(), x, place / "model.pt", y, {})
        graph = load(place / "model.pt", quiet=True)
        design = unrolled(graph.graph, place / "rtl")
        exact = [graph.accuracy(x.numpy(), y.numpy()) for x, y in self.parts.values()]
        weights = [one.integers for one in module if isinstance(one, LearnedLinear)]
        kept = float(sum(int((one != 0).sum()) for one in weights))
        notes = {"price": price(module).item(), "nonzeros": kept}
        return Candidate(name, float(exact[0]), float(exact[1]), f"{name}/rtl", design.top, notes)
