# SPDX-License-Identifier: Apache-2.0
"""What logic makes of named bits: one number per function, with other names, and as a module again."""

from __future__ import annotations

from qap2fpga.prove.cells import Part
from qap2fpga.prove.expressions import FIRST, Expressions

SUM = Part("s", "sum", ((10, 11), (12, 13)), (14, 15))


def test_the_same_function_is_one() -> None:
    own = Expressions()
    first = own.result(SUM, [[2, 3], [4, 0]], [None, None])
    assert first == [FIRST, FIRST + 1] == own.result(SUM, [[2, 3], [4, 0]], [None, None])
    assert own.result(SUM, [[2, 3], [4, 1]], [None, None]) == [FIRST + 2, FIRST + 3]
    # A number stays together; what is known stays known, and what is made of something else is not known.
    assert own.result(SUM, [[2, 3], [0, 4]], [2, None])[0] == FIRST + 4
    assert own.result(SUM, [[2, 3], [0, 0]], [2, 3]) == [2, 3]
    assert own.result(SUM, [[2, None], [0, 4]], [2, None]) == [2, None]


def test_names_are_replaced_below_all_functions() -> None:
    own = Expressions()
    low, high = own.result(SUM, [[2, 3], [4, 0]], [None, None])
    top = own.result(SUM, [[low, high], [5, 0]], [None, None])[1]
    known: dict[int, int | None] = {}
    (other, constant, name) = own.replaced([top, 1, 2], lambda code: code + 100, known)
    below = own.result(SUM, [[102, 103], [104, 0]], [None, None])
    assert other == own.result(SUM, [[*below], [105, 0]], [None, None])[1] and (constant, name) == (1, 102)
    assert known[low] == below[0]
    assert own.replaced([top, None], lambda code: None if code == 3 else code, {}) == (None, None)


def test_functions_become_a_module() -> None:
    own = Expressions()
    low, high = own.result(SUM, [[2, 3], [4, 0]], [None, None])
    top = own.result(SUM, [[low, high], [5, 1]], [None, None])
    module = own.module("m", (*top, 2), (2, 3, 4, 5), {"lane": tuple(top)})
    assert [part.operands for part in module.parts] == [((2, 3), (4, 0)), ((low, high), (5, 1))]
    assert module.drivers[top[1]] is module.parts[1] and module.outputs["y"] == (*top, 2)
