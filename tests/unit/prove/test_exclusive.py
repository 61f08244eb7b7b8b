# SPDX-License-Identifier: Apache-2.0
"""Choices that cannot be taken at a time, and some that may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.exclusive import require_exclusive
from qap2fpga.prove.reading import flattened

MODULE = """
module of(input [5:0] x, output reg [3:0] y);
    wire [3:0] a = x[5:2] + 1, b = x[5:2] ^ x[3:0], c = x[5:2] - x[3:0];
    always @* begin
        CASE
        endcase
    end
endmodule
"""
OTHERS = "x[4:3] == 1: y = b; x[4:3] == 2: y = c; default: y = 3;"


def choices(case: str, place: Path) -> int:
    """Return how many multiplexers there are; all are exclusive."""
    (place / "of.sv").write_text(MODULE.replace("CASE", case))
    module = flattened([place / "of.sv"], "of", place)
    require_exclusive(module)
    return len(module.choices)


@pytest.mark.parametrize(
    "case",
    [
        "case (x[2:0]) 0: y = a; 1, 2: y = b; 5: y = c; default: y = 3;",
        "case ({x[5], x[0]}) 0: y = a; 1: y = b; 3: y = c; default: y = 3;",
        "(* parallel_case *) casez (x[2:0]) 3'b1??: y = a; 3'b01?: y = b; 3'b001: y = c; default: y = 3;",
        "unique case (x[1:0]) 0: y = a; 1: y = b; 2: y = c; 3: y = a;",
        f"(* parallel_case *) case (1'b1) x[4:3] == 0: y = a; {OTHERS}",
    ],
)
def test_cases_of_which_one_holds(case: str, tmp_path: Path) -> None:
    assert choices(case, tmp_path) == 1


@pytest.mark.parametrize(
    "case",
    [
        "(* parallel_case *) case (1'b1) x[0]: y = a; x[1]: y = b; default: y = 3;",
        "(* parallel_case *) case (1'b1) x[0] | ~x[0]: y = a; x[1] | ~x[1]: y = b; default: y = 3;",
        "(* parallel_case *) casez (x[2:0]) 3'b1??: y = a; 3'b??0: y = b; default: y = 3;",
        "unique case (1'b1) x[0]: y = a; x[2:1] == 3: y = b; x[2:1] == 2: y = c;",
        f"(* parallel_case *) case (1'b1) x[4:3] != 3: y = a; {OTHERS}",
    ],
)
def test_cases_of_which_several_may_hold(case: str, tmp_path: Path) -> None:
    with pytest.raises(NotProven, match="several of its cases may be met at a time"):
        choices(case, tmp_path)
