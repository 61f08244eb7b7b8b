# SPDX-License-Identifier: Apache-2.0
"""What bits are at a position that passes by: copies of what a kernel sees, or sums of these, left to prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from qap2fpga.prove.automaton import Token
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven
from qap2fpga.prove.expressions import Codes, Expressions
from qap2fpga.prove.layers import Layer
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.streams import INPUTS, Labels, Tap


@dataclass(frozen=True)
class Copies:
    """Looks at bits that are to be copies of what came in: `rows` are their names of the newest frame, by position."""

    labels: Labels
    rows: Sequence[Codes]
    what: str

    def __call__(self, token: Token, codes: Sequence[int | None]) -> None:
        """Raise `NotProven` unless `codes` are what is to be seen at a position."""
        for bit, (code, wanted) in enumerate(zip(codes, self.rows[token.place], strict=True)):
            if code is None or code != self.labels.of_age(wanted, token.age):
                raise NotProven(f"{self.what}: position {token.place}, bit {bit} is not what its kernel sees there")


@dataclass(frozen=True)
class Task:
    """A layer to be proven: the logic in which its lanes are, what comes in, and whether its results are a node's.

    `floors`: what the largest of each channel is at least.
    """

    pipeline: Pipeline
    layer: Layer
    values: Sequence[Value]
    whole: bool = True
    floors: Sequence[int] = ()


@dataclass
class Sums:
    """Takes bits that are made of what came in; `results` are all that they are, over bits of taps, and where pads are.

    `rows` are the names of what the taps see, by position.
    """

    expressions: Expressions
    labels: Labels
    taps: Sequence[Tap]
    rows: Sequence[Codes]
    results: dict[tuple[Codes, Codes], None] = field(default_factory=dict)

    def __call__(self, token: Token, codes: Sequence[int | None]) -> None:
        """Take `codes` for what a position's results are made of."""
        row = self.rows[token.place]
        names = {self.labels.of_age(code, token.age): INPUTS + at for at, code in enumerate(row) if code not in (0, 1)}
        seen = tuple(code if code in (0, 1) else names[self.labels.of_age(code, token.age)] for code in row)
        self.results[self.expressions.replaced(codes, names.get, {}), seen] = None

    def task(self, layer: Layer, result: tuple[Codes, Codes]) -> Task:
        """Return what is left to prove of a result: that its logic, without registers, is `layer`."""
        codes, seen = result
        if None in codes:
            raise NotProven(
                f"layer {layer.name}: bit {codes.index(None)} of its sums is not made of what its kernel sees"
            )
        values = [_trimmed(tap.value, tuple(seen[bit - INPUTS] or 0 for bit in tap.value.bits)) for tap in self.taps]
        lanes, at = list[Lane](), 0
        for lane in layer.lanes:
            lanes.append(Lane(tuple(code or 0 for code in codes[at : at + len(lane.bits)]), lane.signed))
            at += len(lane.bits)
        named = {str(number): lane.bits for number, lane in enumerate(lanes)}
        every = tuple(code or 0 for code in codes)
        module = self.expressions.module(layer.name, every, tuple(bit for one in values for bit in one.bits), named)
        return Task(Pipeline(module, UNDRIVEN, UNDRIVEN), replace(layer, lanes=tuple(lanes)), values)


def _trimmed(value: Value, bits: Bits) -> Value:
    """Return the value on `bits`, which may be constants, without those that only extend it."""
    number = sum(bit << place for place, bit in enumerate(bits)) - (bits[-1] << len(bits) if value.signed else 0)
    low, high = (number, number) if set(bits) <= {0, 1} else (value.low, value.high)
    while len(bits) > 1 and bits[-1] == (bits[-2] if value.signed else 0):
        bits = bits[:-1]
    return Value(bits, value.signed, low, high)


Check = Copies | Sums
