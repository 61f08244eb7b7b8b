# SPDX-License-Identifier: Apache-2.0
"""What training of learned bits computes in each step: the loss of some rows, and what the network costs.

A step is many small operations, which torch takes longer to begin than to do. Compiled they take half the time;
compiling takes some 15 seconds, so it is for long trainings, and for machines with a C++ compiler.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

from qap2fpga.qap.bits.price import features, weights

# So many calls pay for compiling.
MANY = 12_000
COMPILERS = ("g++", "clang++", "c++")
Computed = tuple[Tensor, Tensor]


class Objective:
    """The mean cross-entropy of some rows, and the price of the module in LUTs, both with gradients.

    Args:
        module: with learned bits, which gives logits.
        calls: how many there will be, by which compiling pays or does not.
        say: what is called with a line where compiling fails; all takes longer then.
    """

    def __init__(self, module: nn.Module, calls: int, say: Callable[[str], None]) -> None:
        self.module, self.say, self.coefficients = module, say, weights()
        self.is_compiled = calls >= MANY and any(map(shutil.which, COMPILERS))
        self._compute: Callable[[Tensor, Tensor, bool], Computed] = self._plain
        if self.is_compiled:
            self._compute = torch.compile(self._plain)

    def __call__(self, x: Tensor, y: Tensor, *, is_priced: bool = True) -> Computed:
        """Return the cross-entropy and the price; the price is 0 unless `is_priced`."""
        try:
            return self._compute(x, y, is_priced)
        except Exception as error:  # torch's compiler raises whatever its parts raise
            if not self.is_compiled:
                raise
            self.is_compiled, self._compute = False, self._plain
            self.say(f"torch cannot compile here ({type(error).__name__}): training takes twice as long")
            return self._compute(x, y, is_priced)

    def _plain(self, x: Tensor, y: Tensor, is_priced: bool) -> Computed:
        loss = nn.functional.cross_entropy(self.module(x), y)
        return loss, features(self.module) @ self.coefficients if is_priced else torch.zeros(())
