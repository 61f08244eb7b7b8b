# SPDX-License-Identifier: Apache-2.0
"""Which steps a run takes: the sparsity of each, where its weights start from, and how long it learns.

- fine_tuning: what is left learns on, `pruning.epochs` epochs between two steps and `training.epochs` after the
  last one, each time from the full learning rate (Hawks et al. 2021, section 3).
- lottery_ticket: what is left is set back to its initial values and learns anew, `training.epochs` epochs
  (Frankle and Carbin 2019, arXiv:1803.03635).
- learning_rate_rewinding: what is left keeps its values, and the whole schedule of the learning rate,
  `training.epochs` epochs, is gone through again (Renda, Frankle and Carbin 2020, arXiv:2003.02389).
- none: one dense training.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from qap2fpga.train.settings import PAPER_FRACTIONS, PruningConfig, RunConfig


@dataclass(frozen=True)
class Step:
    """`sparsity` is the share of the weights to mask before learning; `rewind`: from the initial weights."""

    number: int
    sparsity: float
    epochs: int
    rewind: bool


def steps(config: RunConfig) -> tuple[Step, ...]:
    """The steps of a run; the first one, number 0, is the dense training."""
    pruning, full = config.pruning, config.training.epochs
    targets = sparsities(pruning)
    found = [Step(0, 0.0, full, rewind=False)]
    for number, target in enumerate(targets, 1):
        short = pruning.schedule == "fine_tuning" and number < len(targets)
        rewind = pruning.schedule == "lottery_ticket"
        found.append(Step(number, target, pruning.epochs if short else full, rewind))
    return tuple(found)


def sparsities(pruning: PruningConfig) -> tuple[float, ...]:
    """Share of the weights that is pruned after each step.

    By default each of `steps` steps takes the same share of the weights left.
    """
    if pruning.schedule == "none":
        return ()
    if pruning.sparsities == "paper":
        return tuple(1 - left for left in accumulate((1 - part for part in PAPER_FRACTIONS), lambda a, b: a * b))
    if pruning.sparsities is not None:
        return pruning.sparsities
    if pruning.sparsity == 0:
        return ()
    left = 1 - pruning.sparsity
    return (*(1 - left ** (number / pruning.steps) for number in range(1, pruning.steps)), pruning.sparsity)
