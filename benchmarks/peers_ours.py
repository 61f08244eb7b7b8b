# SPDX-License-Identifier: Apache-2.0
"""Our side of `peers.py`: one training passes all budgets, and leaves a front of networks on its way.

The price of a LUT rises with the CPU time that is spent. The learning rate falls to almost nothing within each of some
cycles. After every epoch, or a few short ones, the network is kept if none before has both a better validation accuracy
and a lower price.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers_side import Candidate, Outcome, Settings, Task, first
from qap2fpga.frontend.saving import save
from qap2fpga.library.measured import unrolled
from qap2fpga.library.network import load
from qap2fpga.qap.bits import LearnedLinear, price
from qap2fpga.qap.bits.budget import is_bits, split
from qap2fpga.system.errors import QapError
from qap2fpga.train.budgeted import cyclic, network
from qap2fpga.train.objective import Objective

USUAL: Mapping[str, object] = {
    "widths": [64, 32, 32], "rate": 1e-2, "bits_rate": 2.0, "batch": 256, "cycles": 24, "restart_factor": 0.93,
    "wait": 0.04, "strength": [2e-6, 2e-3], "fraction": 4.0, "activation_fraction": 3.0, "candidates": 14,
}  # fmt: skip
TRIALS: tuple[Mapping[str, object], ...] = (
    {},
    {"rate": 2e-2},
    {"cycles": 20, "restart_factor": 0.98},
    {"widths": [32, 32, 32]},
    {"bits_rate": 4.0},
    {"widths": [64, 64, 32]},
    {"cycles": 48},
    {"batch": 1024},
)
# Rows that the integer network is compared with torch on, when it is saved.
EXAMPLES = 64
# Networks whose price is outside of this become no hardware.
LUTS = (100.0, 25_000.0)
# Steps between two looks at the validation rows, at least: a look takes longer than a step on few rows.
LOOK = 8
# More calls than any budget has: compiling always pays.
CALLS = 10**9


@dataclass(frozen=True)
class Kept:
    """A network on the way: its accuracy on validation rows, its price in LUTs, and its state."""

    accuracy: float
    luts: float
    state: Mapping[str, Tensor]


@dataclass(frozen=True)
class Ours:
    """Networks with learned bits of this program. `environment` is not needed."""

    environment: Path
    name: str = "ours"

    def settings(self, trials: int) -> Sequence[Settings]:
        """Return the first `trials` settings. Raises `QapError` if there are fewer."""
        return first(trials, self.name, USUAL, TRIALS)

    def run(self, task: Task, folder: Path) -> Outcome:
        """Train and write hardware. Raises `QapError` where no epoch ends, or the training diverges."""
        torch.set_num_threads(1)
        torch.manual_seed(task.seed)
        training = _Training(task)
        training.learn()
        spent = training.spent  # without the conversion
        chosen = spread(training.kept, int(training.number("candidates")), LUTS)
        if not chosen:
            raise QapError("no epoch came to its end", "more minutes")
        candidates = [training.hardware(one, folder) for one in chosen]
        return Outcome(spent, tuple(candidates), {"steps": float(training.steps)})


def with_front(kept: Sequence[Kept], one: Kept) -> list[Kept]:
    """Return `kept` and `one` without those that another beats in both, or equals."""
    if any(other.accuracy >= one.accuracy and other.luts <= one.luts for other in kept):
        return list(kept)
    return [*(other for other in kept if other.accuracy > one.accuracy or other.luts < one.luts), one]


def spread(kept: Sequence[Kept], parts: int, ends: tuple[float, float]) -> list[Kept]:
    """Return the most accurate one in each of `parts` even steps of the logarithm of the price within `ends`."""
    some = [one for one in kept if ends[0] <= one.luts <= ends[1]]
    if not some:
        return []
    low, high = (math.log(end(one.luts for one in some)) for end in (min, max))
    best: dict[int, Kept] = {}
    for one in sorted(some, key=lambda one: one.accuracy):
        best[min(parts - 1, int((math.log(one.luts) - low) / ((high - low) or 1.0) * parts))] = one
    return [best[step] for step in sorted(best)]


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
        self.kept: list[Kept] = []
        self.steps = 0

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
        """Let the price rise, and keep the networks that no other beats."""
        weights, bits = split(self.module)
        groups = [{"params": weights, "lr": 0.0}, {"params": bits, "lr": 0.0}]
        optimizer = torch.optim.Adam(groups, fused=True)
        objective = Objective(self.module, CALLS, print)
        rate, cycles, restart = (self.number(name) for name in ("rate", "cycles", "restart_factor"))
        looked = 0
        while self.spent < self.cpu_s:
            self.module.train()
            for rows in self.batches():
                passed = min(self.spent / self.cpu_s, 1.0)
                falling = cyclic(rate, passed * cycles, cycles, restart)
                optimizer.param_groups[0]["lr"] = falling
                optimizer.param_groups[1]["lr"] = falling * self.number("bits_rate")
                optimizer.zero_grad()
                loss, luts = objective(self.x[rows], self.y[rows])
                (loss + self.strength(passed) * luts).backward()
                optimizer.step()
                self.steps += 1
            if not torch.isfinite(loss):
                raise QapError("the training has diverged", "a lower rate")
            if self.steps - looked >= LOOK or self.spent >= self.cpu_s:
                self.keep()
                looked = self.steps

    def keep(self) -> None:
        """Keep the network as it is, if none that is kept beats it."""
        x, y = self.parts["validation"]
        with torch.no_grad():
            accuracy = (self.module.eval()(x).argmax(dim=1) == y).float().mean().item()
            state = {name: one.clone() for name, one in self.module.state_dict().items()}
            self.kept = with_front(self.kept, Kept(accuracy, price(self.module).item(), state))

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

    def hardware(self, kept: Kept, folder: Path) -> Candidate:
        """Write the Verilog of a network, and return its accuracies, which are those of its integers."""
        name = f"luts-{kept.luts:.0f}"
        place = folder / name
        place.mkdir(exist_ok=True)
        self.module.load_state_dict(dict(kept.state))
        x, y = (one[:EXAMPLES] for one in self.parts["validation"])
        save(self.module.eval(), x, place / "model.pt", y, {})
        graph = load(place / "model.pt", quiet=True)
        design = unrolled(graph.graph, place / "rtl")
        exact = [graph.accuracy(x.numpy(), y.numpy()) for x, y in self.parts.values()]
        weights = [one.integers for one in self.module if isinstance(one, LearnedLinear)]
        used = float(sum(int((one != 0).sum()) for one in weights))
        notes = {"price": kept.luts, "nonzeros": used}
        return Candidate(name, float(exact[0]), float(exact[1]), f"{name}/rtl", design.top, notes)
