# SPDX-License-Identifier: Apache-2.0
"""The control of a pipeline, and single faults in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qap2fpga.prove import handshake, reading
from qap2fpga.prove.cells import NotProven
from tests.support.circuits import IN_VALID, MOVE, chain_of_valid


def proven(content: dict[str, Any]) -> int:
    module = reading.modules(content)["m"]
    return handshake.prove(module, handshake.ports(module, "in0", "out0"), [module.named["move"][0]])


@pytest.mark.parametrize("stages", [1, 2, 7])
def test_a_chain_of_valid_bits_is_as_deep_as_it_is(stages: int) -> None:
    assert proven(chain_of_valid(stages)) == stages


def change(cell: int, port: str, bits: list[int | str]) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["cells"][f"c{cell}"]["connections"][port] = bits

    return fault


def kind(cell: int, name: str) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["cells"][f"c{cell}"]["type"] = name

    return fault


def initial(content: dict[str, Any]) -> None:
    content["modules"]["m"]["netnames"]["valid"]["attributes"]["init"] = "01"


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "moves without asking": (change(1, "A", ["1"]), "a move is another function"),
    "moves only when taken": (kind(1, "$and"), "a move is another function"),
    "ready is another bit": (lambda one: one["modules"]["m"]["ports"]["in0_TREADY"].update(bits=[20]), "a move is"),
    "reset sets": (change(4, "B", ["1"]), "becomes something else"),
    "never reset": (change(4, "S", ["0"]), "becomes something else"),
    "never enabled": (change(3, "S", ["0"]), "becomes something else"),
    "always enabled": (change(3, "S", ["1"]), "becomes something else"),
    "a circle": (change(3, "B", [31]), "follows 0 bits"),
    "follows more bits": (change(3, "A", [40]), "follows 2 bits"),
    "TVALID is inverted": (lambda one: one["modules"]["m"]["ports"]["out0_TVALID"].update(bits=[20]), "TVALID is"),
    "begins valid": (initial, "does not begin as 0"),
    "another clock": (change(5, "CLK", [IN_VALID]), "no register of the clock"),
    "a loop": (change(1, "A", [MOVE]), "a loop"),
    "no port": (lambda one: one["modules"]["m"]["ports"].pop("ap_rst_n"), "no port ap_rst_n"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_control_is_seen(name: str) -> None:
    fault, message = FAULTS[name]
    content = chain_of_valid(2)
    fault(content)
    with pytest.raises(NotProven, match=message):
        proven(content)


def test_a_stage_that_is_left_out_is_a_shorter_chain() -> None:
    content = chain_of_valid(2)
    change(6, "B", [IN_VALID])(content)
    assert proven(content) == 1
