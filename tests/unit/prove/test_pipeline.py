# SPDX-License-Identifier: Apache-2.0
"""Registers as wires: what passes equally many of them, moves with the enable and stands still without it."""

from __future__ import annotations

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.pipeline import Pipeline
from tests.support.circuits import CLOCK, MOVE, Bit, Cell, module, register

PORTS: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "x": [10, 11], "other": [9]}
LEAVES = {10: 0, 11: 0}
FLIP_FLOP: dict[str, list[Bit]] = {"C": [CLOCK], "CE": [MOVE], "D": [10], "Q": [20], "R": ["0"]}


def pipeline(cells: list[Cell], out: list[Bit]) -> Pipeline:
    return Pipeline(module(PORTS, {"y": out}, cells), CLOCK, MOVE)


def test_a_register_is_a_wire_one_stage_later() -> None:
    cells = [*register([10, 11], [20, 21], [30, 31]), ("$and", {}, {"A": [20], "B": [21], "Y": [40]}),
             *register([40], [41], [42])]  # fmt: skip
    cone = pipeline(cells, [41]).cone((41,), LEAVES)
    assert cone.stage(cone.outputs) == 2
    assert [part.kind for part in cone.parts if part.kind != "same"] == ["and"]


def test_a_constant_belongs_to_every_stage() -> None:
    cells = [*register([10], [20], [30]), ("$and", {}, {"A": [20], "B": ["1"], "Y": [40]}),
             ("$and", {}, {"A": [20], "B": ["0"], "Y": [41]})]  # fmt: skip
    cone = pipeline(cells, [40, 41]).cone((40, 41), LEAVES)
    assert cone.outputs == (40, 0) and cone.stage(cone.outputs) == 1 and cone.stage((0,)) is None


def test_a_constant_must_have_come_before_what_it_is_read_with() -> None:
    late = [*register(["1"], [20], [30]), *register([20], [21], [31]), *register([10], [22], [32])]
    both: list[Cell] = [*late, ("$and", {}, {"A": [21], "B": [22], "Y": [40]})]
    with pytest.raises(NotProven, match="stage 1, after which one of them becomes constant"):
        pipeline(both, [40]).cone((40,), LEAVES)
    cone = pipeline([*late, *register([22], [23], [33])], [21, 23]).cone((21, 23), LEAVES)
    assert (cone.stage(cone.outputs), cone.stage((21,)), cone.late[20], cone.late[21]) == (2, None, 1, 2)


FAULTY: dict[str, tuple[list[Cell], str]] = {
    "another way has more registers": (
        [*register([10], [20], [30]), ("$and", {}, {"A": [20], "B": [11], "Y": [40]})], "come from stages"
    ),
    "nothing drives it": ([("$and", {}, {"A": [50], "B": [11], "Y": [40]})], "without a driver"),
    "an input that is no data": ([("$and", {}, {"A": [9], "B": [11], "Y": [40]})], "input that is no data"),
    "a loop": ([("$and", {}, {"A": [40], "B": [11], "Y": [40]})], "a loop"),
    "two drivers": ([("$and", {}, {"A": [10], "B": [11], "Y": [40]})] * 2, "two drivers"),
    "another enable": (register([10], [40], [30], enable=9), "changes without a move"),
    "no enable": ([("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [10], "Q": [40]})], "changes without a move"),
    "another clock": ([("FDRE", {}, {**FLIP_FLOP, "C": [9], "Q": [40]})], "another clock"),
    "an enable of its own": ([("FDRE", {}, {**FLIP_FLOP, "CE": [9], "Q": [40]})], "not enabled by every move"),
    "always enabled": ([("FDRE", {}, {**FLIP_FLOP, "CE": ["1"], "Q": [40]})], "changes without a move"),
    "inverts itself while nothing moves": (
        [("LUT3", {"INIT": "10001011"}, {"I0": [10], "I1": [MOVE], "I2": [40], "O": [25]}),
         ("FDRE", {}, {**FLIP_FLOP, "CE": ["1"], "D": [25], "Q": [40]})], "changes without a move"
    ),
    "a reset without a move": ([("FDRE", {}, {**FLIP_FLOP, "R": [9], "Q": [40]})], "reset without a move"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY)
def test_a_pipeline_that_is_none_is_refused(fault: str) -> None:
    cells, message = FAULTY[fault]
    with pytest.raises(NotProven, match=message):
        pipeline(cells, [40]).cone((40,), LEAVES)


def test_bits_of_several_stages_do_not_belong_together() -> None:
    cone = pipeline(register([10], [20], [30]), [20, 11]).cone((20, 11), LEAVES)
    with pytest.raises(NotProven, match="come from stages"):
        cone.stage(cone.outputs)


def test_a_reset_at_a_move_is_logic() -> None:
    cells: list[Cell] = [("$and", {}, {"A": [11], "B": [MOVE], "Y": [25]}), ("FDRE", {}, {**FLIP_FLOP, "R": [25]})]
    cone = pipeline(cells, [20]).cone((20,), LEAVES)
    assert cone.stages[20] == 1
    assert [part.kind for part in cone.parts] == ["and", "choose"]


def test_an_enable_that_is_a_multiplexer_around_the_register() -> None:
    # The table gives its own register's bit while `move` is 0, and x[0] XOR x[1] while it is 1.
    entries = "".join(str(a ^ b if m else q) for q in (1, 0) for m in (1, 0) for b in (1, 0) for a in (1, 0))
    table: Cell = ("LUT4", {"INIT": entries}, {"I0": [10], "I1": [11], "I2": [MOVE], "I3": [20], "O": [25]})
    flip_flop: Cell = ("FDRE", {}, {**FLIP_FLOP, "CE": ["1"], "D": [25]})
    cone = pipeline([table, flip_flop], [20]).cone((20,), LEAVES)
    (lut, _) = cone.parts
    assert (lut.operands, lut.entries) == (((10, 11),), 0b0110)


def test_outputs_do_not_read_what_says_that_all_moves() -> None:
    reads: Cell = ("$and", {}, {"A": [10], "B": [MOVE], "Y": [25]})
    before = pipeline([reads, *register([25], [20], [30])], [20])
    before.require_held([20, 11])
    after = pipeline([*register([10], [20], [30]), ("$and", {}, {"A": [20], "B": [MOVE], "Y": [40]}),
                      ("$not", {}, {"A": [40], "Y": [41]})], [41])  # fmt: skip
    with pytest.raises(NotProven, match="depends on whether anything moves"):
        after.require_held([20, 41])
    with pytest.raises(NotProven, match="depends on whether anything moves"):
        after.require_held([MOVE])
