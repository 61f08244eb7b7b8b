# SPDX-License-Identifier: Apache-2.0
"""Cells that choose among several values, as the parts of `cells`: by an index, or by a bit for each."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.prove.cells import UNDRIVEN, NotProven, Parameters, Part, Ports, extended, far_net, flag, number

SHIFTS = ("$shl", "$shr", "$sshl", "$sshr")
KINDS = ("$shift", "$shiftx", "$bmux", "$pmux", *SHIFTS)
MOST_INDEX = 12


def selections(name: str, kind: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """Yield the parts that a cell of one of the `KINDS` is made of."""
    if kind == "$pmux":
        yield from _by_bits(name, ports)
    elif kind == "$bmux":
        yield from _by_index(name, ports)
    elif kind in SHIFTS:
        yield from _shifted(name, kind, parameters, ports)
    else:
        yield from _indexed(name, kind, parameters, ports)


def _by_bits(name: str, ports: Ports) -> Iterator[Part]:
    """Choose the value of the lowest bit that is 1. Yosys lets several be 1 only where any value will do."""
    size, value = len(ports["Y"]), ports["A"]
    if len(ports["B"]) != size * len(ports["S"]):
        raise ValueError("values of other sizes")
    for at in reversed(range(len(ports["S"]))):
        result = ports["Y"] if at == 0 else tuple(far_net(bit, at) for bit in ports["Y"])
        yield Part(f"{name}.{at}", "choose", (ports["S"][at : at + 1], value, ports["B"][at * size :][:size]), result)
        value = result


def _by_index(name: str, ports: Ports) -> Iterator[Part]:
    size, index = len(ports["Y"]), ports["S"]
    if len(ports["A"]) != size << len(index):
        raise ValueError("values of other sizes")
    for at, out in enumerate(ports["Y"]):
        yield Part(f"{name}.{at}", "pick", (index, ports["A"][at::size]), (out,))


def _indexed(name: str, kind: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """A vector shifted down by an index, up where that is negative; what lies outside has no value, or is 0."""
    vector, index = ports["A"], ports["B"]
    if len(index) > MOST_INDEX or flag(parameters, "A_SIGNED"):
        raise NotProven(f"{name}: a signed vector is indexed, or by {len(index)} bits")
    count = 1 << len(index)
    places = [place - count if flag(parameters, "B_SIGNED") and 2 * place >= count else place for place in range(count)]
    outside = UNDRIVEN if kind == "$shiftx" else 0
    for at, out in enumerate(ports["Y"]):
        entries = tuple(vector[at + place] if 0 <= at + place < len(vector) else outside for place in places)
        if set(entries) <= {0, 1}:
            yield Part(name, "table", (index,), (out,), number(entries))
        else:
            yield Part(name, "pick", (index, entries), (out,))


def _shifted(name: str, kind: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """A number shifted by the power of two that each bit of the index says, or not: zeros come in, or copies of a sign.

    Only `$sshr` of a number with a sign has these.
    """
    target, number = ports["Y"], ports["A"]
    if flag(parameters, "B_SIGNED") and ports["B"][-1]:
        raise NotProven(f"{name}: a shift that may be negative")
    count = max(len(target), len(number))
    vector = extended(number, {"A_SIGNED": parameters.get("A_SIGNED", "")}, count)
    fill = vector[-1] if kind == "$sshr" and flag(parameters, "A_SIGNED") else 0
    for place, bit in enumerate(ports["B"]):
        step = min(1 << place, count)
        left = kind in ("$shl", "$sshl")
        moved = (0,) * step + vector[: count - step] if left else vector[step:] + (fill,) * step
        if bit in (0, 1):
            vector = moved if bit else vector
            continue
        inner = tuple(far_net(target[0], place * count + at) for at in range(count))
        yield Part(f"{name}.{place}", "choose", ((bit,), vector, moved), inner)
        vector = inner
    yield Part(name, "same", (vector[: len(target)],), target)
