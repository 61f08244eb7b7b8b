# SPDX-License-Identifier: Apache-2.0
"""A layer in logic that has no names to go by: where its results lie is guessed, and that they do is proven.

All logic that depends on the layer's inputs alone is simulated, with any integers for these, and wires that are equal
to the bits of a result are taken for it (`signatures.py`). The proof is that of our own Verilog (`layers.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.exact.integers import matmul_range
from qap2fpga.ir.functions import Function, Step
from qap2fpga.prove.cells import Bits, NotProven
from qap2fpga.prove.derived import derived
from qap2fpga.prove.ground import Ground, Result
from qap2fpga.prove.layers import Channels, Layer, results
from qap2fpga.prove.linear import Lane, Value, ranges
from qap2fpga.prove.signatures import Guess, Signatures, guesses, vectors


@dataclass(frozen=True, eq=False)
class Sums:
    """A layer: `values` times `weights` (values, channels), and the `function` of the sums; None: the sums.

    The node `name` has the `constants` (channels,) beside these sums; they are in the function.
    `lacking` says of channels why something that they are sums of lies nowhere.
    """

    name: str
    values: tuple[Value, ...]
    weights: np.ndarray
    constants: np.ndarray
    function: Function | None
    names: tuple[str, ...]
    lacking: Mapping[int, NotProven]

    @property
    def layer(self) -> Layer:
        """The layer, whose results lie nowhere yet."""
        return Layer(self.name, self.weights, self.function, self.names, (), self.constants)


def locate(
    ground: Ground, sums: Sums, others: Sequence[Value], outputs: Bits, whole: bool = False
) -> tuple[list[Result], int]:
    """Return what is proven of the results of a layer, and how many sums were run through.

    `whole`: they have to lie in the logic as they are, not by another code. The logic of `outputs` is then over these
    results and the `others`, as far as that can be shown.
    """
    rows = vectors(sums.values, sums.weights)
    cut = ground.cut(sums.values, rows)
    tried = [_guesses(ground, cut, sums, rows, at, whole) for at in range(len(sums.names))]
    lanes = [[Lane(tuple(ground.bit(*bit) for bit in guess.bits), guess.signed) for guess in each] for each in tried]
    wires = tuple({bit: None for each in lanes for lane in each for bit in lane.bits})
    channels = Channels(ground.pipeline(cut.parts, sums.values), sums.layer, sums.values, wires)
    every, cases = list[Result](), 0
    for at, pairs in enumerate(zip(tried, lanes, strict=True)):
        ground.require_time(channels.where(at))
        errors = [sums.lacking[at]] if at in sums.lacking else []
        for guess, lane in zip(*pairs, strict=True):
            try:
                value, count = channels.prove(at, lane, (guess.offset, guess.factor))
            except NotProven as error:
                errors.append(error)
            else:
                every.append(Result(value, guess.offset, guess.factor))
                cases += count
                break
        else:
            errors.append(NotProven(f"{channels.where(at)}: no wires are equal to its result"))
            ends = sorted(results(sums.function, at, np.array(channels.ends(at))).tolist())
            every.append(Result(ground.hide(*ends), missing=errors[0]))
    ground.take(one.value for one in every)
    for part in derived(ground, channels, cut, every, others, outputs):
        ground.derived[part.driven[0]] = part
    return every, cases


def _guesses(ground: Ground, cut: Signatures, sums: Sums, rows: np.ndarray, channel: int, whole: bool) -> list[Guess]:
    function, column = sums.function, sums.weights[:, channel]
    expected = results(function, channel, rows @ column)
    reach = np.concatenate(matmul_range(*ranges(sums.values), column[:, None], sums.names[channel]))
    low, high = sorted(results(function, channel, reach).tolist())
    codes = [(0, 1)]
    if isinstance(function, Step) and not whole:
        # Few results may be known by their numbers; a result by what its function counts.
        least = int(expected.min())
        unit = int(np.gcd.reduce(expected - least)) or 1
        first = [(least, unit)] if unit > 1 else []
        codes = [*first, (0, 1), (function.base, function.step), (least, 1), (0, -1)]
    return list(guesses(cut, ground.named, expected, (low, high), dict.fromkeys(codes)))
