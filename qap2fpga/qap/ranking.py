# SPDX-License-Identifier: Apache-2.0
"""Which weights are the smallest: the arithmetic that the trainer and the library share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def count_of(fraction: float, total: int) -> int:
    """Return how many of `total` to mask. The small guard keeps 0.8 * 5 from becoming 5 when it is 4.000000001."""
    return math.ceil(fraction * total - 1e-6)


def all_but_smallest(magnitudes: Tensor, count: int) -> Tensor:
    """Return ones, but zeros at the `count` smallest of `magnitudes`, (n,).

    A stable sort: equal ones fall in the same order on every run.
    """
    kept = torch.ones(len(magnitudes))
    kept[torch.argsort(magnitudes, stable=True)[:count]] = 0
    return kept


def all_but_smallest_of_layers(layers: Sequence[Tensor], count: int) -> tuple[list[Tensor], list[int]]:
    """Return what `all_but_smallest` keeps of all layers' magnitudes together, but each layer keeps its largest one.

    A list like `layers`, (n,) each, and the places of the layers that would have been emptied. Reads CPU tensors.
    """
    sizes = [len(one) for one in layers]
    magnitudes = torch.cat(list(layers))
    guarded = magnitudes.clone()
    for part in torch.split(guarded, sizes):
        part[part.argmax()] = torch.inf
    count = min(count, len(magnitudes) - len(layers))
    kept = list(torch.split(all_but_smallest(guarded, count), sizes))
    unguarded = torch.split(all_but_smallest(magnitudes, count), sizes)
    return kept, [place for place, part in enumerate(unguarded) if not part.any()]
