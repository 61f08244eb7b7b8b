# SPDX-License-Identifier: Apache-2.0
"""What cells compute, over all of their inputs; and cells and modes that are refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from qap2fpga.prove.algebra import Ands, Known, Open, Sliced, packed, unpacked
from qap2fpga.prove.cells import NotProven, Part, cells, clocked

A, B, Y = (10, 11, 12), (13, 14), (20, 21, 22)
SIGNED = {"A_SIGNED": "1", "B_SIGNED": "1"}
TWO = {"A": A, "B": B, "Y": Y}
BIT = {"A": A, "B": B, "Y": (20,)}
INPUTS = [*A, *B]


def outcome(kind: str, parameters: dict[str, str], ports: dict[str, tuple[int, ...]], out: str = "Y") -> np.ndarray:
    """Return what comes out for every pair of a (3 bits) and b (2 bits), a counting fastest."""
    return driven(cells("cell", kind, parameters, ports), ports[out])


def driven(parts: Iterable[Part], out: tuple[int, ...]) -> np.ndarray:
    """Return the number at the nets `out` for every pair of a and b."""
    values = {0: Sliced.zero, 1: Sliced.one, **dict(zip(INPUTS, packed(np.arange(64) & 31, 5), strict=True))}
    for part in parts:
        operands = [[values[bit] for bit in operand] for operand in part.operands]
        values.update(zip(part.driven, part.evaluate(Sliced(), operands), strict=True))
    return unpacked([values[bit] for bit in out], 32, signed=False)


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


FUNCTIONS: dict[str, tuple[dict[str, tuple[int, ...]], Callable[[int, int], int]]] = {
    "$add": (TWO, lambda a, b: a + b & 7), "$sub": (TWO, lambda a, b: a - b & 7), "$mul": (TWO, lambda a, b: a * b & 7),
    "$and": (TWO, lambda a, b: a & b), "$or": (TWO, lambda a, b: a | b), "$xor": (TWO, lambda a, b: a ^ b),
    "$ge": (BIT, lambda a, b: a >= b), "$le": (BIT, lambda a, b: a <= b), "$gt": (BIT, lambda a, b: a > b),
    "$lt": (BIT, lambda a, b: a < b), "$logic_or": (BIT, lambda a, b: bool(a or b)),
    "$not": ({"A": A, "Y": Y}, lambda a, b: 7 - a), "$pos": ({"A": A, "Y": Y}, lambda a, b: a),
    "$eq": (TWO, lambda a, b: a == b), "$ne": (TWO, lambda a, b: a != b), "$xnor": (TWO, lambda a, b: ~(a ^ b) & 7),
    "$logic_and": (TWO, lambda a, b: bool(a and b)),
    "$logic_not": ({"A": A, "Y": (20,)}, lambda a, b: not a), "$reduce_bool": ({"A": A, "Y": Y}, lambda a, b: a > 0),
    "$mux": ({"S": (13,), "A": A, "B": (12, 11, 10), "Y": Y},
             lambda a, b: (a & 2 | a >> 2 | (a & 1) << 2) if b & 1 else a),
    "$buf": ({"A": A, "Y": Y}, lambda a, b: a), "$reduce_and": ({"A": A, "Y": Y}, lambda a, b: a == 7),
}  # fmt: skip


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_every_cell_of_the_reader_over_all_inputs(kind: str) -> None:
    ports, function = FUNCTIONS[kind]
    expected = [int(function(number & 7, number >> 3)) for number in range(32)]
    assert outcome(kind, {}, ports).tolist() == expected


@pytest.mark.parametrize("kind", ["$add", "$sub", "$ge", "$lt", "$eq"])
def test_signed_operands_are_extended_by_their_signs(kind: str) -> None:
    ports, function = FUNCTIONS[kind]
    pairs = [(signed(number & 7, 3), signed(number >> 3, 2)) for number in range(32)]
    assert outcome(kind, SIGNED, ports).tolist() == [int(function(a, b)) for a, b in pairs]
    unsigned = outcome(kind, {"A_SIGNED": "1", "B_SIGNED": "0"}, ports).tolist()
    assert unsigned == [int(function(number & 7, number >> 3)) for number in range(32)]


@pytest.mark.parametrize(("kind", "parameters", "ports"), [
    ("$div", {}, TWO),
    ("DSP48E1", {}, {}),
])  # fmt: skip
def test_what_is_not_known_is_refused(kind: str, parameters: dict[str, str], ports: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(NotProven, match=r"^cell: "):
        list(cells("cell", kind, parameters, ports))


def test_a_negative() -> None:
    (negative,) = cells("c", "$neg", {"A_SIGNED": "1"}, {"A": (10, 11), "Y": (20, 21, 22)})
    assert negative.operands == ((0, 0, 0), (10, 11, 11)) and negative.kind == "difference"


def test_a_register_of_the_falling_edge_is_refused() -> None:
    ports = {"CLK": (2,), "D": A, "Q": Y}
    first, *_ = clocked("r", {"CLK_POLARITY": "1"}, ports, {20: "1"})
    assert (first.clock, first.enable, first.reset, first.data, first.out, first.initial) == (2, 1, 0, 10, 20, "1")
    with pytest.raises(NotProven, match=r"^r: "):
        clocked("r", {"CLK_POLARITY": "0"}, ports, {})


def test_a_graph_of_ands_is_the_same_logic() -> None:
    graph, known = Ands(2), Known()
    a, b = graph.input(0), graph.input(1)
    assert graph.differ(a, b) == graph.differ(b, a) and graph.both(a, a ^ 1) == 0 and graph.both(a, 1) == a
    gates = dict(enumerate(graph.gates, start=3))

    def value(bit: int, inputs: dict[int, int]) -> int:
        node = bit >> 1
        plain = 0 if node == 0 else inputs[node] if node in inputs else value(gates[node][0], inputs) & value(
            gates[node][1], inputs)  # fmt: skip
        return plain ^ bit & 1

    for first in (0, 1):
        for second in (0, 1):
            assert value(graph.differ(a, b), {1: first, 2: second}) == first ^ second
    assert known.both(0, None) == 0 and known.both(1, None) is None and known.choose(None, 1, 1) == 1
    assert known.choose(None, 0, 1) is None and known.choose(0, 1, None) == 1
    assert graph.aiger([graph.both(a, b)]).startswith(b"aig ")


def test_open_bits_hold_every_value_that_they_may_have() -> None:
    graph = Ands(0)
    algebra = Open(graph)
    every = (algebra.zero, algebra.one, algebra.any)
    values = {algebra.zero: {0}, algebra.one: {1}, algebra.any: {0, 1}}

    def of(results: set[int]) -> tuple[int, int]:
        return min(results), max(results)

    for a, b, c in itertools.product(every, repeat=3):
        assert algebra.both(a, b) == of({x & y for x in values[a] for y in values[b]})
        assert algebra.either(a, b) == of({x | y for x in values[a] for y in values[b]})
        assert algebra.differ(a, b) == of({x ^ y for x in values[a] for y in values[b]})
        assert algebra.invert(a) == of({1 - x for x in values[a]})
        assert algebra.choose(a, b, c) == of({z if x else y for x in values[a] for y in values[b] for z in values[c]})


def test_ends_that_are_not_known_yet_are_joined() -> None:
    graph = Ands(2)
    algebra, low, high = Open(graph), graph.input(0), graph.input(1)
    maybe = (graph.both(low, high), high)
    least, most = algebra.choose(maybe, algebra.zero, algebra.one)
    assert algebra.choose((low, low), algebra.any, algebra.one) == (low, 1)
    for first, second in itertools.product((0, 1), repeat=2):
        nodes = [0, first, second]
        for a, b in graph.gates:
            nodes.append((nodes[a >> 1] ^ a & 1) & (nodes[b >> 1] ^ b & 1))
        assert [nodes[bit >> 1] ^ bit & 1 for bit in (least, most)] == [first & second, second]
