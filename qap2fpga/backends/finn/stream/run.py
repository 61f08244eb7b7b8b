# SPDX-License-Identifier: Apache-2.0
"""A design under way, cycle by cycle, in a time that grows with the beats that pass, not with cycles and blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from qap2fpga.backends.finn.stream.draw import INPUT, Drawn
from qap2fpga.backends.finn.stream.models import NEVER, Model, Registered
from qap2fpga.system.errors import CheckFailed


class Run:
    """A design under way. `pause`: cycles that may pass between two beats that come in."""

    def __init__(self, drawn: Drawn, *, pause: int = 0) -> None:
        blocks = drawn.blocks
        names = [INPUT, *(target for block in blocks for target in block.targets)]
        numbers = {name: number for number, name in enumerate(names)}
        self.models: dict[str, Model] = {}
        for block in blocks:
            model = self.models[block.name] = block.model()
            model.join([numbers[edge] for edge in block.sources], [numbers[edge] for edge in block.targets])
        self.valid, self.ready = [False] * len(names), [False] * len(names)
        self.start, self.end = numbers[INPUT], numbers[drawn.end]
        self.ready[self.end] = True
        self.pause = pause
        self.now = 0
        self.came_in: list[int] = []  # when beats did
        self.left: list[int] = []
        # The blocks at both ends of each edge, and those among them whose wires follow from those of their neighbours.
        self._at: list[list[Model]] = [[] for _ in names]
        for model in self.models.values():
            for edge in (*model.sources, *model.targets):
                self._at[edge].append(model)
        self._forward = [model for model in self.models.values() if not isinstance(model, Registered)]
        self._backward = self._forward[::-1]
        self._following = [[model for model in models if not isinstance(model, Registered)] for models in self._at]
        self._flowing: set[int] = set()  # edges that a beat passes
        self._waking: defaultdict[int, list[Model]] = defaultdict(list)  # blocks by the cycle of their `wake`
        self._waking[0] = list(self.models.values())
        self._last_wake = 0
        self._clocked: set[Model] = set(self.models.values())  # blocks whose wires may be others than in the last cycle

    def cycle(self, *, offered: bool) -> bool:
        """Go through one cycle in which the source offers a beat or none; return whether any beat moved."""
        self._settle(offered=offered)
        flowing, now = self._flowing, self.now
        if self.start in flowing:
            self.came_in.append(now)
        if self.end in flowing:
            self.left.append(now)
        clocked = self._clocked = set(self._waking.pop(now, ()))
        for edge in flowing:
            clocked.update(self._at[edge])
        valid, ready, waking = self.valid, self.ready, self._waking
        for model in clocked:
            model.clock(valid, ready, now)
            if model.wake != NEVER:
                waking[model.wake].append(model)
                self._last_wake = max(self._last_wake, model.wake)
        self.now += 1
        return bool(flowing)

    def _settle(self, *, offered: bool) -> None:
        """Bring the wires up to date: registers say theirs, from which the others follow."""
        valid, ready = self.valid, self.ready
        changed = [] if valid[self.start] == offered else [self.start]
        valid[self.start] = offered
        following: set[Model] = set()
        for model in self._clocked:
            if isinstance(model, Registered):
                if valid[model.target] != model.valid_now:
                    valid[model.target] = model.valid_now
                    changed.append(model.target)
                if ready[model.source] != model.ready_now:
                    ready[model.source] = model.ready_now
                    changed.append(model.source)
            else:
                following.add(model)
        for edge in changed:
            following.update(self._following[edge])
        if following:
            changed += self._followed(following)
        for edge in changed:
            if valid[edge] and ready[edge]:
                self._flowing.add(edge)
            else:
                self._flowing.discard(edge)

    def _followed(self, following: set[Model]) -> list[int]:
        """Let the blocks `following`, and those that these change, offer and accept; return the edges that change."""
        valid, ready = self.valid, self.ready
        changed = []
        for model in self._forward:
            if model in following:
                before = [valid[edge] for edge in model.targets]
                model.offer(valid)
                for edge, old in zip(model.targets, before, strict=True):
                    if valid[edge] != old:
                        changed.append(edge)
                        following.update(self._following[edge])
        for model in self._backward:
            if model in following:
                before = [ready[edge] for edge in model.sources]
                model.accept(valid, ready)
                for edge, old in zip(model.sources, before, strict=True):
                    if ready[edge] != old:
                        changed.append(edge)
                        following.update(self._following[edge])
        return changed

    def until(self, beats: int, offers: Callable[[Run], bool]) -> None:
        """Go on until so many beats have left. Raises `CheckFailed` if the design stands still before.

        A product that replays its inputs moves no beat for as long as a frame is: what is to wake does not stand still.
        """
        quiet = 0
        while len(self.left) < beats:
            moved = self.cycle(offered=offers(self))
            quiet = 0 if moved or self._clocked or self._last_wake >= self.now else quiet + 1
            if quiet > self.pause:
                raise CheckFailed("the design stands still", "a FIFO is too shallow: please report this network")
