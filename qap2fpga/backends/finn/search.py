# SPDX-License-Identifier: Apache-2.0
"""The folding for a board: the shortest interval that fits, or the cheapest one for a wanted rate.

For an interval, the cheapest folding that keeps it is found by dynamic programming along the chain of layers:
what couples neighbours is the width converter between a layer's PE and the next one's SIMD, and the width
between them, which dummy neurons may have made larger (see `padding`). Every divisor is considered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn import estimate, padding
from qap2fpga.backends.finn.folding import Costs, Folding, parsed
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.padding import divisors
from qap2fpga.hw.resources import NAMES, Resources
from qap2fpga.system.errors import QapError

# How often the search weighs what does not fit heavier and tries the interval again.
RETRIES = 4
# Dummy neurons must shorten the interval by this part of it to be worth a larger design.
GAIN = 0.1


def choose(costs: Costs, options: FinnOptions) -> Folding:
    """The folding for `options`. Raises `QapError` if none fits the board or reaches the target, or on a bad file."""
    if options.folding is not None:
        folding = costs.folding(*parsed(options.folding, costs.plan))
        return _fits_or(costs, folding, 1.0, options.allow_oversize)
    search = Search(costs, options.max_utilization, padding.choices(costs.plan))
    if options.target_fps is not None:
        return _for_target(search, options)
    fastest = _fastest(search, Search(costs, options.max_utilization, [[layer.mh] for layer in costs.plan.layers]))
    if fastest is not None:
        return fastest
    smallest = search.cheapest(search.intervals[-1], np.ones(len(NAMES)))
    return _fits_or(costs, smallest, options.max_utilization, options.allow_oversize)


@dataclass(frozen=True)
class Choice:
    """All foldings of one layer at one size: `cycles` (simd, pe), `cost` (simd, pe, kinds) in parts of the board."""

    mh: int
    simds: list[int]
    pes: list[int]
    cycles: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True)
class Best:
    """The cheapest ways to one width: (pes,) prices, and the (SIMD, PE) and MH of all layers up to here."""

    pes: list[int]
    prices: np.ndarray
    paths: list[tuple[tuple[tuple[int, int], ...], tuple[int, ...]]]


class Search:
    """The foldings of one network on one board, of which `part` may be used; `outputs` are each layer's legal MH."""

    def __init__(self, costs: Costs, part: float, outputs: list[list[int]]) -> None:
        self.costs, self.part = costs, part
        self.inputs = [[costs.plan.layers[0].mw], *outputs[:-1]]
        self.layers: list[dict[int, list[Choice]]] = [
            {mw: [self._choice(index, mw, mh) for mh in outputs[index]] for mw in self.inputs[index]}
            for index in range(len(outputs))
        ]
        self._between: dict[tuple[int, int], np.ndarray] = {}
        # Unpadded, at SIMD = PE = 1: a longer interval than the slowest layer's changes nothing.
        slowest = max(layer.mw * layer.mh for layer in costs.plan.layers)
        cycles = [choice.cycles.ravel() for layer in self.layers for group in layer.values() for choice in group]
        self.intervals = [int(value) for value in np.unique(np.concatenate(cycles)) if value <= slowest]

    def fastest(self) -> Folding | None:
        """The cheapest folding of the shortest interval that fits; None if none does."""
        return next((folding for interval in self.intervals if (folding := self.fitting(interval)) is not None), None)

    def fitting(self, interval: int) -> Folding | None:
        """The cheapest folding for `interval` that keeps below the part of every resource; None if none is found."""
        if (self._least(interval) > self.part).any():
            return None
        weights = np.ones(len(NAMES))
        for _ in range(RETRIES):
            folding = self.cheapest(interval, weights)
            over = np.array([used > self.part for used in self.costs.used(folding.cost).values()])
            if not over.any():
                return folding
            weights = np.where(over, weights * 4, weights)
        return None

    def cheapest(self, interval: int, weights: np.ndarray) -> Folding:
        """The best way to each size and PE of a layer, from the best ones of the layer before.

        Of equal ones the first: the smallest size, then SIMD.
        """
        best: dict[int, Best] = {}
        for index, layer in enumerate(self.layers):
            following: dict[int, Best] = {}
            for mw, group in layer.items():
                for choice in group:
                    self._extend(following, index, mw, choice, best.get(mw), interval, weights)
            best = following
        (last,) = best.values()
        return self.costs.folding(*last.paths[int(np.argmin(last.prices))])

    def _extend(
        self, following: dict[int, Best], index: int, mw: int, choice: Choice, before: Best | None, interval: int,
        weights: np.ndarray,
    ) -> None:  # fmt: skip
        """Add what one choice of layer `index` makes of the best ways `before` to the best ways `following`."""
        prices = np.where(choice.cycles <= interval, choice.cost @ weights, np.inf)
        if before is not None:
            ways = before.prices[:, None] + self._converters(index, mw, before.pes, choice.simds) @ weights
            come_from = ways.argmin(axis=0)
            prices = prices + ways.min(axis=0)[:, None]
        at = prices.argmin(axis=0)
        least = prices.min(axis=0)
        old = following.get(choice.mh)
        paths = []
        for column, pe in enumerate(choice.pes):
            if old is not None and old.prices[column] <= least[column]:
                least[column] = old.prices[column]
                paths.append(old.paths[column])
                continue
            row = int(at[column])
            layers, outputs = before.paths[int(come_from[row])] if before is not None else ((), ())
            paths.append(((*layers, (choice.simds[row], pe)), (*outputs, choice.mh)))
        following[choice.mh] = Best(choice.pes, least, paths)

    def _choice(self, index: int, mw: int, mh: int) -> Choice:
        simds, pes = divisors(mw), divisors(mh)
        after = np.array([self._parts(self.costs.after(index, mh, pe)) for pe in pes])
        mvau = [[self._parts(estimate.mvau(self.costs.mvau(index, mw, mh, simd, pe))) for pe in pes] for simd in simds]
        cycles = np.outer(mw // np.array(simds), mh // np.array(pes))
        return Choice(mh, simds, pes, cycles, np.array(mvau) + after)

    def _converters(self, index: int, mw: int, pes: list[int], simds: list[int]) -> np.ndarray:
        """Return the costs (pes, simds, kinds) of what stands before layer `index`."""
        key = index, mw  # of which `pes` and `simds` are the divisors
        if key not in self._between:
            self._between[key] = np.array(
                [[self._parts(self.costs.between(index, mw, pe, simd)) for simd in simds] for pe in pes]
            )
        return self._between[key]

    def _parts(self, cost: Resources) -> list[float]:
        return list(self.costs.used(cost).values())

    def _least(self, interval: int) -> np.ndarray:
        """Less than this of each resource (kinds,) no folding for `interval` takes."""
        total = np.zeros(len(NAMES))
        for layer in self.layers:
            legal = [choice.cost[choice.cycles <= interval] for group in layer.values() for choice in group]
            total += np.concatenate(legal).min(axis=0)
        return total


def _fastest(search: Search, unpadded: Search) -> Folding | None:
    """The shortest interval; where dummy neurons hardly shorten it, the smallest design at the one without them."""
    folding, plain = search.fastest(), unpadded.fastest()
    if folding is None or plain is None or folding.interval <= plain.interval * (1 - GAIN):
        return folding or plain
    return search.fitting(plain.interval) or plain


def _for_target(search: Search, options: FinnOptions) -> Folding:
    assert options.target_fps is not None
    clock = 1e9 / search.costs.board.clock_ns
    allowed = math.floor(clock / options.target_fps)
    enough = [interval for interval in search.intervals if interval <= allowed]
    folding = search.fitting(enough[-1]) if enough else None
    if folding is not None:
        return folding
    if enough and options.allow_oversize:
        return search.cheapest(enough[-1], np.ones(len(NAMES)))
    best = search.fastest()
    best_rate = (
        f"{clock / best.interval:,.0f} fps is the best that fits" if best else "no folding fits the board at all"
    )
    raise QapError(
        f"{options.target_fps:,.0f} fps need a frame every {allowed} cycles at {search.costs.board.clock_ns:g} ns, "
        f"and {'no folding does that' if not enough else 'that does not fit'}; {best_rate}",
        "lower --target-fps, prune more, use fewer bits, or a larger board",
    )


def _fits_or(costs: Costs, folding: Folding, part: float, allow_oversize: bool) -> Folding:
    over = [kind for kind, used in costs.used(folding.cost).items() if used > part]
    if not over or allow_oversize:
        return folding
    board = costs.board
    numbers = ", ".join(f"{getattr(folding.cost, kind)} {kind.upper()} of {getattr(board, kind)}" for kind in over)
    raise QapError(
        f"predicted not to fit {board.title}: {numbers}" + (f" ({part:.0%} may be used)" if part < 1 else ""),
        "prune more, use fewer bits or a larger board; --allow-oversize builds it all the same",
    )
