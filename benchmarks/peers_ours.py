# SPDX-License-Identifier: Apache-2.0
"""Our side of `peers.py`: one training passes all budgets, and each network that it leaves is tuned with fixed bits.

The price of a LUT rises with the CPU time that is spent. Whenever a budget is met the network is kept; the time that is
left at the end is shared among these.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers_side import Candidate, Outcome, Settings, Task
from qap2fpga import backends
from qap2fpga.frontend.saving import save
from qap2fpga.hw import boards
from qap2fpga.library.network import load
from qap2fpga.qap.bits import LearnedLinear, price
from qap2fpga.qap.bits.budget import is_bits
from qap2fpga.system.errors import QapError
from qap2fpga.train.budgeted import network

# LUTs at which a network is kept.
BUDGETS = (16_000, 11_000, 8_000, 5_600, 4_000, 2_800, 2_000, 1_400, 1_000, 700, 500, 350)
USUAL: Mapping[str, object] = {
    "widths": [64, 32, 32], "rate": 3e-3, "bits_rate": 3.0, "batch": 1024, "ramp": 0.6, "wait": 0.05,
    "strength": [2e-6, 1e-3], "last_rate": 1 / 3,
}  # fmt: skip
TRIALS: tuple[Mapping[str, object], ...] = (
    {},
    {"ramp": 0.75},
    {"widths": [32, 32, 32]},
    {"rate": 2e-3, "bits_rate": 5.0},
    {"widths": [64, 64, 32]},
    {"batch": 512},
    {"rate": 5e-3},
    {"bits_rate": 2.0},
)
# Rows that the integer network is compared with torch on, when it is saved.
EXAMPLES = 64
BOARD = "vu13p"


@dataclass(frozen=True)
class Ours:
    """Networks with learned bits of this program. `environment` is not needed."""

    environment: Path
    name: str = "ours"

    def settings(self, trials: int) -> Sequence[Settings]:
        """Return the first `trials` settings. Raises `QapError` if there are fewer."""
        if trials > len(TRIALS):
            raise QapError(f"{trials} trials of {self.name}", f"{len(TRIALS)} at most")
        return [{**USUAL, **one} for one in TRIALS[:trials]]

    def run(self, task: Task, folder: Path) -> Outcome:
        """Train and write hardware. Raises `QapError` where no budget is met, or the training diverges."""
        torch.set_num_threads(1)
        torch.manual_seed(task.seed)
        training = _Training(task)
        training.learn()
        kept = training.tuned()
        if not kept:
            raise QapError("no budget was met", "more minutes")
        candidates = [training.hardware(luts, module, folder) for luts, module in kept.items()]
        return Outcome(training.spent, tuple(candidates), {"steps": float(training.steps)})


class _Training:
    def __init__(self, task: Task) -> None:
        self.cpu_s, self.settings, self.begin = task.cpu_s, dict(task.settings), time.process_time()
        arrays = {name: torch.from_numpy(one) for name, one in task.arrays().items() if one.ndim}
        self.x, self.y = arrays["X_train"], arrays["y_train"]
        self.parts = {name: (arrays[f"X_{name}"], arrays[f"y_{name}"]) for name in ("validation", "test")}
        widths: Any = self.settings["widths"]
        self.module = network((self.x.shape[1], *widths, int(self.y.max()) + 1))
        self.kept: dict[int, nn.Sequential] = {}
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
        """Let the price rise, and keep the network at each budget."""
        rate, named = self.number("rate"), list(self.module.named_parameters())
        bits, weights = ([one for name, one in named if is_bits(name) == of_bits] for of_bits in (True, False))
        optimizer = torch.optim.Adam(
            [{"params": weights, "lr": rate}, {"params": bits, "lr": self.number("bits_rate") * rate}], fused=True
        )
        budgets, end = list(BUDGETS), self.number("ramp") * self.cpu_s
        wait, strengths = self.number("wait") * self.cpu_s, self.settings["strength"]
        assert isinstance(strengths, (list, tuple))
        first, last = (float(one) for one in strengths)
        while budgets and self.spent < end:
            for rows in self.batches():
                spent = self.spent
                optimizer.zero_grad()
                loss = self.criterion(self.module(self.x[rows]), self.y[rows])
                if spent > wait:
                    luts = price(self.module)
                    loss = loss + first * (last / first) ** ((spent - wait) / (end - wait)) * luts
                    while budgets and luts.item() <= budgets[0]:
                        self.kept[budgets.pop(0)] = deepcopy(self.module)
                if not torch.isfinite(loss):
                    raise QapError("the training has diverged", "a lower rate")
                loss.backward()
                optimizer.step()
                self.steps += 1
                if spent > end:
                    break

    def tuned(self) -> dict[int, nn.Sequential]:
        """Return the kept networks after as much CPU time each as is left; the best on validation data is kept."""
        kept = {}
        for number, (luts, module) in enumerate(self.kept.items()):
            share = (self.cpu_s - self.spent) / (len(self.kept) - number)
            kept[luts] = self._tuned(module, luts, share)
        return kept

    def _tuned(self, module: nn.Sequential, luts: int, seconds: float) -> nn.Sequential:
        begin, rate = self.spent, self.number("last_rate") * self.number("rate")
        weights = [one for name, one in module.named_parameters() if not is_bits(name)]
        optimizer = torch.optim.Adam(weights, lr=rate, fused=True)
        best, best_accuracy = deepcopy(module), self.accuracy(module, "validation")
        while (passed := (self.spent - begin) / seconds) < 1:
            for rows in self.batches():
                passed = min((self.spent - begin) / seconds, 1.0)
                optimizer.param_groups[0]["lr"] = rate * max(0.5 * (1 + math.cos(math.pi * passed)), 0.01)
                optimizer.zero_grad()
                self.criterion(module(self.x[rows]), self.y[rows]).backward()
                optimizer.step()
                self.steps += 1
                if passed == 1:
                    break
            accuracy = self.accuracy(module, "validation")
            if accuracy > best_accuracy and price(module).item() <= 1.02 * luts:
                best, best_accuracy = deepcopy(module), accuracy
        return best

    def batches(self) -> list[torch.Tensor]:
        """Return the rows of an epoch in a new order, part by part."""
        batch = int(self.number("batch"))
        return list(torch.randperm(len(self.x))[: len(self.x) // batch * batch].reshape(-1, batch))

    def accuracy(self, module: nn.Module, part: str) -> float:
        """Return the share of right classes, by torch."""
        x, y = self.parts[part]
        with torch.no_grad():
            return float((module(x).argmax(dim=1) == y).float().mean())

    def hardware(self, luts: int, module: nn.Sequential, folder: Path) -> Candidate:
        """Write the Verilog of a network, and return its accuracies, which are those of its integers."""
        name = f"luts-{luts}"
        place = folder / name
        place.mkdir(exist_ok=True)
        x, y = (one[:EXAMPLES] for one in self.parts["validation"])
        save(module.eval(), x, place / "model.pt", y, {})
        graph = load(place / "model.pt", quiet=True)
        backend = backends.get("rtl")
        options, board = backend.make_options(allow_oversize=True), boards.load(BOARD)
        circuit = graph.graph
        backend.generate(circuit, board, place / "rtl", options, np.zeros((1, circuit.inputs), np.int64))
        exact = [graph.accuracy(x.numpy(), y.numpy()) for x, y in self.parts.values()]
        weights = [one.integers for one in module if isinstance(one, LearnedLinear)]
        kept = float(sum(int((one != 0).sum()) for one in weights))
        notes = {"price": price(module).item(), "nonzeros": kept}
        return Candidate(name, float(exact[0]), float(exact[1]), f"{name}/rtl", "rtl_design", notes)
